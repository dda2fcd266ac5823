// Golden vectors: raw feature rows with the scores that the trainer saw. A backend that does not reproduce
// them computes another model.

import { FieldReader, corrupt } from './field-reader.ts'

/** How far a backend's score may be from the trainer's. */
export const GOLDEN_TOLERANCE = 1e-5

const GOLDEN_ROWS_MAX = 4_096

/** Rows as the feature code writes them, and their scores; NaN is absent, or not scored. */
export interface GoldenVectors {
  readonly rowCount: number
  readonly rows: Float64Array
  readonly scores: Float64Array
}

/** As stored: JSON has neither NaN, for which null stands, nor an infinite number, which is written as a word. */
export function goldenToJson({ rowCount, rows, scores }: GoldenVectors): unknown {
  const featureCount = rows.length / rowCount
  const entries: unknown[] = []
  for (let row = 0; row < rowCount; row += 1) {
    entries.push({
      features: Array.from(rows.subarray(row * featureCount, (row + 1) * featureCount), toJson),
      score: toJson(scores[row] ?? NaN),
    })
  }
  return { vectors: entries }
}

/** @throws SluiceError SLUICE_MODEL_CORRUPT naming what is wrong. */
export function checkGolden(value: unknown, featureCount: number): GoldenVectors {
  const fields = new FieldReader(value, 'golden.json')
  const vectors = fields.objects('vectors', GOLDEN_ROWS_MAX, (vector) => ({
    features: vector.array('features', featureCount, numberOrNan),
    score: vector.numberOrNull('score') ?? NaN,
  }))
  fields.end()
  if (vectors.length === 0) throw corrupt('golden.json has no vectors')
  const rows = new Float64Array(vectors.length * featureCount)
  const scores = new Float64Array(vectors.length)
  for (const [index, { features, score }] of vectors.entries()) {
    if (features.length !== featureCount) {
      throw corrupt(
        `golden.json.vectors[${index}] has ${features.length} features of ${featureCount}`,
      )
    }
    rows.set(features, index * featureCount)
    scores[index] = score
  }
  return { rowCount: vectors.length, rows, scores }
}

/** Largest difference; Infinity when one is scored where the other is not. */
export function goldenError(expected: Float64Array, found: Float64Array): number {
  let errorMax = expected.length === found.length ? 0 : Infinity
  for (let row = 0; row < expected.length; row += 1) {
    const one = expected[row] ?? NaN
    const other = found[row] ?? NaN
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
