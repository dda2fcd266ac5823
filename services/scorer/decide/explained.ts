// What is asked about a flag or a block, and what is answered.

import type { Ruling } from '../../core/policy/ruling.ts'
import type { Counterfactual, Outcome, Reason } from '../../core/wire/records.ts'
import type { VerifiedRow } from '../batch/verify-rows.ts'

/** A row that wants reasons, and what it came to. */
export interface Explained {
  readonly row: Float64Array
  readonly score: number
  readonly draftScore: number
  /** What the large net read; null when the draft decided. */
  readonly verified: VerifiedRow | null
  readonly outcome: Outcome
  /** What the policy would say of another row and score, without these of its lists and rules; pure. */
  readonly ask: (
    row: Float64Array,
    score: number,
    without: ReadonlySet<string>,
  ) => Pick<Ruling, 'outcome' | 'rules'>
}

export interface Why {
  readonly reasons: readonly Reason[]
  /** Null when neither the strongest features at their baseline values nor the lack of rules give a milder outcome. */
  readonly counterfactual: Counterfactual | null
}

export const NO_WHY: Why = { reasons: [], counterfactual: null }
