// One micro-batch of one lane, from decoded messages to what will be published. No I/O besides the model: state
// comes in as a snapshot and is changed in it. The order is that of the design: labels, then transactions in
// offset order, each seeing those before it; one matrix to the model; decisions.

import { alertIdOf } from '../core/decision/alert-id.ts'
import {
  actionOf,
  outcomeOf,
  outcomeOfStored,
  storedOutcomeOf,
  type Thresholds,
} from '../core/decision/decide.ts'
import { reasonsOf, writeOcclusions } from '../core/decision/reasons.ts'
import { FEATURE_COUNT } from '../core/features/feature-list.ts'
import type { CardLookup, Folded, LaneFold, LaneState } from '../core/features/lane-fold.ts'
import { referenceOf } from '../core/reference.ts'
import { isLagging } from '../core/stream/alignment.ts'
import type { LaneProgress } from '../core/stream/lane-progress.ts'
import type { MessageHeaders } from '../core/trace-context.ts'
import type { Label, Transaction } from '../core/transaction.ts'
import type {
  Alert,
  AlertLease,
  DecisionRecord,
  Mode,
  Outcome,
  Reason,
} from '../core/wire/records.ts'

/** A transaction or watermark, with its place in the log. */
export type LaneEntry =
  | {
      readonly kind: 'transaction'
      readonly offset: number
      readonly timestampMs: number
      readonly transaction: Transaction
      /** Headers of the message, looked at only when it becomes an alert or is traced. */
      readonly headers?: MessageHeaders | undefined
    }
  | {
      readonly kind: 'watermark'
      readonly offset: number
      readonly timeMs: number
      readonly headers?: undefined
    }

export type LaneLabel =
  | { readonly kind: 'label'; readonly offset: number; readonly label: Label }
  | { readonly kind: 'watermark'; readonly offset: number; readonly timeMs: number }

/** What deciding needs besides the batch; fixed while a lane runs. */
export interface DecideOptions {
  readonly streamId: string
  readonly topic: string
  readonly partition: number
  readonly mode: Mode
  readonly alignment: 'live' | 'aligned'
  readonly thresholds: Thresholds
  readonly unscoredOutcome: Outcome
  readonly leaseMs: number
  readonly modelVersion: string
  readonly modelDigest: string
  readonly policyDigest: string
  readonly usual: readonly number[]
  readonly score: (rows: Float64Array, rowCount: number) => Promise<Float64Array> | Float64Array
}

/** What was decided, ready to be encoded. */
export interface DecidedBatch {
  readonly decisions: readonly DecisionRecord[]
  readonly features: Float64Array
  readonly alerts: readonly Alert[]
  /** The transaction of each alert, in their order. */
  readonly alerted: readonly Transaction[]
  /** Per decision, the amount in minor units of the reference currency. */
  readonly amountsMinor: readonly number[]
  /** Per label, what had been decided for its transaction before this batch; null when the card does not tell. */
  readonly labelled: readonly LabelledOutcome[]
  readonly duplicates: number
  /** Cards and offsets whose stored event must remember its outcome. */
  readonly featuresMs: number
  readonly scoreMs: number
}

/** A label beside the outcome of its transaction. */
export interface LabelledOutcome {
  readonly label: Label
  readonly outcome: Outcome | null
}

interface Row {
  readonly offset: number
  readonly timestampMs: number
  readonly transaction: Transaction
  readonly folded: Folded
  readonly isLagging: boolean
}

/** Folds without deciding: how state is re-applied from the log. */
export function foldBatch(
  labels: readonly LaneLabel[],
  entries: readonly LaneEntry[],
  labelNextOffset: number,
  fold: LaneFold,
  state: LaneState,
  alignment: DecideOptions['alignment'],
): { readonly rows: readonly Omit<Row, 'isLagging'>[]; readonly features: Float64Array } {
  // Live, a watermark left behind by a finished replay must not make everything after it late.
  const isAligned = alignment === 'aligned'
  for (const entry of labels) {
    if (entry.kind === 'watermark') {
      if (isAligned) fold.applyLabelWatermark(entry.timeMs)
    } else fold.applyLabel(entry.label, entry.offset, state)
  }
  const transactionCount = entries.filter(({ kind }) => kind === 'transaction').length
  const features = new Float64Array(transactionCount * FEATURE_COUNT)
  const rows: Omit<Row, 'isLagging'>[] = []
  for (const entry of entries) {
    if (entry.kind === 'watermark') {
      if (isAligned) fold.applyWatermark(entry.timeMs)
      continue
    }
    const { transaction, offset, timestampMs } = entry
    const position = rows.length * FEATURE_COUNT
    const folded = fold.applyTransaction(
      transaction,
      offset,
      labelNextOffset,
      state,
      features,
      position,
    )
    rows.push({ offset, timestampMs, transaction, folded })
  }
  return { rows, features }
}

/** Looks at what was decided for labelled transactions. Changes nothing; cards that were not read tell nothing. */
function outcomesOfLabelled(
  labels: readonly LaneLabel[],
  state: CardLookup,
): readonly LabelledOutcome[] {
  const met: LabelledOutcome[] = []
  for (const entry of labels) {
    if (entry.kind === 'watermark') continue
    const { label } = entry
    const stored = state.peekCard(label.card)?.outcomeOf(referenceOf(label.transactionId)) ?? 0
    met.push({ label, outcome: outcomeOfStored(stored) })
  }
  return met
}

/** Decides a batch. The snapshot's cards also learn their outcomes, for duplicates that come later. */
export async function decideBatch(
  labels: readonly LaneLabel[],
  entries: readonly LaneEntry[],
  labelNextOffset: number,
  fold: LaneFold,
  state: LaneState & CardLookup,
  progress: readonly (LaneProgress | null)[],
  decidedAtMs: number,
  options: DecideOptions,
): Promise<DecidedBatch> {
  const startMs = performance.now()
  const labelled = outcomesOfLabelled(labels, state)
  const folded = foldBatch(labels, entries, labelNextOffset, fold, state, options.alignment)
  const rows = folded.rows.map((row): Row => ({
    ...row,
    isLagging:
      options.alignment === 'live' &&
      row.transaction.terminal !== null &&
      isLagging(row.transaction.eventTimeMs, options.partition, progress),
  }))
  const foldedMs = performance.now()
  const scores = await options.score(folded.features, rows.length)
  const outcomes = outcomesOf(rows, scores, options)
  const reasons = await explain(outcomes, rows, folded.features, scores, options)
  const decisions: DecisionRecord[] = []
  const alerts: Alert[] = []
  const alerted: Transaction[] = []
  for (const [index, row] of rows.entries()) {
    const outcome = outcomes[index] ?? options.unscoredOutcome
    const decision = decisionOf(row, outcome, scores[index] ?? NaN, reasons.get(index) ?? [])
    decisions.push(decision)
    if (decision.duplicateOfOffset !== null) continue
    state.card(decision.card).setOutcome(decision.offset, storedOutcomeOf(outcome))
    const alert = alertOf(row, decision, decidedAtMs, options)
    if (alert === null) continue
    alerts.push(alert)
    alerted.push(row.transaction)
  }
  return {
    decisions,
    features: folded.features,
    alerts,
    alerted,
    amountsMinor: rows.map((row) => row.folded.amountMinor),
    labelled,
    duplicates: rows.filter((row) => row.folded.duplicateOfOffset !== null).length,
    featuresMs: foldedMs - startMs,
    scoreMs: performance.now() - foldedMs,
  }
}

function outcomesOf(
  rows: readonly Row[],
  scores: Float64Array,
  options: DecideOptions,
): readonly Outcome[] {
  const byOffset = new Map<number, Outcome>()
  return rows.map(({ offset, folded }, index) => {
    const first = folded.duplicateOfOffset
    if (first !== null) {
      // The first decision stands; it may have been made earlier in this very batch.
      return firstOutcome(byOffset, folded) ?? options.unscoredOutcome
    }
    const score = scores[index] ?? NaN
    const outcome = isScore(score) ? outcomeOf(score, options.thresholds) : options.unscoredOutcome
    byOffset.set(offset, outcome)
    return outcome
  })
}

/** What was decided for the transaction that this one repeats; null when a rebuilt state no longer knows it. */
function firstOutcome(byOffset: ReadonlyMap<number, Outcome>, folded: Folded): Outcome | null {
  return byOffset.get(folded.duplicateOfOffset ?? -1) ?? outcomeOfStored(folded.duplicateOutcome)
}

/** NaN and anything outside 0 to 1 is "not scored", never a number (P7). */
function isScore(score: number): boolean {
  return score >= 0 && score <= 1
}

async function explain(
  outcomes: readonly Outcome[],
  rows: readonly Row[],
  features: Float64Array,
  scores: Float64Array,
  options: DecideOptions,
): Promise<ReadonlyMap<number, readonly Reason[]>> {
  const explained: number[] = []
  for (const [index, outcome] of outcomes.entries()) {
    const isFirst = rows[index]?.folded.duplicateOfOffset === null
    if (outcome !== 'approve' && isFirst && isScore(scores[index] ?? NaN)) explained.push(index)
  }
  const reasons = new Map<number, readonly Reason[]>()
  if (explained.length === 0) return reasons
  const stride = FEATURE_COUNT * FEATURE_COUNT
  const occluded = new Float64Array(explained.length * stride)
  const rowAt = (index: number): Float64Array =>
    features.subarray(index * FEATURE_COUNT, (index + 1) * FEATURE_COUNT)
  for (const [position, index] of explained.entries()) {
    writeOcclusions(rowAt(index), options.usual, occluded, position * stride)
  }
  const occludedScores = await options.score(occluded, explained.length * FEATURE_COUNT)
  for (const [position, index] of explained.entries()) {
    const score = scores[index] ?? NaN
    const start = position * FEATURE_COUNT
    reasons.set(index, reasonsOf(rowAt(index), options.usual, score, occludedScores, start))
  }
  return reasons
}

function decisionOf(
  row: Row,
  outcome: Outcome,
  score: number,
  reasons: readonly Reason[],
): DecisionRecord {
  const { transaction, folded } = row
  const isDuplicate = folded.duplicateOfOffset !== null
  const isScored = !isDuplicate && isScore(score)
  return {
    offset: row.offset,
    revision: 0,
    transactionId: transaction.id,
    card: transaction.card,
    eventTimeMs: transaction.eventTimeMs,
    amountMinor: transaction.amountMinor,
    currency: transaction.currency,
    outcome,
    score: isScored ? score : null,
    notScored: isScored ? null : isDuplicate ? 'duplicate' : 'invalid_score',
    duplicateOfOffset: folded.duplicateOfOffset,
    marks: row.isLagging ? [...folded.marks, 'entity_lagging'] : folded.marks,
    reasons,
  }
}

function alertOf(
  { transaction, timestampMs }: Row,
  decision: DecisionRecord,
  decidedAtMs: number,
  options: DecideOptions,
): Alert | null {
  const action = actionOf(decision.outcome, options.mode)
  if (action === null) return null
  const { streamId, topic, partition, thresholds } = options
  const { offset, outcome, score } = decision
  const lease: AlertLease = {
    grade: 'suspected',
    startMs: decision.eventTimeMs,
    endMs: decision.eventTimeMs + options.leaseMs,
  }
  return {
    alertId: alertIdOf(streamId, topic, partition, offset),
    revision: 0,
    supersedes: null,
    action,
    transactionId: decision.transactionId,
    card: decision.card,
    eventTimeMs: decision.eventTimeMs,
    amountMinor: decision.amountMinor,
    currency: decision.currency,
    merchant: transaction.merchant,
    terminal: transaction.terminal,
    country: transaction.country,
    score,
    threshold: score === null ? null : outcome === 'block' ? thresholds.block : thresholds.flag,
    modelVersion: options.modelVersion,
    modelDigest: options.modelDigest,
    policyDigest: options.policyDigest,
    mode: options.mode,
    marks: decision.marks,
    reasons: decision.reasons,
    lease: action === 'block' ? lease : null,
    source: { streamId, topic, partition, offset, timestampMs },
    decidedAtMs,
  }
}
