// Plan of one pass over a card's history, derived once from the feature definitions.

import { COLUMN, REFERENCE_COLUMNS, type KeptColumns } from '../state/card-columns.ts'
import {
  REFERENCES,
  type FeatureDefinition,
  type Reference,
} from '../catalogue/feature-definition.ts'
import { CARD_REACH_MS } from '../catalogue/time.ts'

/** A reference that features count or compare. */
export interface ReferencePlan {
  readonly reference: Reference
  readonly column: number
  /**
   * Number of windows, from the shortest on, that need distinct references, and payments that share the transaction's
   * reference.
   */
  readonly distinctWindows: number
  readonly pairWindows: number
}

export interface CardPlan {
  /** All windows of card features and the reach, which is the last: shortest first, without duplicates. */
  readonly windowsMs: readonly number[]
  /** References that features count or compare. */
  readonly references: readonly ReferencePlan[]
  readonly hasExtremes: boolean
  readonly hasSquares: boolean
  readonly hasQuantile: boolean
  readonly hasRhythm: boolean
  readonly hasDeclines: boolean
  /** Columns that an event must have for these aggregates. */
  readonly kept: KeptColumns
}

export function columnOf(reference: Reference): number {
  return reference === 'country' ? COLUMN.country : REFERENCE_COLUMNS[reference]
}

export function cardPlanOf(definitions: readonly FeatureDefinition[]): CardPlan {
  const own = definitions.filter((definition) => definition.entity === 'card')
  const windowsMs = new Set<number>([CARD_REACH_MS])
  for (const { windowMs, longWindowMs } of own) {
    windowsMs.add(windowMs)
    if (longWindowMs !== undefined) windowsMs.add(longWindowMs)
  }
  const references = REFERENCES.filter((reference) => own.some(({ of }) => of === reference))
  const has = (...aggregates: string[]): boolean =>
    own.some(({ aggregate }) => aggregates.includes(aggregate))
  const sortedMs = [...windowsMs].sort((a, b) => a - b)
  const windowsOf = (reference: Reference, aggregate: string): number => {
    const matching = own.filter((each) => each.of === reference && each.aggregate === aggregate)
    return Math.max(0, ...matching.map(({ windowMs }) => sortedMs.indexOf(windowMs) + 1))
  }
  return {
    windowsMs: sortedMs,
    references: references.map((reference) => ({
      reference,
      column: columnOf(reference),
      distinctWindows: windowsOf(reference, 'distinct'),
      pairWindows: windowsOf(reference, 'pair_count'),
    })),
    hasExtremes: has('minimum', 'maximum'),
    hasSquares: has('deviation', 'z_score'),
    hasQuantile: has('quantile'),
    hasRhythm: has('hour_share', 'weekday_share'),
    hasDeclines: has('declines', 'declined_then_retried', 'just_under_limit'),
    kept: {
      references: new Set(references),
      places: has('speed', 'distance'),
      localTime: has('hour_share', 'weekday_share'),
    },
  }
}
