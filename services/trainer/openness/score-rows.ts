// Scores rows as a scorer does: all of them with the draft, and those that reach the band with the target.

import { SEQUENCE_LENGTH } from '../../core/features/card-sequence.ts'
import { FEATURE_COUNT } from '../../core/features/feature-list.ts'
import { cascadeScores, verifiedRows } from '../../core/scoring/cascade.ts'
import { pickRows } from '../../core/scoring/score-cascade.ts'
import type { ScoringModel, VerifiableRows } from '../../core/scoring/scoring-model.ts'

/** Scores of the first `rowCount` rows; of a model of one net those of that net. */
export async function scoreRows(
  model: Pick<ScoringModel, 'score' | 'verifier'>,
  rows: VerifiableRows,
  rowCount: number,
): Promise<Float64Array> {
  const { verifier } = model
  const draftScores = await model.score(rows.rows, rowCount)
  if (verifier === null) return draftScores
  const verified = verifiedRows(draftScores, verifier.verifyFrom)
  const question = {
    rows: pickRows(rows.rows, verified, FEATURE_COUNT),
    sequences: pickRows(rows.sequences, verified, SEQUENCE_LENGTH),
    amountsMinor: pickRows(rows.amountsMinor, verified, 1),
  }
  const targetScores = await verifier.score(question, verified.length)
  return cascadeScores(draftScores, verified, targetScores)
}
