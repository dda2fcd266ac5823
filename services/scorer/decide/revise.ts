// Turns scores before and after a late transaction into revisions, where the outcome differs.

import { STATE } from '../../core/features/engine/feature-states.ts'
import type { ComputedRow, Recomputed } from '../../core/features/engine/late-revisions.ts'
import type { PolicyInput, Ruling } from '../../core/policy/ruling.ts'
import type { CascadeAnnotation } from '../../core/scoring/cascade.ts'
import type { Transaction } from '../../core/transaction.ts'
import type { Alert, Counterfactual, DecisionRecord } from '../../core/wire/records.ts'
import { decisionOf, namedIn, revisedAlertOf } from '../publish/decision-records.ts'
import type { DecideOptions } from './decide-options.ts'
import { withAnnotation } from './rule-batch.ts'
import { cascadeAnnotation, revisedPositions, type VerifiedScores } from '../batch/verify-batch.ts'

/** A revised decision, its row, and its alert where one is published. */
export interface Revision {
  readonly decision: DecisionRecord
  readonly computed: ComputedRow
  readonly amountMinor: number
  readonly transaction: Transaction
  readonly alert: Alert | null
  /** Input of the policy and its ruling for the revised row, and its ruling for the row before the late transaction. */
  readonly input: PolicyInput
  readonly ruling: Ruling
  readonly rulingBefore: Ruling
  /** Index among the recomputed decisions. */
  readonly index: number
  readonly draftScore: number
  /** Null before the explanation, and when there is no counterfactual. */
  readonly counterfactual: Counterfactual | null
  /** Time stamp of the late transaction's message. */
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
    // A first-stage score that the second stage should have replaced changes nothing: the earlier decision stands.
    if (verified.unanswered.has(positions.before) || verified.unanswered.has(positions.after)) {
      continue
    }
    const score = after[index] ?? NaN
    const marksBefore = revisedAnnotationsOf(
      recomputed.before,
      cascadeAnnotation(verified, positions.before),
    )
    const annotations = revisedAnnotationsOf(
      recomputed.after,
      cascadeAnnotation(verified, positions.after),
    )
    const scoreBefore = before[index] ?? NaN
    const { policy } = options
    const rulingBefore = policy.rule(
      inputOf(recomputed, recomputed.before, scoreBefore, marksBefore, options),
    )
    const input = inputOf(recomputed, recomputed.after, score, annotations, options)
    const ruling = policy.rule(input)
    const { outcome } = ruling
    if (outcome === rulingBefore.outcome) continue
    const { transaction, offset, revision } = recomputed
    const decision = decisionOf(transaction, {
      offset,
      revision,
      outcome,
      score,
      duplicateOfOffset: null,
      annotations: withAnnotation(annotations, ruling),
      reasons: [],
      entityAgeMs: null,
      causeOffset: cause.offset,
      ...namedIn(ruling),
    })
    revisions.push({
      decision,
      computed: recomputed.after,
      input,
      ruling,
      rulingBefore,
      timestampMs: cause.timestampMs,
      amountMinor: recomputed.amountMinor,
      transaction,
      index,
      draftScore: draftAfter[index] ?? NaN,
      counterfactual: null,
      alert: revisedAlertOf(
        {
          transaction,
          decision,
          ruling,
          referenceMinor: recomputed.amountMinor,
          timestampMs: cause.timestampMs,
        },
        rulingBefore,
        decidedAtMs,
        options,
      ),
    })
  }
  return revisions
}

function inputOf(
  { transaction, amountMinor }: Recomputed,
  { row, states }: ComputedRow,
  score: number,
  annotations: readonly string[],
  { thresholds: modelThresholds }: DecideOptions,
): PolicyInput {
  return {
    transaction,
    row,
    states,
    score,
    referenceMinor: amountMinor,
    modelThresholds,
    annotations,
  }
}

/** Annotations of a revision before those of the policy. */
export function revisedAnnotationsOf(
  { states, isApproximate }: Pick<ComputedRow, 'states' | 'isApproximate'>,
  mark: CascadeAnnotation | null,
): readonly string[] {
  const annotations = mark === null ? ['recomputed'] : ['recomputed', mark]
  if (isApproximate) annotations.push('windows_approximate')
  if (states.includes(STATE.expired)) annotations.push('expired')
  if (states.includes(STATE.degraded)) annotations.push('degraded')
  return annotations
}
