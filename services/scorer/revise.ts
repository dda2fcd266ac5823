// From scores before and after a late transaction to revisions: only where the outcome differs.

import { isScore, outcomeOf } from '../core/decision/decide.ts'
import { STATE } from '../core/features/feature-states.ts'
import type { ComputedRow } from '../core/features/late-revisions.ts'
import type { CascadeMark } from '../core/scoring/cascade.ts'
import type { Transaction } from '../core/transaction.ts'
import type { Alert, DecisionRecord, Outcome } from '../core/wire/records.ts'
import { decisionOf, revisedAlertOf } from './decision-records.ts'
import type { DecideOptions } from './decide-options.ts'
import { cascadeMark, revisedPositions, type VerifiedScores } from './verify-batch.ts'

/** A revised decision, its row, and its alert where one is published. */
export interface Revision {
  readonly decision: DecisionRecord
  readonly computed: ComputedRow
  readonly amountMinor: number
  readonly transaction: Transaction
  readonly alert: Alert | null
  readonly outcomeBefore: Outcome
  /** Of the cause: when its message was sent. */
  readonly timestampMs: number
}

/** Revisions of a batch, in the order of their causes. */
export function revise(
  { revisables, before, after, scores, verified }: VerifiedScores,
  decidedAtMs: number,
  options: DecideOptions,
): readonly Revision[] {
  const revisions: Revision[] = []
  for (const [index, { cause, recomputed }] of revisables.entries()) {
    const positions = revisedPositions(scores.length, index)
    // A draft that should have been verified takes nothing back: what was decided stands.
    if (verified.unanswered.has(positions.before) || verified.unanswered.has(positions.after)) {
      continue
    }
    const score = after[index] ?? NaN
    const outcomeBefore = outcomeFor(before[index] ?? NaN, recomputed.before, options)
    const outcome = outcomeFor(score, recomputed.after, options)
    if (outcome === outcomeBefore) continue
    const { transaction, offset, revision } = recomputed
    const decision = decisionOf(transaction, {
      offset,
      revision,
      outcome,
      score,
      duplicateOfOffset: null,
      marks: marksOf(recomputed.after, cascadeMark(verified, positions.after)),
      reasons: [],
      entityAgeMs: null,
      causeOffset: cause.offset,
      segment: null,
      rules: [],
    })
    revisions.push({
      decision,
      computed: recomputed.after,
      outcomeBefore,
      timestampMs: cause.timestampMs,
      amountMinor: recomputed.amountMinor,
      transaction,
      alert: revisedAlertOf(
        transaction,
        decision,
        recomputed.amountMinor,
        outcomeBefore,
        cause.timestampMs,
        decidedAtMs,
        options,
      ),
    })
  }
  return revisions
}

/** The outcome of a scored row; degraded ones never block. */
export function outcomeFor(
  score: number,
  { states }: Pick<ComputedRow, 'states'>,
  options: Pick<DecideOptions, 'thresholds' | 'unscoredOutcome'>,
): Outcome {
  const outcome = isScore(score) ? outcomeOf(score, options.thresholds) : options.unscoredOutcome
  return outcome === 'block' && states.includes(STATE.degraded) ? 'flag' : outcome
}

function marksOf(
  { states, isApproximate }: ComputedRow,
  mark: CascadeMark | null,
): readonly string[] {
  const marks = mark === null ? ['recomputed'] : ['recomputed', mark]
  if (isApproximate) marks.push('windows_approximate')
  if (states.includes(STATE.expired)) marks.push('expired')
  if (states.includes(STATE.degraded)) marks.push('degraded')
  return marks
}
