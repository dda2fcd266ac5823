// Runs the cascade over one batch: chooses the scores that the large net replaces, annotates decisions, and counts.

import { isScore, outcomeOf, type Thresholds } from '../../core/decision/decide.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import type { PartitionState } from '../../core/features/engine/fold-state.ts'
import type { CascadeAnnotation } from '../../core/scoring/cascade.ts'
import type { DecideOptions } from '../decide/decide-options.ts'
import type { FoldedBatch } from './fold-batch.ts'
import type { ScoredRows } from './scored-rows.ts'
import { NOTHING_VERIFIED, verifyRows, type Verifiable, type Verified } from './verify-rows.ts'

/** The scores that decide, and the first-stage scores. */
export interface VerifiedScores extends ScoredRows {
  readonly draftScores: Float64Array
  /** Per revisable, the first-stage score of the row after the late transaction. */
  readonly draftAfter: Float64Array
  /** By position in the batch; rows of revisions follow, at `revisedPositions`. */
  readonly verified: Verified
}

/** Counts for metrics. */
export interface CascadeCounts {
  readonly verified: number
  readonly draftStands: number
  /** Rows of the random sample for which both nets give the same outcome, and those for which they do not. */
  readonly sampledSame: number
  readonly sampledDifferent: number
}

export async function verifyScores(
  { rows, features }: FoldedBatch,
  scored: ScoredRows,
  state: Pick<PartitionState, 'card'> | null,
  { verify }: Pick<DecideOptions, 'verify'>,
): Promise<VerifiedScores> {
  const draftScores = scored.scores
  if (verify === null) {
    return { ...scored, draftScores, draftAfter: scored.after, verified: NOTHING_VERIFIED }
  }
  const first: Verifiable[] = rows.map(({ transaction, offset, folded }, index) => ({
    transaction,
    features: features.subarray(index * FEATURE_COUNT, (index + 1) * FEATURE_COUNT),
    nextOffset: offset,
    amountMinor: folded.amountMinor,
    // A duplicate repeats what was decided before, and the large net cannot score without an amount.
    draftScore:
      folded.duplicateOfOffset === null && !Number.isNaN(folded.amountMinor)
        ? (draftScores[index] ?? NaN)
        : NaN,
  }))
  const again = scored.revisables.flatMap(({ cause, recomputed }, index): Verifiable[] => {
    const { transaction, amountMinor, before, after } = recomputed
    const row = { transaction, amountMinor }
    return [
      {
        ...row,
        features: before.row,
        nextOffset: cause.offset,
        draftScore: scored.before[index] ?? NaN,
      },
      {
        ...row,
        features: after.row,
        nextOffset: cause.offset + 1,
        draftScore: scored.after[index] ?? NaN,
      },
    ]
  })
  const verified = await verifyRows([...first, ...again], state, verify)
  const scoreAt = (position: number, draftScore: number): number =>
    verified.answers.get(position)?.score ?? draftScore
  return {
    revisables: scored.revisables,
    draftScores,
    draftAfter: scored.after,
    scores: draftScores.map((score, index) => scoreAt(index, score)),
    before: scored.before.map((score, index) =>
      scoreAt(revisedPositions(rows.length, index).before, score),
    ),
    after: scored.after.map((score, index) =>
      scoreAt(revisedPositions(rows.length, index).after, score),
    ),
    verified,
  }
}

/** Positions of the two rows of a recomputed decision, which follow those of the batch. */
export function revisedPositions(
  rowCount: number,
  index: number,
): { readonly before: number; readonly after: number } {
  const before = rowCount + 2 * index
  return { before, after: before + 1 }
}

/** The annotation of a transaction's decision; null when its first-stage score was conclusive. */
export function cascadeAnnotation(
  { answers, unanswered }: Verified,
  position: number,
): CascadeAnnotation | null {
  if (answers.has(position)) return 'verified'
  return unanswered.has(position) ? 'draft_stands' : null
}

export function cascadeCounts(
  { verified: { answers, unanswered, sampled }, draftScores }: VerifiedScores,
  thresholds: Thresholds,
): CascadeCounts {
  let sampledSame = 0
  let sampledDifferent = 0
  for (const [position, score] of sampled) {
    // A recomputed decision was already part of the sample.
    if (position >= draftScores.length || !isScore(score)) continue
    const draft = outcomeOf(draftScores[position] ?? NaN, thresholds)
    if (draft === outcomeOf(score, thresholds)) sampledSame += 1
    else sampledDifferent += 1
  }
  return {
    verified: answers.size,
    draftStands: unanswered.size,
    sampledSame,
    sampledDifferent,
  }
}
