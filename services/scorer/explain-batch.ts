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
  const reasons: (readonly Reason[])[] = []
  for (const [position, each] of explained.entries()) {
    const own = scores.subarray(position * FEATURE_COUNT, (position + 1) * FEATURE_COUNT)
    const { verified } = each
    const asked =
      verify === null || verified === null
        ? own
        : await askedAgain(each, verified, own, usual, verify.verifier)
    reasons.push(reasonsOf(each.row, usual, each.score, asked, 0))
  }
  return reasons
}

/** Scores of the large net for the features that matter most to the small one; NaN for the others. */
async function askedAgain(
  { row, draftScore }: Explained,
  { sequence, amountMinor }: VerifiedRow,
  draftScores: Float64Array,
  usual: readonly number[],
  verifier: Verifier,
): Promise<Float64Array> {
  const candidates = rankedDrops(draftScore, draftScores, 0)
    .slice(0, CANDIDATES_MAX)
    .map(({ feature }) => feature)
  const found = new Float64Array(FEATURE_COUNT).fill(NaN)
  if (candidates.length === 0) return found
  const rows = new Float64Array(candidates.length * FEATURE_COUNT)
  const sequences = new Float64Array(candidates.length * SEQUENCE_LENGTH)
  const amountsMinor = new Float64Array(candidates.length).fill(amountMinor)
  for (const [at, feature] of candidates.entries()) {
    rows.set(row, at * FEATURE_COUNT)
    rows[at * FEATURE_COUNT + feature] = usual[feature] ?? NaN
    sequences.set(sequence, at * SEQUENCE_LENGTH)
    // The sequence compares earlier amounts with this one.
    if (feature === AMOUNT_FEATURE) amountsMinor[at] = (usual[feature] ?? 0) * MINOR_PER_UNIT
  }
  const scores = await verifier.score({ rows, sequences, amountsMinor }, candidates.length)
  for (const [at, feature] of candidates.entries()) found[feature] = scores[at] ?? NaN
  return found
}
