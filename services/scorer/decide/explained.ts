// Input and output of explaining a flag or a block.

import type { Ruling } from '../../core/policy/ruling.ts'
import type { Counterfactual, Outcome, Reason } from '../../core/wire/records.ts'
import type { VerifiedRow } from '../batch/verify-rows.ts'

/** Input to an explanation: the row, its scores and its outcome. */
export interface Explained {
  readonly row: Float64Array
  readonly score: number
  readonly draftScore: number
  /** Input of the large net; null when the first stage decided. */
  readonly verified: VerifiedRow | null
  readonly outcome: Outcome
  /** Asks the policy about another row and score, without these of its lists and rules. Pure. */
  readonly ask: (
    row: Float64Array,
    score: number,
    without: ReadonlySet<string>,
  ) => Pick<Ruling, 'outcome' | 'rules'>
}

export interface Why {
  readonly reasons: readonly Reason[]
  /** Null when neither baseline values of the strongest features nor the absence of rules give a milder outcome. */
  readonly counterfactual: Counterfactual | null
}

export const NO_WHY: Why = { reasons: [], counterfactual: null }
