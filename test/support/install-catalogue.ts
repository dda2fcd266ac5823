// Preloaded (`node --import`): the process computes the features of the file that SLUICE_FEATURES names.

import { installOwnCatalogue } from '../../services/platform/own-catalogue.ts'

installOwnCatalogue(process.env)
