// Scores all rows of a micro-batch as one matrix: those of its transactions, and for each decision that a late
// transaction changes, the row before it and the row after it.

import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import type { Recomputed } from '../../core/features/engine/late-revisions.ts'
import type { FoldedBatch, FoldedEntry } from './fold-batch.ts'

/** A decision to recompute, with the transaction that made it necessary. */
export interface Revisable {
  readonly cause: FoldedEntry
  readonly recomputed: Recomputed
}

export interface ScoredRows {
  /** Per transaction, in order. NaN means not scored. */
  readonly scores: Float64Array
  readonly revisables: readonly Revisable[]
  /** Per revisable. */
  readonly before: Float64Array
  readonly after: Float64Array
}

type Score = (rows: Float64Array, rowCount: number) => Promise<Float64Array> | Float64Array

export async function scoreRows(batch: FoldedBatch, score: Score): Promise<ScoredRows> {
  const { rows, features } = batch
  const revisables = rows.flatMap((cause) =>
    cause.folded.recomputed.map((recomputed) => ({ cause, recomputed })),
  )
  if (revisables.length === 0) {
    const scores = await score(features, rows.length)
    return { scores, revisables, before: new Float64Array(), after: new Float64Array() }
  }
  const count = rows.length + 2 * revisables.length
  const matrix = new Float64Array(count * FEATURE_COUNT)
  matrix.set(features)
  for (const [index, { recomputed }] of revisables.entries()) {
    const at = rows.length + 2 * index
    matrix.set(recomputed.before.row, at * FEATURE_COUNT)
    matrix.set(recomputed.after.row, (at + 1) * FEATURE_COUNT)
  }
  const scores = await score(matrix, count)
  const every = (first: number): Float64Array =>
    Float64Array.from(revisables, (_, index) => scores[rows.length + 2 * index + first] ?? NaN)
  return { scores: scores.subarray(0, rows.length), revisables, before: every(0), after: every(1) }
}
