// Scores rows with one or a few features changed. For a cascade, the net that would have decided answers: the small one
// outside the band; the large one inside, provided that it answered for the original row.

import { needsVerification } from '../../core/scoring/cascade.ts'
import { SEQUENCE_LENGTH } from '../../core/features/engine/card-sequence.ts'
import { FEATURE_COUNT, FEATURE_NAMES } from '../../core/features/catalogue/feature-list.ts'
import type { Verifier } from '../../core/scoring/scoring-model.ts'
import type { DecideOptions } from './decide-options.ts'
import type { VerifiedRow } from '../batch/verify-rows.ts'

const AMOUNT_FEATURE = FEATURE_NAMES.indexOf('amount')
const MINOR_PER_UNIT = 100

export interface Change {
  readonly feature: number
  readonly value: number
}

/** A row with features changed. */
export interface ChangedRow {
  readonly row: Float64Array
  readonly changes: readonly Change[]
  /** Input of the large net for the original row; null when the first stage decided. */
  readonly verified: VerifiedRow | null
}

/** One score per row, in order. All rows are one call of each net. */
export async function scoreChanged(
  changed: readonly ChangedRow[],
  { score, verify }: Pick<DecideOptions, 'score' | 'verify'>,
): Promise<Float64Array> {
  const matrix = new Float64Array(changed.length * FEATURE_COUNT)
  for (const [at, each] of changed.entries()) writeChanged(each, matrix, at)
  const scores = await score(matrix, changed.length)
  if (verify !== null) await verifyChanged(changed, scores, verify.verifier)
  return scores
}

/** Replaces the small net's scores by the large net's where the large net would have decided. */
export async function verifyChanged(
  changed: readonly ChangedRow[],
  scores: Float64Array,
  verifier: Verifier,
): Promise<void> {
  const asked = changed.flatMap(({ verified }, at) =>
    verified !== null && needsVerification(scores[at] ?? NaN, verifier.verifyFrom) ? [at] : [],
  )
  if (asked.length === 0) return
  const rows = new Float64Array(asked.length * FEATURE_COUNT)
  const sequenceOf = new Uint32Array(asked.length)
  const read: VerifiedRow[] = []
  for (const [place, at] of asked.entries()) {
    const each = changed[at]
    if (each === undefined || each.verified === null) continue
    writeChanged(each, rows, place)
    const own = { ...each.verified, amountMinor: amountMinorOf(each, each.verified) }
    const last = read.at(-1)
    // Changes of one row are adjacent, and share the payments before it.
    if (last?.sequence !== own.sequence || last.amountMinor !== own.amountMinor) read.push(own)
    sequenceOf[place] = read.length - 1
  }
  const sequences = new Float64Array(read.length * SEQUENCE_LENGTH)
  for (const [at, { sequence }] of read.entries()) sequences.set(sequence, at * SEQUENCE_LENGTH)
  const amountsMinor = Float64Array.from(read, ({ amountMinor }) => amountMinor)
  const question = { rows, sequences, amountsMinor, sequenceOf }
  const found = await verifier.score(question, asked.length)
  for (const [place, at] of asked.entries()) scores[at] = found[place] ?? NaN
}

/** The amount that the sequence compares earlier amounts with. */
function amountMinorOf({ changes }: ChangedRow, { amountMinor }: VerifiedRow): number {
  const amount = changes.find(({ feature }) => feature === AMOUNT_FEATURE)
  return amount === undefined ? amountMinor : Math.round(amount.value * MINOR_PER_UNIT)
}

function writeChanged({ row, changes }: ChangedRow, target: Float64Array, at: number): void {
  target.set(row, at * FEATURE_COUNT)
  for (const { feature, value } of changes) target[at * FEATURE_COUNT + feature] = value
}
