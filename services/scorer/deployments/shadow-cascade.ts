// A shadow cascade: its small net scores all rows of a slice, and its large net those in the band, as if the model
// decided. It has no deadline, because nothing waits for a shadow.

import { SEQUENCE_LENGTH } from '../../core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import { type CascadeAnnotation, scoreCascade } from '../../core/scoring/cascade.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'

const NONE = new Float64Array()

/** Rows of committed batches. */
export interface ShadowRows {
  /** FEATURE_COUNT values a row. */
  readonly rows: Float64Array
  /** SEQUENCE_LENGTH numbers for each row that was a first decision; null when they are not known. */
  readonly sequences: Float64Array | null
  readonly amountsMinor: readonly number[]
}

/** Scores by row of a slice. */
export interface ShadowScores {
  readonly scores: Float64Array
  /** The annotation that the decision would have; null outside of the band. */
  readonly annotations: readonly (CascadeAnnotation | null)[]
}

/** Scores the rows from `from` to `to`. Where the payments before a row are not known, its first-stage score stands. */
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
  // Revisions follow the first decisions and have no sequences; the shadow does not judge them.
  const knownCount = slice.sequences.length / SEQUENCE_LENGTH
  const { scores, annotations } = await scoreCascade(model, slice, count, knownCount)
  return {
    scores,
    annotations: Array.from({ length: count }, (_, row) => annotations.get(row) ?? null),
  }
}
