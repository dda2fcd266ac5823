// A cascade in the shadow: its small net scores all rows of a slice, its large net those in the band, as it would if the
// model decided. Nobody waits for a shadow, so there is no deadline.

import { SEQUENCE_LENGTH } from '../../core/features/card-sequence.ts'
import { FEATURE_COUNT } from '../../core/features/feature-list.ts'
import { cascadeScores, verifiedRows, type CascadeMark } from '../../core/scoring/cascade.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'

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
  readonly marks: readonly (CascadeMark | null)[]
}

/** Scores the rows from `from` to `to`. Where the payments before a row are not known its draft stands. */
export async function scoreShadow(
  model: Pick<ScoringModel, 'score' | 'verifier'>,
  { rows, sequences, amountsMinor }: ShadowRows,
  from: number,
  to: number,
): Promise<ShadowScores> {
  const { verifier } = model
  const count = to - from
  const slice = rows.subarray(from * FEATURE_COUNT, to * FEATURE_COUNT)
  const drafts = count === 0 ? new Float64Array() : await model.score(slice, count)
  const marks = new Array<CascadeMark | null>(count).fill(null)
  if (verifier === null) return { scores: drafts, marks }
  const band = verifiedRows(drafts, verifier.verifyFrom)
  for (const row of band) marks[row] = 'draft_stands'
  const sequenceCount = (sequences?.length ?? 0) / SEQUENCE_LENGTH
  // Revisions come after the first decisions and have no sequences; nobody judges them.
  const known = band.filter((row) => from + row < sequenceCount)
  if (sequences === null || known.length === 0) return { scores: drafts, marks }
  const answers = await verifier.score(
    {
      rows: pick(slice, known, FEATURE_COUNT),
      sequences: pick(sequences.subarray(from * SEQUENCE_LENGTH), known, SEQUENCE_LENGTH),
      amountsMinor: Float64Array.from(known, (row) => amountsMinor[from + row] ?? 0),
    },
    known.length,
  )
  for (const row of known) marks[row] = 'verified'
  return { scores: cascadeScores(drafts, known, answers), marks }
}

function pick(from: Float64Array, rows: Uint32Array, width: number): Float64Array {
  const picked = new Float64Array(rows.length * width)
  for (const [at, row] of rows.entries()) {
    picked.set(from.subarray(row * width, (row + 1) * width), at * width)
  }
  return picked
}
