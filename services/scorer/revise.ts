// From scores before and after a late transaction to revisions: only where the outcome differs.

import { STATE } from '../core/features/feature-states.ts'
import type { ComputedRow, Recomputed } from '../core/features/late-revisions.ts'
import type { Ruling } from '../core/policy/ruling.ts'
import type { CascadeMark } from '../core/scoring/cascade.ts'
import type { Transaction } from '../core/transaction.ts'
import type { Alert, Counterfactual, DecisionRecord } from '../core/wire/records.ts'
import { decisionOf, namedIn, revisedAlertOf } from './decision-records.ts'
import type { DecideOptions } from './decide-options.ts'
import { withMarks } from './rule-batch.ts'
import { cascadeMark, revisedPositions, type VerifiedScores } from './verify-batch.ts'

/** A revised decision, its row, and its alert where one is published. */
export interface Revision {
  readonly decision: DecisionRecord
  readonly computed: ComputedRow
  readonly amountMinor: number
  readonly transaction: Transaction
  readonly alert: Alert | null
  /** Of the decision among those that were looked at again. */
  readonly index: number
  readonly draftScore: number
  /** Null until it is explained, and where there is none. */
  readonly counterfactual: Counterfactual | null
  readonly ruling: Ruling
  /** Of the row before the cause, by the same policy. */
  readonly rulingBefore: Ruling
  /** Of the cause: when its message was sent. */
  readonly timestampMs: number
}

/** Revisions of a batch, in the order of their causes. */
export function revise(
  { revisables, before, after, draftAfter, scores, verified }: VerifiedScores,
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
    const marksBefore = marksOf(recomputed.before, cascadeMark(verified, positions.before))
    const marks = marksOf(recomputed.after, cascadeMark(verified, positions.after))
    const scoreBefore = before[index] ?? NaN
    const rulingBefore = rulingOf(recomputed, recomputed.before, scoreBefore, marksBefore, options)
    const ruling = rulingOf(recomputed, recomputed.after, score, marks, options)
    const { outcome } = ruling
    if (outcome === rulingBefore.outcome) continue
    const { transaction, offset, revision } = recomputed
    const decision = decisionOf(transaction, {
      offset,
      revision,
      outcome,
      score,
      duplicateOfOffset: null,
      marks: withMarks(marks, ruling),
      reasons: [],
      entityAgeMs: null,
      causeOffset: cause.offset,
      ...namedIn(ruling),
    })
    revisions.push({
      decision,
      computed: recomputed.after,
      ruling,
      rulingBefore,
      timestampMs: cause.timestampMs,
      amountMinor: recomputed.amountMinor,
      transaction,
      index,
      draftScore: draftAfter[index] ?? NaN,
      counterfactual: null,
      alert: revisedAlertOf(
        transaction,
        decision,
        ruling,
        recomputed.amountMinor,
        rulingBefore,
        cause.timestampMs,
        decidedAtMs,
        options,
      ),
    })
  }
  return revisions
}

/** What the policy says of a row that was computed again. */
export function rulingOf(
  { transaction, amountMinor }: Pick<Recomputed, 'transaction' | 'amountMinor'>,
  { row, states }: Pick<ComputedRow, 'row' | 'states'>,
  score: number,
  marks: readonly string[],
  { policy, thresholds: modelThresholds }: Pick<DecideOptions, 'policy' | 'thresholds'>,
): Ruling {
  return policy.rule({
    ...{ transaction, row, states, score, referenceMinor: amountMinor, modelThresholds, marks },
  })
}

/** Marks of a decision that was computed again, before the policy's. */
export function marksOf(
  { states, isApproximate }: Pick<ComputedRow, 'states' | 'isApproximate'>,
  mark: CascadeMark | null,
): readonly string[] {
  const marks = mark === null ? ['recomputed'] : ['recomputed', mark]
  if (isApproximate) marks.push('windows_approximate')
  if (states.includes(STATE.expired)) marks.push('expired')
  if (states.includes(STATE.degraded)) marks.push('degraded')
  return marks
}
