// Second stage of the cascade: rows whose first-stage score lies in the band go to the large net, all of a batch
// together, highest scores first. The deadline wins: a row that the large net has not answered in time keeps its
// first-stage score.

import { isScore } from '../../core/decision/decide.ts'
import { isSampled, needsVerification } from '../../core/scoring/cascade.ts'
import { SEQUENCE_LENGTH, writeSequence } from '../../core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import type { PartitionState } from '../../core/features/engine/fold-state.ts'
import { hashOf } from '../../core/id-hash.ts'
import type { Verifier } from '../../core/scoring/scoring-model.ts'
import type { Transaction } from '../../core/transaction.ts'

/** Rows per call of the large net. The deadline is checked between calls. */
const SLICE_ROWS = 128

/** A scored row, and the fields that find its card's earlier payments. */
export interface Verifiable {
  readonly transaction: Transaction
  readonly features: Float64Array
  /** Only earlier offsets count (see writeSequence). */
  readonly nextOffset: number
  readonly amountMinor: number
  readonly draftScore: number
}

/** Answers of the large net, by position of the row. */
export interface Verified {
  /** Rows that it answered, with the input that it read, for later questions about the same row. */
  readonly answers: ReadonlyMap<number, VerifiedRow>
  /** Rows in the band that keep their first-stage score. */
  readonly unanswered: ReadonlySet<number>
  /** Rows outside of the band that are scored only for comparison: their scores decide nothing. */
  readonly sampled: ReadonlyMap<number, number>
}

export interface VerifiedRow {
  readonly score: number
  readonly sequence: Float64Array
  readonly amountMinor: number
}

export const NOTHING_VERIFIED: Verified = {
  answers: new Map(),
  unanswered: new Set(),
  sampled: new Map(),
}

export interface VerifyOptions {
  readonly verifier: Verifier
  /** Infinity in an aligned replay, where the log alone decides. */
  readonly timeoutMs: number
}

/** Without state (null) there are no earlier payments to read, so first-stage scores stand. */
export async function verifyRows(
  rows: readonly Verifiable[],
  state: Pick<PartitionState, 'card'> | null,
  { verifier, timeoutMs }: VerifyOptions,
): Promise<Verified> {
  const band: number[] = []
  const sample: number[] = []
  for (const [position, { draftScore, transaction }] of rows.entries()) {
    if (!isScore(draftScore)) continue
    if (needsVerification(draftScore, verifier.verifyFrom)) band.push(position)
    else if (isSampled(transaction.id, verifier.sampleShare)) sample.push(position)
  }
  if (band.length + sample.length === 0) return NOTHING_VERIFIED
  if (state === null) return { ...NOTHING_VERIFIED, unanswered: new Set(band) }
  band.sort((a, b) => (rows[b]?.draftScore ?? 0) - (rows[a]?.draftScore ?? 0) || a - b)
  const asked = [...band, ...sample]
  const answers = new Map<number, VerifiedRow>()
  const sampled = new Map<number, number>()
  const endMs = performance.now() + timeoutMs
  for (let start = 0; start < asked.length; start += SLICE_ROWS) {
    if (performance.now() >= endMs) break
    const slice = asked.slice(start, start + SLICE_ROWS)
    const question = questionOf(
      slice.map((position) => rows[position]).filter((row) => row !== undefined),
      state,
    )
    const scores = await beforeEnd(verifier.score(question, slice.length), endMs)
    if (scores === null) break
    for (const [at, position] of slice.entries()) {
      const score = scores[at] ?? NaN
      if (start + at >= band.length) sampled.set(position, score)
      else if (isScore(score)) {
        const from = at * SEQUENCE_LENGTH
        answers.set(position, {
          score,
          sequence: question.sequences.subarray(from, from + SEQUENCE_LENGTH),
          amountMinor: question.amountsMinor[at] ?? 0,
        })
      }
    }
  }
  return { answers, sampled, unanswered: new Set(band.filter((row) => !answers.has(row))) }
}

function questionOf(
  rows: readonly Verifiable[],
  state: Pick<PartitionState, 'card'>,
): Parameters<Verifier['score']>[0] {
  const features = new Float64Array(rows.length * FEATURE_COUNT)
  const sequences = new Float64Array(rows.length * SEQUENCE_LENGTH)
  const amountsMinor = new Float64Array(rows.length)
  const out = { values: sequences, position: 0 }
  for (const [at, row] of rows.entries()) {
    const { id, card, eventTimeMs } = row.transaction
    features.set(row.features, at * FEATURE_COUNT)
    amountsMinor[at] = row.amountMinor
    out.position = at * SEQUENCE_LENGTH
    writeSequence(state.card(card), eventTimeMs, hashOf(id), row.nextOffset, out)
  }
  return { rows: features, sequences, amountsMinor }
}

/** Null when the deadline passes before the answer arrives. */
async function beforeEnd<Answer>(answer: Promise<Answer>, endMs: number): Promise<Answer | null> {
  if (endMs === Infinity) return await answer
  const leftMs = Math.max(0, endMs - performance.now())
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<null>((resolve) => {
    timer = setTimeout(resolve, leftMs, null)
  })
  try {
    return await Promise.race([answer, over])
  } finally {
    clearTimeout(timer)
  }
}
