// Golden vectors: raw feature rows with the scores that the trainer computed. A backend that does not reproduce them
// computes another model.

import assert from 'node:assert/strict'
import { SEQUENCE_LENGTH } from '../features/engine/card-sequence.ts'
import { FieldReader, corrupt } from './field-reader.ts'

/** Largest allowed difference between a backend's score and the trainer's. */
export const GOLDEN_TOLERANCE = 1e-5

const GOLDEN_ROWS_MAX = 4_096

/** Rows as the feature code writes them, and their scores; NaN means absent, or not scored. */
export interface GoldenVectors {
  readonly rowCount: number
  readonly rows: Float64Array
  readonly scores: Float64Array
  /** Additional input of a sequence model; null for a net that reads features only. */
  readonly sequences: {
    /** SEQUENCE_LENGTH numbers per row. */
    readonly values: Float64Array
    readonly amountsMinor: Float64Array
  } | null
}

/**
 * The stored form. JSON has neither NaN, which is written as null, nor an infinite number, which is written as a
 * string.
 */
export function goldenToJson({ rowCount, rows, scores, sequences }: GoldenVectors): unknown {
  const featureCount = rows.length / rowCount
  assert(scores.length === rowCount, 'Every golden row has a score, be it NaN.')
  assert(sequences === null || sequences.amountsMinor.length === rowCount)
  const entries: unknown[] = []
  for (const [row, score] of scores.entries()) {
    entries.push({
      features: Array.from(rows.subarray(row * featureCount, (row + 1) * featureCount), toJson),
      ...(sequences === null
        ? {}
        : {
            amountMinor: sequences.amountsMinor[row],
            sequence: Array.from(
              sequences.values.subarray(row * SEQUENCE_LENGTH, (row + 1) * SEQUENCE_LENGTH),
              toJson,
            ),
          }),
      score: toJson(score),
    })
  }
  return { vectors: entries }
}

/**
 * Checks the stored form; `withSequences` for the vectors of a sequence model.
 * @throws SluiceError SLUICE_MODEL_CORRUPT naming the problem.
 */
export function checkGolden(
  value: unknown,
  featureCount: number,
  file: string,
  withSequences: boolean,
): GoldenVectors {
  const fields = new FieldReader(value, file)
  const vectors = fields.objects('vectors', GOLDEN_ROWS_MAX, (vector) => ({
    features: vector.array('features', featureCount, numberOrNan),
    amountMinor: withSequences ? vector.number('amountMinor') : 0,
    sequence: withSequences ? vector.array('sequence', SEQUENCE_LENGTH, numberOrNan) : [],
    score: vector.numberOrNull('score') ?? NaN,
  }))
  fields.end()
  if (vectors.length === 0) throw corrupt(`${file} has no vectors`)
  const rows = new Float64Array(vectors.length * featureCount)
  const scores = new Float64Array(vectors.length)
  const sequences = {
    values: new Float64Array(vectors.length * SEQUENCE_LENGTH),
    amountsMinor: new Float64Array(vectors.length),
  }
  for (const [index, { features, amountMinor, sequence, score }] of vectors.entries()) {
    if (features.length !== featureCount) {
      throw corrupt(`${file}.vectors[${index}] has ${features.length} features of ${featureCount}`)
    }
    if (withSequences && sequence.length !== SEQUENCE_LENGTH) {
      throw corrupt(`${file}.vectors[${index}] has a sequence of ${sequence.length} numbers`)
    }
    rows.set(features, index * featureCount)
    sequences.values.set(sequence, index * SEQUENCE_LENGTH)
    sequences.amountsMinor[index] = amountMinor
    scores[index] = score
  }
  return { rowCount: vectors.length, rows, scores, sequences: withSequences ? sequences : null }
}

/** Largest difference; Infinity when a row is scored in one array only. */
export function goldenError(expected: Float64Array, found: Float64Array): number {
  if (expected.length !== found.length) return Infinity
  let errorMax = 0
  for (const [row, one] of expected.entries()) {
    const other = found[row] as number
    if (Number.isNaN(one) && Number.isNaN(other)) continue
    const error = Math.abs(one - other)
    errorMax = Number.isNaN(error) ? Infinity : Math.max(errorMax, error)
  }
  return errorMax
}

const INFINITE = 'Infinity'

function toJson(value: number): number | string | null {
  if (Number.isNaN(value)) return null
  return value === Infinity ? INFINITE : value
}

function numberOrNan(value: unknown, path: string): number {
  if (value === null) return NaN
  if (value === INFINITE) return Infinity
  if (typeof value === 'number') return value
  throw corrupt(`${path} must be a number, or null for absent`)
}
