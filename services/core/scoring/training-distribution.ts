// Distributions of the training rows as shares of bins, so that a drift of the live stream can be measured.
//
// A value v falls into the first bin whose edge is not below it, otherwise into the bin after the last edge; an
// absent value has a bin of its own. Edges are quantiles of the training rows, so each bin held about a tenth of
// them; where many rows share one value, there are fewer bins.

import assert from 'node:assert/strict'
import { corrupt, type FieldReader, readNumber } from './field-reader.ts'

/** Bins of values, without the bin for absent values. */
export const BINS_MAX = 10

/** Smaller shares count as this one, so that an empty bin does not make the index infinite. */
export const SHARE_FLOOR = 1e-4

/** Ascending upper ends of bins, and the shares of the bins: one more than edges, then that of absent values. */
export interface Distribution {
  readonly edges: readonly number[]
  readonly shares: readonly number[]
}

/** Distributions of each feature, in order, and of the score. */
export interface TrainingDistribution {
  readonly rows: number
  readonly features: readonly Distribution[]
  readonly score: Distribution
}

/** Computes the distribution of these values; NaN is absent. */
export function distributionOf(values: Float64Array): Distribution {
  const present = values.filter((value) => !Number.isNaN(value)).sort()
  const edges: number[] = []
  for (let bin = 1; bin < BINS_MAX; bin += 1) {
    const edge = present[Math.floor((present.length * bin) / BINS_MAX)]
    // An infinite edge could not be stored, and no value is above it.
    if (edge === undefined || !Number.isFinite(edge)) break
    // The largest value is not an edge: no value would be above it.
    if (edge > (edges.at(-1) ?? -Infinity) && edge < (present.at(-1) ?? edge)) edges.push(edge)
  }
  const counts = new Float64Array(edges.length + 2)
  for (const value of values) {
    const bin = binOf(value, edges)
    counts[bin] = (counts[bin] ?? 0) + 1
  }
  return { edges, shares: Array.from(counts, (count) => count / Math.max(1, values.length)) }
}

/** Bin of a value: 0 to `edges.length`, and `edges.length + 1` for an absent one. Hot path. */
export function binOf(value: number, edges: ArrayLike<number>): number {
  const { length } = edges
  if (Number.isNaN(value)) return length + 1
  let bin = 0
  while (bin < length && value > (edges[bin] ?? Infinity)) bin += 1
  return bin
}

/** Name of a bin as a label: its position from low to high, or "absent". */
export function binName(bin: number, { edges }: Distribution): string {
  return bin > edges.length ? 'absent' : String(bin)
}

/**
 * Population stability index of counts against shares: the sum of (q - p) ln(q / p). By convention, below 0.1 is
 * stable and above 0.25 is a different distribution. Null without counts.
 */
export function stabilityIndex(
  shares: readonly number[],
  counts: readonly number[] | Float64Array,
): number | null {
  assert(counts.length === shares.length, 'Every bin has a share and a count.')
  let total = 0
  for (const count of counts) total += count
  if (total === 0) return null
  let index = 0
  for (const [bin, count] of counts.entries()) {
    const trained = Math.max(SHARE_FLOOR, shares[bin] as number)
    const live = Math.max(SHARE_FLOOR, count / total)
    index += (live - trained) * Math.log(live / trained)
  }
  return index
}

/** Reads the fields of the type. @throws SluiceError SLUICE_MODEL_CORRUPT */
export function readTrainingDistribution(
  fields: FieldReader,
  featuresMax: number,
): TrainingDistribution {
  return {
    rows: fields.integer('rows', 1),
    features: fields.objects('features', featuresMax, readDistribution),
    score: fields.object('score', readDistribution),
  }
}

function readDistribution(fields: FieldReader): Distribution {
  const edges = fields.array('edges', BINS_MAX, readNumber)
  const shares = fields.array('shares', BINS_MAX + 1, readNumber)
  const isRising = edges.every((edge, index) => index === 0 || edge > (edges[index - 1] ?? edge))
  const sum = shares.reduce((total, share) => total + share, 0)
  if (!isRising || shares.length !== edges.length + 2 || Math.abs(sum - 1) > 1e-6) {
    throw corrupt(
      `manifest.json.trainingDistribution has ${edges.length} edges and ${shares.length} shares that sum to ${sum}; edges must ` +
        'rise, and there are two more shares than edges, which sum to 1',
    )
  }
  return { edges, shares }
}
