// A cascade in the shadow: its small net scores all rows of a slice, its large net those in the band, as it would if the
// model decided. Nobody waits for a shadow, so there is no deadline.

import { SEQUENCE_LENGTH } from '../../core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import { type CascadeAnnotation, scoreCascade } from '../../core/scoring/cascade.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'

const NONE = new Float64Array()

/** Rows of committed batches. */
export interface ShadowRows {
  /** FEATURE_COUNT values a row. */
  readonly rows: Float64Array
  /** SEQUENCE_LENGTH numbers a row that was a first decision; null where they are not known. */
  readonly sequences: Float64Array | null
  readonly amountsMinor: readonly number[]
}

/** By row of a slice. */
export interface ShadowScores {
  readonly scores: Float64Array
  /** What a decision would be marked with; null outside of the band. */
  readonly annotations: readonly (CascadeAnnotation | null)[]
}

/** Scores the rows from `from` to `to`. Where the payments before a row are not known its draft stands. */
export async function scoreShadow(
  model: Pick<ScoringModel, 'score' | 'verifier'>,
  { rows, sequences, amountsMinor }: ShadowRows,
  from: number,
  to: number,
): Promise<ShadowScores> {
  const count = to - from
  const slice = {
    rows: rows.subarray(from * FEATURE_COUNT, to * FEATURE_COUNT),
    sequences: (sequences ?? NONE).subarray(from * SEQUENCE_LENGTH),
    amountsMinor: Float64Array.from(amountsMinor.slice(from, to)),
  }
  if (count === 0) return { scores: NONE, annotations: [] }
  // Revisions come after the first decisions and have no sequences; nobody judges them.
  const knownCount = slice.sequences.length / SEQUENCE_LENGTH
  const { scores, annotations } = await scoreCascade(model, slice, count, knownCount)
  return {
    scores,
    annotations: Array.from({ length: count }, (_, row) => annotations.get(row) ?? null),
  }
}
