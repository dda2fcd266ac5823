// The place where a process puts its own catalogue before anything computes features.

import assert from 'node:assert/strict'
import type { FeatureDefinition } from './feature-definition.ts'

let catalogue: readonly FeatureDefinition[] | null = null
let isInUse = false

/**
 * Makes these the features of the process. To be called before the first import of feature-list.ts.
 * @throws AssertionError when the catalogue is in use already.
 */
export function installCatalogue(features: readonly FeatureDefinition[]): void {
  assert(!isInUse, 'A catalogue is installed before the first module that computes features.')
  catalogue = features
}

/** The installed catalogue; null for the shipped one. From now on the catalogue is fixed. */
export function installedCatalogue(): readonly FeatureDefinition[] | null {
  isInUse = true
  return catalogue
}
