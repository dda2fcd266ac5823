// The first layer of a net as tables. The layer's outputs are a piecewise linear function of every raw value: steps,
// ramps and the clipped number change slope only at known edges. A ladder stores that function as vectors, with one
// entry per unit of the layer: base + t x slope in every segment, where t rises from 0 to 1.

import type { FeatureScaling } from '../../core/scoring/scaling.ts'
import { BackendProblem } from '../tensorflow/open-backend.ts'

/** Weights of one input, or a sum that inputs add to the layer: one number per unit. */
export type Vector = Float64Array

export interface Segment {
  /** Lower edge; 0 when the segment is constant. */
  readonly low: number
  /** One divided by the width; 0 when the segment is constant. */
  readonly perWidth: number
  readonly base: Vector
  /** Null when the segment is constant. */
  readonly slope: Vector | null
}

/** A value belongs to the segment after the last edge at or below it. */
export interface Ladder {
  /** Never descending. */
  readonly edges: readonly number[]
  /** One more than edges. */
  readonly segments: readonly Segment[]
}

/** Weights of the inputs of one feature, in the order of compileScaling. */
export interface FeatureWeights {
  readonly number: Vector
  /** Null without an input for absence. */
  readonly absent: Vector | null
  readonly steps: readonly Vector[]
  readonly ramps: readonly Vector[]
}

/** A clipping span narrower than this share of the feature's centre loses digits that scores need. */
const CLIP_SHARE_MIN = 2 ** -20

/**
 * A ladder of steps and ramps, and of the number itself unless it is a logarithm. Null for a logarithm without steps
 * and ramps. @throws BackendProblem when the edges are too far apart, or too close, for doubles.
 */
export function featureLadder(scaling: FeatureScaling, weights: FeatureWeights): Ladder | null {
  const edges = [...scaling.steps, ...scaling.ramps]
  if (scaling.transform === 'none') edges.push(...clipEdges(scaling))
  if (edges.length === 0) return null
  const ascending = Float64Array.from(new Set(edges)).sort()
  const outputs = (value: number, from: number): Vector => {
    const sum = encodedOutputs(scaling, weights, value, from)
    if (scaling.transform === 'none') addScaled(sum, numberInput(scaling, value), weights.number)
    return sum
  }
  const segments = [constant(outputs(-Infinity, -Infinity))]
  for (const [index, low] of ascending.entries()) {
    const high = ascending[index + 1]
    const base = outputs(low, low)
    // The function below an edge is that of the segment, whatever steps begin at the edge.
    if (high === undefined) segments.push(constant(base))
    else segments.push(rising(low, high, base, difference(outputs(high, low), base)))
  }
  return { edges: Array.from(ascending), segments }
}

/** Sum of the outputs that an absent value adds; null when the feature is never absent. */
export function absentOutputs(scaling: FeatureScaling, weights: FeatureWeights): Vector | null {
  const { absentValue } = scaling
  if (absentValue === null) return null
  const sum = encodedOutputs(scaling, weights, absentValue, absentValue)
  addScaled(sum, numberInput(scaling, absentValue), weights.number)
  if (weights.absent !== null) addScaled(sum, 1, weights.absent)
  return sum
}

/**
 * A ladder of ramps alone: with each segment one more ramp is complete, and the next is partial. Edges may be equal.
 */
export function rampLadder(edges: readonly number[], { bases, slopes }: RampVectors): Ladder {
  const [none] = bases
  if (none === undefined || slopes.length !== edges.length - 1) {
    throw new BackendProblem(null, 'ramps and their weights differ in number')
  }
  const segments = [constant(none)]
  for (const [index, low] of edges.entries()) {
    const high = edges[index + 1]
    const base = bases[index] ?? none
    const slope = slopes[index]
    // No value lies between equal edges.
    if (high === undefined || slope === undefined || high === low) segments.push(constant(base))
    else segments.push(rising(low, high, base, slope))
  }
  return { edges, segments }
}

/** Vectors of ramps, shared by ladders with other edges. */
export interface RampVectors {
  /** Sums of the weights of the first ramps: none, one, and so on up to all. */
  readonly bases: readonly Vector[]
  readonly slopes: readonly Vector[]
}

export function rampVectors(weights: readonly Vector[], width: number): RampVectors {
  const bases = [new Float64Array(width)]
  for (const vector of weights) {
    const sum = Float64Array.from(bases.at(-1) ?? [])
    addScaled(sum, 1, vector)
    bases.push(sum)
  }
  return { bases, slopes: weights }
}

export function addScaled(sum: Vector, factor: number, vector: Vector): void {
  for (const [unit, value] of vector.entries()) sum[unit] = (sum[unit] ?? NaN) + factor * value
}

/** Edges at which the clipped number stops rising. */
function clipEdges({ feature, center, scale, clip }: FeatureScaling): readonly number[] {
  const span = clip * scale
  if (!Number.isFinite(2 * span) || span < Math.abs(center) * CLIP_SHARE_MIN) {
    throw new BackendProblem(null, `the scale of "${feature}" is beyond compiled nets`)
  }
  return [center - span, center + span]
}

/** Outputs that the steps and ramps add at a value, with the steps that have begun at `from`. */
function encodedOutputs(
  { steps, ramps }: FeatureScaling,
  weights: FeatureWeights,
  value: number,
  from: number,
): Vector {
  const sum = new Float64Array(weights.number.length)
  for (const [index, vector] of weights.steps.entries()) {
    if (from >= (steps[index] ?? Infinity)) addScaled(sum, 1, vector)
  }
  for (const [index, vector] of weights.ramps.entries()) {
    const low = ramps[index] ?? Infinity
    const high = ramps[index + 1] ?? Infinity
    // Equal edges form a step, which has not begun below them.
    if (low === high ? from >= low : value >= high) addScaled(sum, 1, vector)
    else if (value > low && low < high) addScaled(sum, (value - low) / (high - low), vector)
  }
  return sum
}

function numberInput({ transform, center, scale, clip }: FeatureScaling, value: number): number {
  const power = value < 0 ? -Math.log1p(-value) : Math.log1p(value)
  const number = ((transform === 'log1p' ? power : value) - center) / scale
  return Math.min(clip, Math.max(-clip, number))
}

function constant(base: Vector): Segment {
  return { low: 0, perWidth: 0, base, slope: null }
}

function rising(low: number, high: number, base: Vector, slope: Vector): Segment {
  const perWidth = 1 / (high - low)
  if (perWidth === 0 || !Number.isFinite(perWidth)) {
    throw new BackendProblem(null, `edges ${low} and ${high} are beyond compiled nets`)
  }
  return { low, perWidth, base, slope: slope.every((value) => value === 0) ? null : slope }
}

function difference(one: Vector, other: Vector): Vector {
  return one.map((value, unit) => value - (other[unit] ?? NaN))
}
