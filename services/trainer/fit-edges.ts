// Learns where a feature's value means something else: quantiles for ramps, the commonest values of a code, and the splits
// of a small decision tree on that feature alone for steps.

import type { CodeRamps } from '../core/scoring/code-ramps.ts'
import { distinctQuantiles, quantileOf } from './quantiles.ts'

/** Shares of the present values at which ramps have their edges: dense in the tails, where frauds are. */
export const RAMP_SHARES = [
  0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999,
] as const

/** Most codes of a feature that have inputs of their own. */
const CODES_MAX = 32

/** Values of a code that edges of its own need, and the shares at which they stand: dense where an amount is large for it. */
const CODE_ROWS_MIN = 200
const CODE_SHARES = [
  0, 0.05, 0.1, 0.25, 0.5, 0.75, 0.85, 0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.9995,
] as const

/** Most steps of a feature; fewest rows on each side of one; least information that one must tell, in nats. */
const STEPS_MAX = 7
const SIDE_ROWS_MIN = 10
const GAIN_MIN = 6

/** Edges of ramps over ascending values: distinct quantiles. Empty for a feature of fewer than three values. */
export function fitRamps(ascending: Float64Array): readonly number[] {
  const edges = distinctQuantiles(ascending, RAMP_SHARES)
  return edges.length < 3 ? [] : edges
}

/**
 * Edges of ramps over ascending codes: those that are common, so that each of them has inputs of its own from which the
 * first layer of a net can make any number. What is seldom or new lies between two of them. Empty for fewer than two.
 */
export function fitCodes(ascending: Float64Array): readonly number[] {
  const edges = commonCodes(ascending)
  return edges.length < 2 ? [] : edges
}

/** Edges of the values beside each code that is common, and of all values. Null where fewer than two codes are. */
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

/** Codes that at least `rowsMin` rows have, the CODES_MAX commonest of them, ascending. */
export function commonCodes(ascending: Float64Array, rowsMin = SIDE_ROWS_MIN): readonly number[] {
  return commonest(ascending, rowsMin)
    .slice(0, CODES_MAX)
    .toSorted((a, b) => a - b)
}

/** Values that at least `rowsMin` rows have, the commonest first, of those as common as each other the smaller. */
export function commonest(ascending: Float64Array, rowsMin = SIDE_ROWS_MIN): readonly number[] {
  const counts = new Map<number, number>()
  for (const value of ascending) counts.set(value, (counts.get(value) ?? 0) + 1)
  return [...counts]
    .filter(([, count]) => count >= rowsMin)
    .sort(([, a], [, b]) => b - a)
    .map(([value]) => value)
}

/** A stretch of the sorted values, and where to cut it best. */
interface Stretch {
  readonly from: number
  readonly to: number
  /** Index of the first value above the cut; -1 when nothing is gained. */
  readonly cut: number
  readonly gain: number
}

/** What a feature tells by itself. */
export interface FeatureSteps {
  /** Where it means something else: ascending, each halfway between two values. */
  readonly steps: readonly number[]
  /** What they tell of which rows are frauds, in nats over all rows. */
  readonly gain: number
}

/**
 * Splits of a decision tree that is grown best first (information gain, as in Quinlan 1986): `frauds[i]` counts the
 * frauds among the first i of the ascending values.
 */
export function fitSteps(ascending: Float64Array, frauds: Uint32Array): FeatureSteps {
  const steps: number[] = []
  let gain = 0
  const stretches = [bestCut(ascending, frauds, 0, ascending.length)]
  while (steps.length < STEPS_MAX) {
    stretches.sort((a, b) => b.gain - a.gain || a.from - b.from)
    const best = stretches.shift()
    if (best === undefined || best.gain < GAIN_MIN) break
    const { from, to, cut } = best
    gain += best.gain
    steps.push(((ascending[cut - 1] ?? 0) + (ascending[cut] ?? 0)) / 2)
    stretches.push(bestCut(ascending, frauds, from, cut), bestCut(ascending, frauds, cut, to))
  }
  return { steps: [...new Set(steps)].sort((a, b) => a - b), gain }
}

function bestCut(values: Float64Array, frauds: Uint32Array, from: number, to: number): Stretch {
  const countBefore = frauds[from] ?? 0
  const all = (frauds[to] ?? 0) - countBefore
  const whole = impurity(all, to - from)
  let gain = 0
  let cut = -1
  for (let at = from + SIDE_ROWS_MIN; at <= to - SIDE_ROWS_MIN; at += 1) {
    if (values[at] === values[at - 1]) continue
    const left = (frauds[at] ?? 0) - countBefore
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
