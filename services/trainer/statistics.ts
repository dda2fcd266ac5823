// Checked access to arrays, ranking, quantiles, mean and deviation, and seeded randomness.

import assert from 'node:assert/strict'

/** The value at an index that must be inside the array. */
export function valueAt(values: ArrayLike<number>, index: number): number {
  const value = values[index]
  if (value === undefined) assert.fail(`index ${index} is outside of ${values.length} values`)
  return value
}

/** The values at these indices, in their order. */
export function gathered<Values extends Float64Array | Uint8Array | Uint32Array>(
  values: Values,
  indices: ArrayLike<number>,
): Values {
  const result = new (values.constructor as new (length: number) => Values)(indices.length)
  for (let at = 0; at < indices.length; at += 1) result[at] = valueAt(values, valueAt(indices, at))
  return result
}

/** Positions of the scores from the highest to the lowest; the first one comes first among equals. */
export function rankedRows(scores: Float64Array): number[] {
  return Array.from(scores.keys()).sort((a, b) => valueAt(scores, b) - valueAt(scores, a) || a - b)
}

/** The value below which this share lies, without interpolation. There must be a value. */
export function quantileOf(ascending: Float64Array, share: number): number {
  return valueAt(ascending, Math.floor((ascending.length - 1) * share))
}

/** The quantiles at ascending shares, each value once; none without values. */
export function distinctQuantiles(
  ascending: Float64Array,
  shares: readonly number[],
): readonly number[] {
  if (ascending.length === 0) return []
  return [...new Set(shares.map((share) => quantileOf(ascending, share)))]
}

/** Mean and standard deviation of these values; the deviation is not corrected for a sample. */
export interface Spread {
  readonly mean: number
  readonly deviation: number
}

/** Both are 0 without values. */
export function spreadOf(values: readonly number[]): Spread {
  const count = Math.max(1, values.length)
  const mean = values.reduce((sum, value) => sum + value, 0) / count
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(squares / count) }
}

/** The indices 0 to count - 1 in an order that depends on the seed and the epoch only (Fisher-Yates). */
export function shuffled(count: number, seed: number, epoch: number): Uint32Array {
  const next = randomOf(Math.imul(seed, 0x9e3779b1) ^ Math.imul(epoch, 0x85ebca6b))
  const order = Uint32Array.from({ length: count }, (_, index) => index)
  for (let index = count - 1; index > 0; index -= 1) {
    const other = Math.floor(next() * (index + 1))
    const swapped = valueAt(order, index)
    order[index] = valueAt(order, other)
    order[other] = swapped
  }
  return order
}

/** Numbers in [0, 1) from a 32-bit state: a Weyl sequence with its bits well mixed. */
export function randomOf(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x9e3779b9) >>> 0
    let mixed = state
    mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 0x1_0000_0000
  }
}
