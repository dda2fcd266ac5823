// The catalogue of this process: the shipped one, or one that was installed at the start. Fixed from the first import of
// this file on, so that the compiled plan, rows, policies and models of a process agree.

import { createHash } from 'node:crypto'
import type { FeatureDefinition } from './feature-definition.ts'
import { installedCatalogue } from './installed-catalogue.ts'
import { SHIPPED_FEATURES } from './shipped-features.ts'

/** Features in the order of the row. */
export const FEATURES: readonly FeatureDefinition[] = installedCatalogue() ?? SHIPPED_FEATURES

export const FEATURE_COUNT = FEATURES.length

export const FEATURE_NAMES: readonly string[] = FEATURES.map(({ name }) => name)

/** Meaning of a definition, without its wording. */
function meaningOf(definition: FeatureDefinition): readonly unknown[] {
  const { name, entity, aggregate, windowMs, delayMs, includesCurrent, unit, absence } = definition
  const of = 'of' in definition ? definition.of : null
  const longWindowMs = 'longWindowMs' in definition ? definition.longWindowMs : null
  return [
    name,
    entity,
    aggregate,
    windowMs,
    delayMs,
    includesCurrent,
    unit,
    absence,
    of,
    longWindowMs,
  ]
}

/**
 * SHA-256 of the meaning of the numbers, hex: names, order, entities, aggregates, windows, units. A model trained on
 * another list is refused. The sentences for analysts are not covered, so that they may be reworded.
 */
export function hashOfFeatures(features: readonly FeatureDefinition[]): string {
  return createHash('sha256')
    .update(JSON.stringify(features.map(meaningOf)))
    .digest('hex')
}

/** `hashOfFeatures` of this process' catalogue. */
export const FEATURE_LIST_HASH = hashOfFeatures(FEATURES)

/** True when the catalogue computes what the shipped one does. */
export const IS_SHIPPED_CATALOGUE = FEATURE_LIST_HASH === hashOfFeatures(SHIPPED_FEATURES)
