// Compares a recorded row with the recomputed one, value by value: equal bit for bit, different, or not compared for a
// reason.

import assert from 'node:assert/strict'
import type { FeaturePlan } from '../engine/feature-plan.ts'
import { STATE } from '../engine/feature-states.ts'
import type { RecordedRow } from './replay-records.ts'
import { BUCKET_MS, CARD_REACH_MS, LATENESS_MS } from '../catalogue/time.ts'

/**
 * Reasons for which a value is not compared. Closed list. Degraded and expired values depend on what could be read at
 * the time, which the log does not record. Values behind the reach depend on the lifetime of keys.
 */
export const NOT_COMPARED = [
  'degraded',
  'expired',
  'behind_reach',
  'outside_sample',
  'warming_up',
  'frontier_went_back',
  'other_feature_list',
  'message_gone',
] as const
export type NotCompared = (typeof NOT_COMPARED)[number]

/** A verdict per value: one of these, or `other` plus the index of the reason. */
export const VERDICT = { equal: 0, differs: 1, other: 2 } as const

/** The verdict for a value that is not compared for this reason. */
export function notComparedFor(reason: NotCompared): number {
  return VERDICT.other + NOT_COMPARED.indexOf(reason)
}

/** The reason in a verdict; null for a value that was compared. */
export function reasonOf(verdict: number): NotCompared | null {
  return NOT_COMPARED[verdict - VERDICT.other] ?? null
}

/** Facts about one row besides its values. */
export interface ComparisonScope {
  /** The card is in the sample. */
  readonly hasCard: boolean
  /**
   * Event times from which the log of the card's partition is known, and those of all partitions; -Infinity for all of
   * it.
   */
  readonly cardKnownMs: number
  readonly entitiesKnownMs: number
  /** True when the frontier lies below state that has been merged since. */
  readonly frontierWentBack: boolean
}

/** Longest time before a transaction at which an event can still affect each feature. */
export function reachesOf({ definitions }: FeaturePlan): readonly number[] {
  return definitions.map((definition) => {
    if (definition.entity === 'transaction') return 0
    const { windowMs, delayMs } = definition
    const longMs = ('longWindowMs' in definition ? definition.longWindowMs : null) ?? windowMs
    // The limit is learnt from the whole reach of the card.
    const least = definition.aggregate === 'just_under_limit' ? CARD_REACH_MS : 0
    return Math.max(windowMs, longMs, least) + delayMs + LATENESS_MS + BUCKET_MS
  })
}

/** Compares rows of one plan. */
export class RowComparison {
  readonly #plan: FeaturePlan
  readonly #reaches: readonly number[]

  constructor(plan: FeaturePlan) {
    this.#plan = plan
    this.#reaches = reachesOf(plan)
  }

  /** Writes one verdict per value. */
  compare(
    recorded: RecordedRow,
    values: Float64Array,
    states: Uint8Array,
    scope: ComparisonScope,
    verdicts: Uint8Array,
  ): void {
    for (let index = 0; index < this.#plan.definitions.length; index += 1) {
      const reason = this.#reasonAt(index, recorded, states, scope)
      if (reason !== null) verdicts[index] = notComparedFor(reason)
      else {
        const isSame = Object.is(recorded.values[index], values[index])
        verdicts[index] = isSame ? VERDICT.equal : VERDICT.differs
      }
    }
  }

  #reasonAt(
    index: number,
    { decision, states: recorded }: RecordedRow,
    states: Uint8Array,
    scope: ComparisonScope,
  ): NotCompared | null {
    if (recorded[index] === STATE.degraded) return 'degraded'
    if (recorded[index] === STATE.expired) return 'expired'
    const entity = this.#plan.definitions[index]?.entity
    if (entity === 'transaction') return null
    if (decision.annotations.includes('behind_reach')) return 'behind_reach'
    const knownMs = entity === 'card' ? scope.cardKnownMs : scope.entitiesKnownMs
    if (entity === 'card') {
      if (!scope.hasCard) return 'outside_sample'
    } else if (states[index] === STATE.degraded) {
      return scope.frontierWentBack ? 'frontier_went_back' : 'outside_sample'
    }
    const reachMs = this.#reaches[index]
    assert(reachMs !== undefined, 'Every feature of the plan has a reach.')
    return decision.eventTimeMs - reachMs < knownMs ? 'warming_up' : null
  }
}
