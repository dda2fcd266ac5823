// Plan of one pass over an entity, derived once from the feature definitions.

import { DISTINCT_WINDOW_MS } from '../state/entity-part.ts'
import type { EntityKind, FeatureDefinition } from '../catalogue/feature-definition.ts'

/** Windows that end at the same delay before the transaction. */
export interface WindowGroup {
  readonly delayMs: number
  /** Shortest first. */
  readonly windowsMs: readonly number[]
  /** Whether a feature needs the number of events in these windows. */
  readonly isCounted: boolean
}

export interface EntityPlan {
  readonly kind: EntityKind
  readonly groups: readonly WindowGroup[]
  /** Delay of the window in which distinct cards are counted; null if no feature needs them. */
  readonly distinctDelayMs: number | null
  /** Delay and length of the window of the run of frauds; null if no feature needs it. */
  readonly run: { readonly delayMs: number; readonly windowMs: number } | null
  /** Longest lookback, including the delay. */
  readonly reachMs: number
}

/** Returns null if no feature uses this kind. @throws RangeError if a definition is not supported. */
export function entityPlanOf(
  kind: EntityKind,
  definitions: readonly FeatureDefinition[],
): EntityPlan | null {
  const own = definitions.filter((definition) => definition.entity === kind)
  if (own.length === 0) return null
  const delays = [...new Set(own.map(({ delayMs }) => delayMs))].sort((a, b) => a - b)
  const distinct = own.filter(({ aggregate }) => aggregate === 'distinct_cards')
  if (distinct.some(({ windowMs }) => windowMs !== DISTINCT_WINDOW_MS)) {
    throw new RangeError(`Distinct cards are counted in windows of ${DISTINCT_WINDOW_MS} ms only.`)
  }
  const run = own.find(({ aggregate }) => aggregate === 'fraud_run')
  return {
    kind,
    groups: delays.map((delayMs) =>
      groupOf(
        own.filter((each) => each.delayMs === delayMs),
        delayMs,
      ),
    ),
    distinctDelayMs: distinct[0]?.delayMs ?? null,
    run: run === undefined ? null : { delayMs: run.delayMs, windowMs: run.windowMs },
    reachMs: Math.max(...own.map(({ delayMs, windowMs }) => delayMs + windowMs)),
  }
}

function groupOf(own: readonly FeatureDefinition[], delayMs: number): WindowGroup {
  return {
    delayMs,
    windowsMs: [...new Set(own.map(({ windowMs }) => windowMs))].sort((a, b) => a - b),
    isCounted: own.some(({ aggregate }) => aggregate === 'count' || aggregate === 'fraud_share'),
  }
}
