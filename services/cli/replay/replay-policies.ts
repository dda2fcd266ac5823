// Policies as decision blocks name them. What a policy says of a row and a score is a pure function.

import { OUTCOMES, type Outcome } from '../../core/wire/records.ts'
import type { RecordedBlock } from '../../core/features/replay-records.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import { outcomeFor, policyOf } from '../../scorer/index.ts'

/** The outcome of a row with these states for a score; NaN is not scored. */
export type Rule = (states: Uint8Array, score: number) => Outcome

/**
 * The rule of the built-in policy, whose digest also names what operators configured: the lease is as in this process'
 * environment, the outcome without a score is found by the digest. Null when no such policy has the block's digest.
 */
export function ruleOf(
  { mode, policyDigest }: Pick<RecordedBlock, 'mode' | 'policyDigest'>,
  model: Pick<ScoringModel, 'info'>,
  leaseMs: number,
): Rule | null {
  for (const unscoredOutcome of OUTCOMES) {
    const { digest, thresholds } = policyOf({ mode, leaseMs, unscoredOutcome }, model)
    if (digest !== policyDigest) continue
    return (states, score) => outcomeFor(score, { states }, { thresholds, unscoredOutcome })
  }
  return null
}
