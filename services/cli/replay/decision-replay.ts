// Computes decisions again from what a replay of the log hands out, and compares them with what was recorded: features,
// score, outcome and reasons. What only the moment could tell (that state could not be read, that the large net did not
// answer in time) is taken as recorded: those are annotations of the decision.

import { DEFAULT_RATES } from '../../core/currency.ts'
import {
  FEATURES,
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../core/features/catalogue/feature-list.ts'
import { SEQUENCE_LENGTH, writeSequence } from '../../core/features/engine/card-sequence.ts'
import type { ComputedRow } from '../../core/features/engine/late-revisions.ts'
import type { RecordedBatch } from '../../core/features/provenance/replay-records.ts'
import type { ReplayedCause, ReplayedRow } from '../../core/features/provenance/replay-rows.ts'
import { VERDICT, reasonOf } from '../../core/features/provenance/row-comparison.ts'
import type { CardHistory } from '../../core/features/state/card-history.ts'
import { hashOf } from '../../core/id-hash.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { Transaction } from '../../core/transaction.ts'
import { type DecisionRecord, OUTCOMES } from '../../core/wire/records.ts'
import {
  LEFT_OUT,
  type LeftOut,
  ReplayTally,
  judgeDecisions,
  judgeRevisions,
} from './judge-decisions.ts'
import type { ModelsByDigest, PoliciesByDigest, ReplayModel, Rule } from './run-replay.ts'

/** First decisions whose outcome is remembered per partition, for repeats of them. */
const OUTCOMES_MAX = 1_000_000
/** Rows of one question to the model. */
const CHUNK_ROWS = 1_024

interface DecisionReplayOptions {
  readonly models: Pick<ModelsByDigest, 'find'>
  readonly isInRange: (block: RecordedBatch, decision: DecisionRecord) => boolean
  readonly policies: Pick<PoliciesByDigest, 'find'>
}

export class DecisionReplay {
  readonly tally = new ReplayTally()
  readonly #options: DecisionReplayOptions
  readonly #outcomes = new Map<number, Map<number, number>>()
  #decisions: ReplayedDecision[] = []
  #revisions: ReplayedRevision[] = []

  constructor(options: DecisionReplayOptions) {
    this.#options = options
  }

  /** Takes a row; nothing is scored before `settle`. */
  take(row: ReplayedRow): void {
    const { block, recorded } = row
    const { decision } = recorded
    const isRepeat = decision.duplicateOfOffset !== null
    if (!isRepeat && decision.revision === 0) this.#remember(block.partition, decision)
    if (!this.#options.isInRange(block, decision)) return
    const { tally } = this
    tally.decisions += 1
    if (decision.revision > 0) tally.revisions += 1
    if (isRepeat) tally.repeats += 1
    const replayed = replayedDecisionOf(row)
    if (replayed === null) {
      tally.leaveOut(leftOutOf(row))
      return
    }
    if (isRepeat) this.#compareRepeat(replayed)
    else this.#decisions.push(replayed)
  }

  /** Takes what a late transaction made of earlier rows. */
  takeCause(cause: ReplayedCause): void {
    const { block, causeOffset, isKnown } = cause
    const own = block.decisions.find((each) => each.offset === causeOffset && each.revision === 0)
    if (own === undefined || !this.#options.isInRange(block, own)) return
    // Without state the scorer looked at no decision again.
    if (!isKnown || own.annotations.includes('degraded')) return
    this.#revisions.push(...replayedRevisionsOf(cause))
  }

  /** Scores and compares what was taken. */
  async settle(): Promise<void> {
    const [decisions, revisions] = [this.#decisions, this.#revisions]
    this.#decisions = []
    this.#revisions = []
    for (const group of grouped(decisions)) {
      const deciding = await this.#decidingOf(group)
      if (deciding !== null) await judgeDecisions(group, deciding, this.tally)
    }
    for (const group of grouped(revisions)) {
      const deciding = await this.#decidingOf(group)
      if (deciding !== null) await judgeRevisions(group, deciding, this.tally)
    }
  }

  async #decidingOf(group: readonly { readonly block: RecordedBatch }[]): Promise<Deciding | null> {
    const [first] = group
    if (first === undefined) return null
    const { block } = first
    const found = await this.#options.models.find(block.modelDigest, block.backend)
    if (found === null) {
      for (let count = 0; count < group.length; count += 1) this.tally.leaveOut('model_gone')
      return null
    }
    this.tally.tolerance = Math.max(this.tally.tolerance, found.tolerance)
    return { ...found, rule: await this.#options.policies.find(block, found.model) }
  }

  #remember(partition: number, { offset, outcome }: DecisionRecord): void {
    const outcomes = this.#outcomes.get(partition) ?? new Map<number, number>()
    this.#outcomes.set(partition, outcomes)
    outcomes.set(offset, OUTCOMES.indexOf(outcome))
    if (outcomes.size <= OUTCOMES_MAX) return
    for (const oldest of outcomes.keys()) {
      outcomes.delete(oldest)
      break
    }
  }

  /** A repeat gets the outcome of the first decision, and no score. */
  #compareRepeat({ block, decision, duplicateOfOffset }: ReplayedDecision): void {
    const { partition } = block
    const recorded = `${decision.outcome}, of ${decision.duplicateOfOffset ?? 'none'}`
    const place = {
      kind: 'repeat',
      partition,
      offset: decision.offset,
      revision: decision.revision,
      transactionId: decision.transactionId,
    } as const
    if (duplicateOfOffset !== decision.duplicateOfOffset) {
      this.tally.differs({ ...place, recorded, recomputed: `of ${duplicateOfOffset ?? 'none'}` })
      return
    }
    const first = this.#outcomes.get(partition)?.get(duplicateOfOffset ?? -1)
    if (first === undefined) this.tally.leaveOut('first_decision_unknown')
    else if (OUTCOMES[first] !== decision.outcome) {
      this.tally.differs({ ...place, recorded, recomputed: OUTCOMES[first] ?? 'none' })
    }
  }
}

function leftOutOf({ verdicts }: ReplayedRow): LeftOut {
  const reason = reasonOf(verdicts[0] ?? 0)
  return LEFT_OUT.find((each) => each === reason) ?? 'message_gone'
}

/** What the same model and policy decided, in order, in groups that are not too large. */
function grouped<Item extends { readonly block: RecordedBatch }>(
  items: readonly Item[],
): readonly (readonly Item[])[] {
  const groups: Item[][] = []
  let key = ''
  for (const item of items) {
    const { modelDigest, backend, policyDigest, mode } = item.block
    const own = `${modelDigest}/${backend}/${policyDigest}/${mode}`
    const last = groups.at(-1)
    if (last === undefined || own !== key || last.length >= CHUNK_ROWS) groups.push([item])
    else last.push(item)
    key = own
  }
  return groups
}

// One decision of the log with all that is needed to compute it again, copied out of a replay whose arrays are reused.

/** A row as a scorer would score it. */
export interface RowToScore {
  readonly row: Float64Array
  readonly states: Uint8Array
  readonly sequence: Float64Array
  readonly amountMinor: number
}

export interface ReplayedDecision {
  readonly block: RecordedBatch
  readonly decision: DecisionRecord
  readonly transaction: Transaction
  /** The row that was recorded: what decided, whether or not the log agrees. */
  readonly scored: RowToScore
  readonly comparedFeatures: number
  readonly notComparedFeatures: number
  /** The first feature that differs, in words; null when none does. */
  readonly differs: string | null
  /** Everything that the card's sequence looks at is in the log. */
  readonly isSequenceKnown: boolean
  /** Null for a revision. */
  readonly featureAnnotations: readonly string[] | null
  readonly duplicateOfOffset: number | null
}

/** What a late transaction made of an earlier decision's row. */
export interface ReplayedRevision {
  readonly block: RecordedBatch
  readonly causeOffset: number
  readonly offset: number
  readonly revision: number
  readonly transaction: Transaction
  readonly before: RowToScore & Pick<ComputedRow, 'isApproximate'>
  readonly after: RowToScore & Pick<ComputedRow, 'isApproximate'>
}

/** Null for what could not be recomputed. */
function replayedDecisionOf(of: ReplayedRow): ReplayedDecision | null {
  const { block, recorded, transaction, history, folded } = of
  if (transaction === null || history === null) return null
  const { decision, values, states } = recorded
  const seenTo = decision.causeOffset === null ? decision.offset : decision.causeOffset + 1
  const sequence = sequenceOf(history, transaction, seenTo)
  const amountMinor = referenceMinorOf(transaction)
  return {
    block,
    decision,
    transaction,
    scored: { row: values, states, sequence, amountMinor },
    ...featureVerdicts(of),
    featureAnnotations: folded?.annotations ?? null,
    duplicateOfOffset: folded?.duplicateOfOffset ?? null,
  }
}

function replayedRevisionsOf(of: ReplayedCause): readonly ReplayedRevision[] {
  const { block, causeOffset, recomputed, history } = of
  return recomputed.map(({ offset, revision, transaction, amountMinor, before, after }) => {
    const rowOf = ({ row, states, isApproximate }: ComputedRow, seenTo: number) => ({
      isApproximate,
      row: row.slice(),
      states: states.slice(),
      sequence: sequenceOf(history, transaction, seenTo),
      amountMinor,
    })
    return {
      ...{ block, causeOffset, offset, revision, transaction },
      before: rowOf(before, causeOffset),
      after: rowOf(after, causeOffset + 1),
    }
  })
}

function sequenceOf(history: CardHistory, transaction: Transaction, seenTo: number): Float64Array {
  const sequence = new Float64Array(SEQUENCE_LENGTH)
  const { eventTimeMs, id } = transaction
  writeSequence(history, eventTimeMs, hashOf(id), seenTo, sequence, 0)
  return sequence
}

function referenceMinorOf({ amountMinor, currency, eventTimeMs }: Transaction): number {
  return DEFAULT_RATES.toReferenceMinor(amountMinor, currency, eventTimeMs) ?? NaN
}

function featureVerdicts({ recorded, values, verdicts }: ReplayedRow) {
  let compared = 0
  let first = -1
  let isSequenceKnown = true
  for (const [index, verdict] of verdicts.entries()) {
    if (verdict >= VERDICT.other) {
      const isOfCard = FEATURES[index]?.entity === 'card'
      if (isOfCard && reasonOf(verdict) !== 'degraded') isSequenceKnown = false
      continue
    }
    compared += 1
    if (verdict === VERDICT.differs && first === -1) first = index
  }
  const was = String(recorded.values[first])
  const differs =
    first === -1 ? null : `${FEATURE_NAMES[first] ?? ''} ${was}, not ${String(values[first])}`
  return {
    comparedFeatures: compared,
    notComparedFeatures: verdicts.length - compared,
    differs,
    isSequenceKnown,
  }
}

// Rows scored again as a scorer would: the small net for all, the large one for those that are asked for.

export async function draftScoresOf(
  rows: readonly RowToScore[],
  model: ScoringModel,
): Promise<Float64Array> {
  if (rows.length === 0) return new Float64Array()
  const matrix = new Float64Array(rows.length * FEATURE_COUNT)
  for (const [index, { row }] of rows.entries()) matrix.set(row, index * FEATURE_COUNT)
  return await model.score(matrix, rows.length)
}

/** Of the rows at these positions, by position; nothing of a model of one net. */
export async function targetScoresOf(
  rows: readonly RowToScore[],
  positions: readonly number[],
  { verifier }: ScoringModel,
): Promise<ReadonlyMap<number, number>> {
  if (verifier === null || positions.length === 0) return new Map()
  const matrix = new Float64Array(positions.length * FEATURE_COUNT)
  const sequences = new Float64Array(positions.length * SEQUENCE_LENGTH)
  const amountsMinor = new Float64Array(positions.length)
  for (const [at, position] of positions.entries()) {
    const asked = rows[position]
    if (asked === undefined) continue
    matrix.set(asked.row, at * FEATURE_COUNT)
    sequences.set(asked.sequence, at * SEQUENCE_LENGTH)
    amountsMinor[at] = asked.amountMinor
  }
  const question = { rows: matrix, sequences, amountsMinor }
  const scores = await verifier.score(question, positions.length)
  return new Map(positions.map((position, at) => [position, scores[at] ?? NaN]))
}

// Model and policy of a decision batch, opened.

/** What decides the decisions of a block. */
export interface Deciding extends ReplayModel {
  /** Null when no policy with the block's digest is known. */
  readonly rule: Rule | null
}
