// Rows scored again as a scorer would: the small net for all, the large one for those that are asked for.

import { SEQUENCE_LENGTH } from '../../core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { RowToScore } from './replayed-decision.ts'

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
