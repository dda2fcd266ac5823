// Decides one micro-batch of one partition: takes decoded messages, returns the records to publish. It does no I/O
// besides the model; state arrives as a snapshot and is changed in place. Order: labels, then transactions in offset
// order, each seeing those before it; one matrix to the model; decisions.

import { outcomeOfStored, storedOutcomeOf } from '../../core/decision/decide.ts'
import { SEQUENCE_LENGTH, writeSequence } from '../../core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import type { CardLookup, PartitionState } from '../../core/features/engine/fold-state.ts'
import type { PartitionFold } from '../../core/features/engine/partition-fold.ts'
import { hashOf } from '../../core/id-hash.ts'
import type { PartitionProgress } from '../../core/stream/partition-progress.ts'
import type { Label, Transaction } from '../../core/transaction.ts'
import type { Alert, DecisionRecord, Outcome } from '../../core/wire/records.ts'
import type { DecideOptions } from '../decide/decide-options.ts'
import { alertActionOf, alertOf, decisionOf, namedIn } from '../publish/decision-records.ts'
import {
  noBlocks,
  withAnnotation,
  type BlocksOutput,
  type PartitionBlocks,
} from '../publish/partition-blocks.ts'
import {
  counterfactualFor,
  explainDecided,
  type ExplainedBatch,
} from '../decide/explain-decided.ts'
import { foldBatch, type BatchInput, type FoldedBatch, type PartitionLabel } from './fold-batch.ts'
import { revise, type Revision } from '../decide/revise.ts'
import { ruleBatch, type RuledRow } from '../decide/rule-batch.ts'
import { scoreRows } from './scored-rows.ts'
import { Settling } from '../decide/apply-guards.ts'
import {
  cascadeCounts,
  verifyScores,
  type CascadeCounts,
  type VerifiedScores,
} from './verify-batch.ts'

/** A decided batch, ready to be encoded. */
export interface DecidedBatch {
  /** First decisions in offset order, then revisions of earlier ones. */
  readonly decisions: readonly DecisionRecord[]
  /** Per decision FEATURE_COUNT values, and as many states. */
  readonly features: Float64Array
  readonly states: Uint8Array
  readonly alerts: readonly Alert[]
  /** The transaction of each alert, in their order. */
  readonly alerted: readonly Transaction[]
  /** Leases, breaker and budgets of the partition after this batch. Its alerts include those above. */
  readonly blocks: BlocksOutput
  /** Per first decision, SEQUENCE_LENGTH numbers (see writeSequence); null when not kept, or without state. */
  readonly sequences: Float64Array | null
  /** Per decision, the amount in minor units of the reference currency. */
  readonly amountsMinor: readonly number[]
  /** Per decision, its transaction. */
  readonly transactions: readonly Transaction[]
  /** Conditions of the policy that failed: number of failures by the name of their rule or segment. */
  readonly policyFailures: ReadonlyMap<string, number>
  /** Per label, the outcome of its transaction before this batch; null when the card's state does not hold it. */
  readonly labelled: readonly LabelledOutcome[]
  readonly duplicates: number
  /** Decisions that were recomputed because of a late transaction, changed or not. */
  readonly recomputed: number
  /** Counts of the large net of a cascade; null when the model is one net. */
  readonly cascade: CascadeCounts | null
  readonly featuresMs: number
  readonly scoreMs: number
}

type Recorded = Pick<DecidedBatch, 'decisions' | 'alerts' | 'alerted' | 'policyFailures'> & {
  readonly revisions: readonly Revision[]
}

/** Context in which a batch is decided. */
interface DecidingPartition {
  readonly fold: PartitionFold
  /** Null when the state cannot be read. */
  readonly state: (PartitionState & CardLookup) | null
  /** Per partition, the progress of its state as read. */
  readonly progress: readonly (PartitionProgress | null)[]
  readonly blocks?: PartitionBlocks
  /** Called once the state holds the batch, before anything is waited for. */
  readonly onFolded?: () => void
}

interface RuledBatch {
  readonly batch: FoldedBatch
  readonly ruled: readonly RuledRow[]
  readonly explained: ExplainedBatch
  readonly scores: VerifiedScores['scores']
}

/** A label with the outcome of its transaction. */
export interface LabelledOutcome {
  readonly label: Label
  readonly outcome: Outcome | null
}

/**
 * Decides a batch. The snapshot's cards also record the outcomes, for later duplicates. Without state (null) decisions
 * are degraded: they rest on the transactions alone, and never block.
 */
export async function decideBatch(
  input: BatchInput,
  { fold, state, progress, blocks = noBlocks(), onFolded }: DecidingPartition,
  decidedAtMs: number,
  options: DecideOptions,
): Promise<DecidedBatch> {
  const startMs = performance.now()
  const labelled = state === null ? [] : outcomesOfLabelled(input.labels, state)
  const batch = foldBatch(input, fold, state, options.alignment)
  onFolded?.()
  const foldedMs = performance.now()
  const scored = await verifyScores(batch, await scoreRows(batch, options.score), state, options)
  const ruled = ruleBatch(batch, scored, progress, options)
  const revised = revise(scored, decidedAtMs, options)
  const explained = await explainDecided(batch, ruled, revised, scored, options)
  const settling = new Settling(blocks, explained.revisions, decidedAtMs, options)
  settling.labels(input.labels)
  const rows = { batch, ruled, explained, scores: scored.scores }
  const guards = { settling, blocks }
  const { revisions, ...recorded } = recordRows(rows, guards, state, decidedAtMs, options)
  return {
    ...recorded,
    ...withRevisions(batch, revisions),
    sequences: options.keepsSequences && state !== null ? sequencesOf(batch.rows, state) : null,
    blocks: blocks.take(options),
    transactions: [
      ...batch.rows.map(({ transaction }) => transaction),
      ...revisions.map(({ transaction }) => transaction),
    ],
    labelled,
    duplicates: batch.rows.filter((row) => row.folded.duplicateOfOffset !== null).length,
    recomputed: scored.revisables.length,
    cascade: options.verify === null ? null : cascadeCounts(scored, options.thresholds),
    featuresMs: foldedMs - startMs,
    scoreMs: performance.now() - foldedMs,
  }
}

/** Decisions, alerts and revisions of a batch in offset order. Leases and breaker count each of them. */
function recordRows(
  { batch, ruled, explained, scores }: RuledBatch,
  { settling, blocks }: { readonly settling: Settling; readonly blocks: PartitionBlocks },
  state: PartitionState | null,
  decidedAtMs: number,
  options: DecideOptions,
): Recorded {
  const decisions: DecisionRecord[] = []
  const alerts: Alert[] = []
  const alerted: Transaction[] = []
  const revisions: Revision[] = []
  const policyFailures = new Map<string, number>()
  for (const [
    index,
    { outcome: ruledOutcome, ruling, annotations, entityAgeMs },
  ] of ruled.entries()) {
    const row = batch.rows[index]
    if (row === undefined) continue
    const { outcome, mark } = settling.transaction(row, ruledOutcome, ruling)
    const decision = decisionOf(row.transaction, {
      offset: row.offset,
      revision: 0,
      outcome,
      score: scores[index] ?? NaN,
      duplicateOfOffset: row.folded.duplicateOfOffset,
      annotations: withAnnotation(annotations, mark),
      reasons: explained.whyOf(index).reasons,
      entityAgeMs,
      causeOffset: null,
      ...namedIn(ruling),
    })
    decisions.push(decision)
    if (ruling === null) continue
    for (const name of ruling.failed) policyFailures.set(name, (policyFailures.get(name) ?? 0) + 1)
    state?.card(decision.card).setOutcome(decision.offset, storedOutcomeOf(decision.outcome))
    const action = alertActionOf(decision, ruling)
    if (action !== null) {
      const { transaction, timestampMs, folded } = row
      const alert = alertOf(
        action,
        { transaction, decision, ruling, referenceMinor: folded.amountMinor, timestampMs },
        decidedAtMs,
        options,
      )
      const counterfactual = counterfactualFor(decision.outcome, explained.whyOf(index))
      alerts.push(blocks.publish({ ...alert, counterfactual }, decidedAtMs))
      alerted.push(row.transaction)
    }
    for (const revision of settling.revisions(row.offset)) {
      revisions.push(revision)
      if (revision.alert === null) continue
      alerts.push(revision.alert)
      alerted.push(revision.transaction)
    }
  }
  decisions.push(...revisions.map(({ decision }) => decision))
  return { decisions, alerts, alerted, policyFailures, revisions }
}

/** Looks up the outcomes of labelled transactions. Changes nothing; null for cards that were not read. */
function outcomesOfLabelled(
  labels: readonly PartitionLabel[],
  state: CardLookup,
): readonly LabelledOutcome[] {
  const met: LabelledOutcome[] = []
  for (const entry of labels) {
    if (entry.kind === 'watermark') continue
    const { label } = entry
    const stored =
      state.peekCard(label.card)?.outcomeOf(label.eventTimeMs, hashOf(label.transactionId)) ?? 0
    met.push({ label, outcome: outcomeOfStored(stored) })
  }
  return met
}

/** The payments of each card before its row, as input of a large net. */
function sequencesOf(rows: FoldedBatch['rows'], state: Pick<PartitionState, 'card'>): Float64Array {
  const sequences = new Float64Array(rows.length * SEQUENCE_LENGTH)
  const out = { values: sequences, position: 0 }
  for (const { transaction, offset } of rows) {
    const { id, card, eventTimeMs } = transaction
    writeSequence(state.card(card), eventTimeMs, hashOf(id), offset, out)
    out.position += SEQUENCE_LENGTH
  }
  return sequences
}

/** Rows, states and amounts of first decisions, with those of revisions after them. */
function withRevisions(
  { rows, features, states }: FoldedBatch,
  revisions: readonly Revision[],
): Pick<DecidedBatch, 'features' | 'states' | 'amountsMinor'> {
  const amountsMinor = rows.map((row) => row.folded.amountMinor)
  if (revisions.length === 0) return { features, states, amountsMinor }
  const count = rows.length + revisions.length
  const allFeatures = new Float64Array(count * FEATURE_COUNT)
  const allStates = new Uint8Array(count * FEATURE_COUNT)
  allFeatures.set(features)
  allStates.set(states)
  for (const [index, { computed, amountMinor }] of revisions.entries()) {
    allFeatures.set(computed.row, (rows.length + index) * FEATURE_COUNT)
    allStates.set(computed.states, (rows.length + index) * FEATURE_COUNT)
    amountsMinor.push(amountMinor)
  }
  return { features: allFeatures, states: allStates, amountsMinor }
}
