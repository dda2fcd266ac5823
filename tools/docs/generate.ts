// Writes the pages of docs/ that are made from code: npm run docs

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { configurationPage } from './configuration-page.ts'
import { featuresPage } from './features-page.ts'
import { lakePage } from './lake-page.ts'

const docs = join(import.meta.dirname, '../../docs')

writeFileSync(join(docs, 'configuration.md'), await configurationPage())
writeFileSync(join(docs, 'features.md'), await featuresPage())
writeFileSync(join(docs, 'lake-columns.md'), await lakePage())
