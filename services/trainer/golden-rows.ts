// Chooses the rows of the golden vectors: spread over all scores, and the edges of what a row can hold.

import { FEATURE_COUNT } from '../core/features/feature-list.ts'
import type { FeatureScaling } from '../core/scoring/scaling.ts'

export const GOLDEN_ROWS = 128

/** Raw rows: GOLDEN_ROWS, the last of which cannot be scored. `order` lists rows from low to high scores. */
export function goldenRows(
  rows: Float64Array,
  order: Uint32Array,
  scaling: readonly FeatureScaling[],
): Float64Array {
  const usual = scaling.map(({ absentValue, center }) => absentValue ?? center)
  const edges = [
    scaling.map(() => 0),
    scaling.map(() => 1e9),
    scaling.map(() => -1e9),
    scaling.map(({ absentValue }) => (absentValue === null ? 0 : NaN)),
    ...scaling
      .flatMap(({ absentValue }, feature) => (absentValue === null ? [] : [feature]))
      .map((absent) => usual.map((value, feature) => (feature === absent ? NaN : value))),
    scaling.map(() => Infinity),
  ].slice(-GOLDEN_ROWS)
  const chosen = new Float64Array(GOLDEN_ROWS * FEATURE_COUNT)
  const spread = GOLDEN_ROWS - edges.length
  for (let index = 0; index < spread; index += 1) {
    const rank = Math.floor((index * (order.length - 1)) / Math.max(1, spread - 1))
    const from = (order[rank] ?? 0) * FEATURE_COUNT
    chosen.set(rows.subarray(from, from + FEATURE_COUNT), index * FEATURE_COUNT)
  }
  for (const [index, edge] of edges.entries()) chosen.set(edge, (spread + index) * FEATURE_COUNT)
  return chosen
}
