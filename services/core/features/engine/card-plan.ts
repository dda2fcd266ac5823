// What one pass over a card's history has to gather, found once from the definitions of the features.

import { COLUMN, REFERENCE_COLUMNS, type KeptColumns } from '../state/card-columns.ts'
import {
  REFERENCES,
  type FeatureDefinition,
  type Reference,
} from '../catalogue/feature-definition.ts'
import { CARD_REACH_MS } from '../catalogue/time.ts'

/** A reference that is counted or compared. */
export interface ReferencePlan {
  readonly reference: Reference
  readonly column: number
  /** How many windows, from the shortest on, count distinct ones, and payments with the transaction's own. */
  readonly distinctWindows: number
  readonly pairWindows: number
}

export interface CardPlan {
  /** Every window of a card feature, shortest first, without doubles; the last is the reach. */
  readonly windowsMs: readonly number[]
  /** References that are counted or compared. */
  readonly references: readonly ReferencePlan[]
  readonly hasExtremes: boolean
  readonly hasSquares: boolean
  readonly hasQuantile: boolean
  readonly hasRhythm: boolean
  readonly hasDeclines: boolean
  /** What an event must hold for all this. */
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
    const asking = own.filter((each) => each.of === reference && each.aggregate === aggregate)
    return Math.max(0, ...asking.map(({ windowMs }) => sortedMs.indexOf(windowMs) + 1))
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
