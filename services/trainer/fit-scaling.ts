// Learns, from training rows alone, how features become inputs of a net.

import { CODE_UNIT } from '../core/features/catalogue/feature-definition.ts'
import { FEATURES, FEATURE_COUNT, FEATURE_NAMES } from '../core/features/catalogue/feature-list.ts'
import { rampInputs } from '../core/scoring/ramps.ts'
import type { FeatureScaling } from '../core/scoring/scaling.ts'
import { commonest, fitCodeRamps, fitCodes, fitRamps, fitSteps } from './fit-edges.ts'
import { quantileOf } from './quantiles.ts'

/** Inputs stay within this many standard deviations: far beyond, they all mean "very far". */
const CLIP = 8

/** A tail this many times longer than the middle is folded by a logarithm. */
const LONG_TAIL = 5

/** Absence of at least this share of the rows is worth an input of its own. */
const ABSENT_SHARE_MIN = 0.001

/** Features that are told once more by the code that is the value of another. */
const BY_CODE: Readonly<Record<string, string>> = { amount: 'merchant_category' }

/** Scaling of each feature, in order, over the given rows; their truth says where steps stand. */
export function fitScaling(
  rows: Float64Array,
  indices: Uint32Array,
  truth: Uint8Array,
): readonly FeatureScaling[] {
  const absencePatterns = new Set<number>()
  return FEATURES.map(({ name, absence, unit }, feature) => {
    const { values, frauds, pattern } = columnOf(rows, indices, feature, truth)
    const transform = isLongTailed(values) ? 'log1p' : 'none'
    const { center, scale } = momentsOf(transform === 'log1p' ? values.map(Math.log1p) : values)
    const canBeAbsent = absence !== 'never'
    const absentShare = 1 - values.length / indices.length
    // Features that are absent together share one input.
    const absentInput =
      canBeAbsent && absentShare >= ABSENT_SHARE_MIN && !absencePatterns.has(pattern)
    if (absentInput) absencePatterns.add(pattern)
    return {
      feature: name,
      transform,
      center,
      scale,
      clip: CLIP,
      // Also where a value is never absent by its definition: without state it is degraded.
      absentValue: usualOf(values, unit),
      absentInput,
      ...stepsAndRamps(values, frauds, unit, indices.length),
      byCode: byCodeOf(name, rows, indices, feature),
    }
  })
}

/**
 * Those that tell more than they cost: each is an input, and a weight of a net that learns from n rows costs ln(n) / 2 nats to
 * describe (minimum description length, Rissanen 1978). Else the many inputs of features that tell little drown the few
 * that tell much.
 */
function stepsAndRamps(
  values: Float64Array,
  frauds: Uint32Array,
  unit: string,
  rowCount: number,
): Pick<FeatureScaling, 'steps' | 'ramps'> {
  const { steps, gain } = fitSteps(values, frauds)
  const ramps = fitRamps(values)
  const inputs = steps.length + rampInputs(ramps)
  const isWorth = gain >= (inputs * Math.log(rowCount)) / 2
  // The number of a code says nothing by itself.
  if (unit === CODE_UNIT) return { steps: isWorth ? steps : [], ramps: fitCodes(values) }
  return isWorth ? { steps, ramps } : { steps: [], ramps: [] }
}

function byCodeOf(
  name: string,
  rows: Float64Array,
  indices: Uint32Array,
  feature: number,
): FeatureScaling['byCode'] {
  const codeFeature = BY_CODE[name]
  if (codeFeature === undefined) return null
  const codeAt = FEATURE_NAMES.indexOf(codeFeature)
  const at = (row: number, column: number): number => rows[row * FEATURE_COUNT + column] ?? NaN
  const both = indices.filter(
    (row) => !Number.isNaN(at(row, feature)) && !Number.isNaN(at(row, codeAt)),
  )
  const ramps = fitCodeRamps(
    Float64Array.from(both, (row) => at(row, codeAt)),
    Float64Array.from(both, (row) => at(row, feature)),
  )
  return ramps === null ? null : { feature: codeFeature, ...ramps }
}

/** What is usual of each feature over the given rows: the median, of codes the commonest; 0 where it is always absent. */
export function usualValues(rows: Float64Array, indices: Uint32Array): readonly number[] {
  return FEATURES.map(({ unit }, feature) =>
    usualOf(columnOf(rows, indices, feature, NO_TRUTH).values, unit),
  )
}

function usualOf(ascending: Float64Array, unit: string): number {
  return unit === CODE_UNIT ? (commonest(ascending)[0] ?? 0) : quantileOf(ascending, 0.5)
}

interface Column {
  /** Present values, ascending. */
  readonly values: Float64Array
  /** At i: frauds among the first i of them. */
  readonly frauds: Uint32Array
  /** Hash of which rows are absent. */
  readonly pattern: number
}

const NO_TRUTH = new Uint8Array()

function columnOf(
  rows: Float64Array,
  indices: Uint32Array,
  feature: number,
  truth: Uint8Array,
): Column {
  const valueOf = (row: number): number => rows[row * FEATURE_COUNT + feature] ?? NaN
  let pattern = 0
  for (const row of indices) {
    pattern = (Math.imul(pattern, 31) + (Number.isNaN(valueOf(row)) ? 1 : 0)) >>> 0
  }
  const present = indices.filter((row) => !Number.isNaN(valueOf(row)))
  const values = Float64Array.from(present, valueOf).sort()
  const ofFrauds = Float64Array.from(
    present.filter((row) => truth[row] === 1),
    valueOf,
  ).sort()
  // Exact where two values differ, which is where a step may stand.
  const frauds = new Uint32Array(values.length + 1)
  let below = 0
  for (const [at, value] of values.entries()) {
    while (below < ofFrauds.length && (ofFrauds[below] ?? 0) < value) below += 1
    frauds[at] = below
  }
  frauds[values.length] = ofFrauds.length
  return { values, frauds, pattern }
}

function isLongTailed(values: Float64Array): boolean {
  const first = values[0] ?? 0
  return first >= 0 && quantileOf(values, 0.99) > LONG_TAIL * Math.max(1, quantileOf(values, 0.5))
}

function momentsOf(values: Float64Array): { center: number; scale: number } {
  if (values.length === 0) return { center: 0, scale: 1 }
  let sum = 0
  for (const value of values) sum += value
  const center = sum / values.length
  let squares = 0
  for (const value of values) squares += (value - center) ** 2
  const deviation = Math.sqrt(squares / values.length)
  return { center, scale: deviation > 1e-9 ? deviation : 1 }
}
