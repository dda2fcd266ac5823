// One decision of the log with all inputs to recompute it, copied out of a replay whose arrays are reused.

import assert from 'node:assert/strict'
import type { RateTable } from '../../core/rates/rate-table.ts'
import {
  FEATURES,
  FEATURE_NAMES,
  FEATURE_COUNT,
} from '../../core/features/catalogue/feature-list.ts'
import { SEQUENCE_LENGTH, writeSequence } from '../../core/features/engine/card-sequence.ts'
import type { ComputedRow } from '../../core/features/engine/late-revisions.ts'
import type { RecordedBatch } from '../../core/features/provenance/replay-records.ts'
import type { ReplayedRow, ReplayedCause } from '../../core/features/provenance/replay-rows.ts'
import { VERDICT, reasonOf } from '../../core/features/provenance/row-comparison.ts'
import type { CardHistory } from '../../core/features/state/card-history.ts'
import { hashOf } from '../../core/id-hash.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { Transaction } from '../../core/transaction.ts'
import type { DecisionRecord } from '../../core/wire/records.ts'
import type { ReplayModel, Rule } from './recorded-deciders.ts'

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
  /** The recorded row, which decided whether or not the log agrees. */
  readonly scored: RowToScore
  readonly comparedFeatures: number
  readonly notComparedFeatures: number
  /** The first feature that differs, in words; null when none does. */
  readonly differs: string | null
  /** True when the log holds every payment that the card's sequence reads. */
  readonly isSequenceKnown: boolean
  /** Null for a revision. */
  readonly featureAnnotations: readonly string[] | null
  readonly duplicateOfOffset: number | null
}

/** The recomputed rows of an earlier decision before and after a late transaction. */
export interface ReplayedRevision {
  readonly block: RecordedBatch
  readonly causeOffset: number
  readonly offset: number
  readonly revision: number
  readonly transaction: Transaction
  readonly before: RowToScore & Pick<ComputedRow, 'isApproximate'>
  readonly after: RowToScore & Pick<ComputedRow, 'isApproximate'>
}

/** Null when the decision cannot be recomputed. `rates` are those of its batch. */
export function replayedDecisionOf(of: ReplayedRow, rates: RateTable): ReplayedDecision | null {
  const { block, recorded, transaction, history, folded } = of
  if (transaction === null || history === null) return null
  const { decision, values, states } = recorded
  const seenTo = decision.causeOffset === null ? decision.offset : decision.causeOffset + 1
  const sequence = sequenceOf(history, transaction, seenTo)
  const amountMinor = referenceMinorOf(transaction, rates)
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

export function replayedRevisionsOf(of: ReplayedCause): readonly ReplayedRevision[] {
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
  writeSequence(history, eventTimeMs, hashOf(id), seenTo, { values: sequence, position: 0 })
  return sequence
}

/** NaN without a rate. */
function referenceMinorOf(
  { amountMinor, currency, eventTimeMs }: Transaction,
  rates: RateTable,
): number {
  return rates.toReferenceMinor(amountMinor, currency, eventTimeMs) ?? NaN
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
// Scores rows again as a scorer would: the small net all rows, the large one the requested rows.

export async function draftScoresOf(
  rows: readonly RowToScore[],
  model: ScoringModel,
): Promise<Float64Array> {
  if (rows.length === 0) return new Float64Array()
  const matrix = new Float64Array(rows.length * FEATURE_COUNT)
  for (const [index, { row }] of rows.entries()) matrix.set(row, index * FEATURE_COUNT)
  return await model.score(matrix, rows.length)
}

/** Scores of the rows at these positions, by position; empty for a model of one net. */
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
  assert(scores.length === positions.length, 'A model answers for every row, be it NaN.')
  return new Map(positions.map((position, at) => [position, scores[at] as number]))
}

// Model and policy of a decision batch, opened.

/** The model and the rule that decided a decision batch. */
export interface Deciding extends ReplayModel {
  /** Null when no policy with the decision batch's digest is found. */
  readonly rule: Rule | null
}
