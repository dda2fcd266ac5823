// Learns, from training rows alone, how features and a card's last payments become inputs of a net: scaling, quantiles
// as the edges of ramps, the most common codes, and the splits of a small decision tree on one feature as steps.

import { CODE_UNIT } from '../../core/features/catalogue/feature-definition.ts'
import {
  FEATURES,
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../core/features/catalogue/feature-list.ts'
import { rampInputs, type FeatureScaling, type CodeRamps } from '../../core/scoring/scaling.ts'
import { distinctQuantiles, quantileOf, valueAt } from '../statistics.ts'
import {
  SEQUENCE_EVENTS,
  SEQUENCE_LENGTH,
  SEQUENCE_WIDTH,
} from '../../core/features/engine/card-sequence.ts'
import { HOUR_MS } from '../../core/features/catalogue/time.ts'
import { medianAmount, type SequenceEncoding } from '../../core/scoring/sequence-encoding.ts'
import type { RowSource } from '../net/net-passes.ts'

/** Inputs are clipped to this many standard deviations: beyond it, they all mean "very far". */
const CLIP = 8

/** A tail this many times longer than the median is compressed by a logarithm. */
const LONG_TAIL = 5

/** Absence in at least this share of the rows justifies an input of its own. */
const ABSENT_SHARE_MIN = 0.001

/** Features that are encoded once more relative to a code, the value of another feature. */
const BY_CODE: Readonly<Record<string, string>> = { amount: 'merchant_category' }

/** Scaling of each feature, in order, over the given rows; their truth determines the steps. */
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
      // Needed even for a feature that is never absent by definition: without state it is degraded.
      absentValue: baselineOf(values, unit),
      absentInput,
      ...stepsAndRamps(values, frauds, unit, indices.length),
      byCode: byCodeOf(name, rows, indices, feature),
    }
  })
}

/**
 * Steps and ramps that carry more information than they cost. Each is an input, and a weight of a net that learns
 * from n rows costs ln(n) / 2 nats to describe (minimum description length, Rissanen 1978). Otherwise the many inputs
 * of weak features would drown the few strong ones.
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
  // The number of a code has no meaning by itself.
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
  const at = (row: number, column: number): number => valueAt(rows, row * FEATURE_COUNT + column)
  const both = indices.filter(
    (row) => !Number.isNaN(at(row, feature)) && !Number.isNaN(at(row, codeAt)),
  )
  const ramps = fitCodeRamps(
    Float64Array.from(both, (row) => at(row, codeAt)),
    Float64Array.from(both, (row) => at(row, feature)),
  )
  return ramps === null ? null : { feature: codeFeature, ...ramps }
}

/**
 * Baseline of each feature over the given rows: the median, or the most common value of a code; 0 where it is always
 * absent, and for a code none of whose values is common.
 */
export function baselineValues(rows: Float64Array, indices: Uint32Array): readonly number[] {
  return FEATURES.map(({ unit }, feature) =>
    baselineOf(columnOf(rows, indices, feature, NO_TRUTH).values, unit),
  )
}

function baselineOf(ascending: Float64Array, unit: string): number {
  if (ascending.length === 0) return 0
  return unit === CODE_UNIT ? (mostCommon(ascending)[0] ?? 0) : quantileOf(ascending, 0.5)
}

interface Column {
  /** Present values, ascending. */
  readonly values: Float64Array
  /** At index i: frauds among the first i values. */
  readonly frauds: Uint32Array
  /** Hash of the set of absent rows. */
  readonly pattern: number
}

const NO_TRUTH = new Uint8Array()

function columnOf(
  rows: Float64Array,
  indices: Uint32Array,
  feature: number,
  truth: Uint8Array,
): Column {
  const valueOf = (row: number): number => valueAt(rows, row * FEATURE_COUNT + feature)
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
  // Exact wherever two neighbouring values differ, which is where a step may be.
  const frauds = new Uint32Array(values.length + 1)
  let below = 0
  for (const [at, value] of values.entries()) {
    while (below < ofFrauds.length && valueAt(ofFrauds, below) < value) below += 1
    frauds[at] = below
  }
  frauds[values.length] = ofFrauds.length
  return { values, frauds, pattern }
}

function isLongTailed(values: Float64Array): boolean {
  const [first] = values
  if (first === undefined) return false
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

/** Most rows that are read, evenly spread: quantiles converge long before all rows are read. */
const ROWS_MAX = 20_000

/** A fraud exceeds the earlier payments of the card, so the upper tail has more edges. */
const AGAINST_SHARES = [0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995] as const
const TYPICAL_SHARES = [0.05, 0.25, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99] as const
const AGE_SHARES = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.95] as const
/** Twelve parts of the day with equally many payments. */
const CLOCK_SHARES = Array.from({ length: 13 }, (_, index) => index / 12)

/** Fits the edges on the given rows. */
export function fitSequenceEncoding(
  { sequences, amountsMinor }: RowSource,
  indices: Uint32Array,
): SequenceEncoding {
  const against: number[] = []
  const typical: number[] = []
  const amount: number[] = []
  const age: number[] = []
  const clock: number[] = []
  const categories: number[] = []
  const ordered = new Float64Array(SEQUENCE_EVENTS)
  const stride = Math.max(1, Math.ceil(indices.length / ROWS_MAX))
  for (let index = 0; index < indices.length; index += stride) {
    const row = valueAt(indices, index)
    const from = row * SEQUENCE_LENGTH
    const middle = medianAmount(sequences, from, ordered)
    const own = Math.log1p(valueAt(amountsMinor, row))
    for (let at = from; at < from + SEQUENCE_LENGTH; at += SEQUENCE_WIDTH) {
      const amountMinor = valueAt(sequences, at)
      if (Number.isNaN(amountMinor)) break
      const logAmount = Math.log1p(amountMinor)
      against.push(own - logAmount)
      typical.push(logAmount - middle)
      amount.push(logAmount)
      age.push(Math.log1p(valueAt(sequences, at + 1) / 1_000))
      clock.push(valueAt(sequences, at + 2) / HOUR_MS)
      categories.push(valueAt(sequences, at + 3))
    }
  }
  return {
    against: edgesOf(against, AGAINST_SHARES),
    typical: edgesOf(typical, TYPICAL_SHARES),
    amount: edgesOf(amount, RAMP_SHARES),
    age: edgesOf(age, AGE_SHARES),
    clock: edgesOf(clock, CLOCK_SHARES),
    categories: commonCodes(Float64Array.from(categories.filter((each) => each !== 0)).sort()),
    amountByCategory: fitCodeRamps(Float64Array.from(categories), Float64Array.from(amount)),
  }
}

/** Distinct quantiles; a ramp from 0 to 1 when there are fewer than two. */
function edgesOf(values: number[], shares: readonly number[]): readonly number[] {
  const edges = distinctQuantiles(Float64Array.from(values).sort(), shares)
  return edges.length < 2 ? [0, 1] : edges
}

/** Shares of the present values that become edges of ramps: dense in the tails, where frauds are. */
export const RAMP_SHARES = [
  0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999,
] as const

/** Most codes of a feature that have inputs of their own. */
const CODES_MAX = 32

/**
 * Rows that a code needs to get its own edges, and the shares at which they are: dense where an amount is large for
 * the code.
 */
const CODE_ROWS_MIN = 200
const CODE_SHARES = [
  0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.9995,
] as const

/**
 * Limits of steps: their number per feature, the fewest rows on each side, and the least information gain in nats.
 */
const STEPS_MAX = 7
const SIDE_ROWS_MIN = 10
const GAIN_MIN = 6

/** Edges of ramps over ascending values: distinct quantiles. Empty for a feature of fewer than three values. */
export function fitRamps(ascending: Float64Array): readonly number[] {
  const edges = distinctQuantiles(ascending, RAMP_SHARES)
  return edges.length < 3 ? [] : edges
}

/**
 * Edges of ramps over ascending codes: the common ones. Each of them thereby gets inputs of its own, from which the
 * first layer of a net can produce any number. A rare or new code lies between two of them. Empty for fewer than two.
 */
export function fitCodes(ascending: Float64Array): readonly number[] {
  const edges = commonCodes(ascending)
  return edges.length < 2 ? [] : edges
}

/** Edges of the values of each common code, and of all values. Null for fewer than two common codes. */
export function fitCodeRamps(codes: Float64Array, values: Float64Array): CodeRamps | null {
  const common = commonCodes(codes.toSorted(), CODE_ROWS_MIN)
  if (common.length < 2) return null
  const edgesOf = (of: Float64Array): readonly number[] => {
    const ascending = of.toSorted()
    return CODE_SHARES.map((share) => quantileOf(ascending, share))
  }
  const ofCodes = common.map((code) => edgesOf(values.filter((_, at) => codes[at] === code)))
  return { codes: common, edges: [...ofCodes, edgesOf(values)] }
}

/** Codes that occur in at least `rowsMin` rows, limited to the CODES_MAX most common, ascending. */
export function commonCodes(ascending: Float64Array, rowsMin = SIDE_ROWS_MIN): readonly number[] {
  return mostCommon(ascending, rowsMin)
    .slice(0, CODES_MAX)
    .toSorted((a, b) => a - b)
}

/** Values that occur in at least `rowsMin` rows, the most common first; ties are broken by the smaller value. */
export function mostCommon(ascending: Float64Array, rowsMin = SIDE_ROWS_MIN): readonly number[] {
  const counts = new Map<number, number>()
  for (const value of ascending) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts]
    .filter(([, count]) => count >= rowsMin)
    .sort(([, a], [, b]) => b - a)
    .map(([value]) => value)
}

/** A range of the sorted values with its best split. */
interface Stretch {
  readonly from: number
  readonly to: number
  /** Index of the first value above the split; -1 when nothing is gained. */
  readonly cut: number
  readonly gain: number
}

/** Information in a single feature. */
export interface FeatureSteps {
  /** Split points, ascending, each halfway between two values. */
  readonly steps: readonly number[]
  /** Information about which rows are frauds, in nats over all rows. */
  readonly gain: number
}

/**
 * Splits of a decision tree grown best first by information gain (Quinlan 1986): `frauds[i]` counts the frauds among
 * the first i of the ascending values.
 */
export function fitSteps(ascending: Float64Array, frauds: Uint32Array): FeatureSteps {
  const steps: number[] = []
  let gain = 0
  const stretches = [bestFrontier(ascending, frauds, 0, ascending.length)]
  while (steps.length < STEPS_MAX) {
    stretches.sort((a, b) => b.gain - a.gain || a.from - b.from)
    const best = stretches.shift()
    if (best === undefined || best.gain < GAIN_MIN) break
    const { from, to, cut } = best
    gain += best.gain
    steps.push((valueAt(ascending, cut - 1) + valueAt(ascending, cut)) / 2)
    stretches.push(
      bestFrontier(ascending, frauds, from, cut),
      bestFrontier(ascending, frauds, cut, to),
    )
  }
  return { steps: [...new Set(steps)].sort((a, b) => a - b), gain }
}

function bestFrontier(
  values: Float64Array,
  frauds: Uint32Array,
  from: number,
  to: number,
): Stretch {
  const countBefore = valueAt(frauds, from)
  const all = valueAt(frauds, to) - countBefore
  const whole = impurity(all, to - from)
  let gain = 0
  let cut = -1
  for (let at = from + SIDE_ROWS_MIN; at <= to - SIDE_ROWS_MIN; at += 1) {
    if (values[at] === values[at - 1]) continue
    const left = valueAt(frauds, at) - countBefore
    const gained = whole - impurity(left, at - from) - impurity(all - left, to - at)
    if (gained <= gain) continue
    gain = gained
    cut = at
  }
  return { from, to, cut, gain }
}

/** Rows times entropy, in nats. */
function impurity(frauds: number, rows: number): number {
  if (frauds <= 0 || frauds >= rows) return 0
  const share = frauds / rows
  return -rows * (share * Math.log(share) + (1 - share) * Math.log1p(-share))
}
