// What is asked about a flag or a block, and what is answered.

import type { Counterfactual, Outcome, Reason } from '../core/wire/records.ts'
import type { VerifiedRow } from './verify-rows.ts'

/** A row that wants reasons, and what it came to. */
export interface Explained {
  readonly row: Float64Array
  readonly score: number
  readonly draftScore: number
  /** What the large net read; null when the draft decided. */
  readonly verified: VerifiedRow | null
  readonly outcome: Outcome
  /** What the row would come to with another row and score; pure. */
  readonly outcomeOf: (row: Float64Array, score: number) => Outcome
}

export interface Why {
  readonly reasons: readonly Reason[]
  /** Null when not even the strongest features at their usual values give a milder outcome. */
  readonly counterfactual: Counterfactual | null
}

export const NO_WHY: Why = { reasons: [], counterfactual: null }
