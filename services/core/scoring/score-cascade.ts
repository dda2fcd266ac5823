// Scores rows as a scorer does without a limit of time: the draft scores all, the target those that reach the band.

import { SEQUENCE_LENGTH } from '../features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../features/catalogue/feature-list.ts'
import { isScore } from '../decision/decide.ts'
import { cascadeScores, verifiedRows, type CascadeMark } from './cascade.ts'
import type { ScoringModel, VerifiableRows } from './scoring-model.ts'

export interface CascadeScores {
  readonly scores: Float64Array
  /** What a decision would be marked with, by row; nothing outside of the band, nor for a model of one net. */
  readonly marks: ReadonlyMap<number, CascadeMark>
}

/**
 * Scores the first `rowCount` rows. What the target cannot score keeps its draft, and so do rows from `knownCount` on,
 * whose payments before are not known.
 */
export async function scoreCascade(
  model: Pick<ScoringModel, 'score' | 'verifier'>,
  { rows, sequences, amountsMinor }: VerifiableRows,
  rowCount: number,
  knownCount = rowCount,
): Promise<CascadeScores> {
  const { verifier } = model
  const drafts = await model.score(rows, rowCount)
  const marks = new Map<number, CascadeMark>()
  if (verifier === null) return { scores: drafts, marks }
  const band = verifiedRows(drafts, verifier.verifyFrom)
  for (const row of band) marks.set(row, 'draft_stands')
  const asked = band.filter((row) => row < knownCount)
  if (asked.length === 0) return { scores: drafts, marks }
  const question = {
    rows: pickRows(rows, asked, FEATURE_COUNT),
    sequences: pickRows(sequences, asked, SEQUENCE_LENGTH),
    amountsMinor: pickRows(amountsMinor, asked, 1),
  }
  const targets = await verifier.score(question, asked.length)
  const answered = asked.filter((_, place) => isScore(targets[place] ?? NaN))
  for (const row of answered) marks.set(row, 'verified')
  return { scores: cascadeScores(drafts, answered, targets.filter(isScore)), marks }
}

/** The rows of `width` numbers at these positions. */
export function pickRows(values: Float64Array, rows: Uint32Array, width: number): Float64Array {
  const picked = new Float64Array(rows.length * width)
  for (const [at, row] of rows.entries()) {
    picked.set(values.subarray(row * width, (row + 1) * width), at * width)
  }
  return picked
}
