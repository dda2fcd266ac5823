// What rows would have scored with one feature changed, or a few, and all others as they were. Of a cascade the net that
// would have decided answers: the small one outside the band, the large one inside, if it answered for the row as it was.

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
  /** What the large net read of the row as it was; null when the draft decided. */
  readonly verified: VerifiedRow | null
}

/** One score a row, in order; all rows are one question to each net. */
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

/** Puts the large net's scores in place of the small one's where it would have decided. */
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
    // Changes of one row stand beside each other, and read the same payments before it.
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

/** The sequence compares earlier amounts with this one. */
function amountMinorOf({ changes }: ChangedRow, { amountMinor }: VerifiedRow): number {
  const amount = changes.find(({ feature }) => feature === AMOUNT_FEATURE)
  return amount === undefined ? amountMinor : Math.round(amount.value * MINOR_PER_UNIT)
}

function writeChanged({ row, changes }: ChangedRow, target: Float64Array, at: number): void {
  target.set(row, at * FEATURE_COUNT)
  for (const { feature, value } of changes) target[at * FEATURE_COUNT + feature] = value
}
