// Reasons for what is flagged or blocked: each feature in turn at its usual value. Where the large net of a cascade has
// decided, the small one says which few features are worth asking it about, since it is asked once for each.

import { rankedDrops, reasonsOf, REASONS_MAX, writeOcclusions } from '../core/decision/reasons.ts'
import { SEQUENCE_LENGTH } from '../core/features/card-sequence.ts'
import { FEATURE_COUNT, FEATURE_NAMES } from '../core/features/feature-list.ts'
import type { Verifier } from '../core/scoring/scoring-model.ts'
import type { Reason } from '../core/wire/records.ts'
import type { DecideOptions } from './decide-options.ts'
import type { VerifiedRow } from './verify-rows.ts'

/** Features that the large net is asked about, of those that matter most to the small one. */
const CANDIDATES_MAX = 2 * REASONS_MAX

const AMOUNT_FEATURE = FEATURE_NAMES.indexOf('amount')
const MINOR_PER_UNIT = 100

/** A row that wants reasons, and its score. */
export interface Explained {
  readonly row: Float64Array
  readonly score: number
  readonly draftScore: number
  /** What the large net read; null when the draft decided. */
  readonly verified: VerifiedRow | null
}

/** Reasons per row, in order. */
export async function explainRows(
  explained: readonly Explained[],
  { usual, score, verify }: Pick<DecideOptions, 'usual' | 'score' | 'verify'>,
): Promise<readonly (readonly Reason[])[]> {
  if (explained.length === 0) return []
  const stride = FEATURE_COUNT * FEATURE_COUNT
  const occluded = new Float64Array(explained.length * stride)
  for (const [position, { row }] of explained.entries()) {
    writeOcclusions(row, usual, occluded, position * stride)
  }
  const scores = await score(occluded, explained.length * FEATURE_COUNT)
  if (verify !== null) await askAgain(explained, scores, usual, verify.verifier)
  return explained.map(({ row, score: own }, position) =>
    reasonsOf(row, usual, own, scores, position * FEATURE_COUNT),
  )
}

/** A feature at its usual value, of a row that the large net has decided. */
interface Candidate {
  readonly position: number
  readonly feature: number
  readonly row: Float64Array
  readonly verified: VerifiedRow
}

/**
 * Of verified rows, puts the large net's scores for the features that matter most to the small one in place of the
 * small one's, and NaN for the others. All rows are asked about together.
 */
async function askAgain(
  explained: readonly Explained[],
  scores: Float64Array,
  usual: readonly number[],
  verifier: Verifier,
): Promise<void> {
  const candidates: Candidate[] = []
  for (const [position, { row, draftScore, verified }] of explained.entries()) {
    if (verified === null) continue
    const from = position * FEATURE_COUNT
    for (const { feature } of rankedDrops(draftScore, scores, from).slice(0, CANDIDATES_MAX)) {
      candidates.push({ position, feature, row, verified })
    }
    scores.fill(NaN, from, from + FEATURE_COUNT)
  }
  if (candidates.length === 0) return
  const rows = new Float64Array(candidates.length * FEATURE_COUNT)
  const sequences = new Float64Array(candidates.length * SEQUENCE_LENGTH)
  const amountsMinor = new Float64Array(candidates.length)
  for (const [at, { feature, row, verified }] of candidates.entries()) {
    const value = usual[feature] ?? NaN
    rows.set(row, at * FEATURE_COUNT)
    rows[at * FEATURE_COUNT + feature] = value
    sequences.set(verified.sequence, at * SEQUENCE_LENGTH)
    // The sequence compares earlier amounts with this one.
    amountsMinor[at] = feature === AMOUNT_FEATURE ? value * MINOR_PER_UNIT : verified.amountMinor
  }
  const found = await verifier.score({ rows, sequences, amountsMinor }, candidates.length)
  for (const [at, { position, feature }] of candidates.entries()) {
    scores[position * FEATURE_COUNT + feature] = found[at] ?? NaN
  }
}
