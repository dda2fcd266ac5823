// The numbers around a net. Raw feature values become inputs by transform, centre, scale, clip and learnt edges; the
// output of the net, a logit, becomes a score that reads as a probability. The stand-in for an absent value is data of
// the model, and absence may be an input of its own.

import assert from 'node:assert/strict'

/**
 * The rule by which one feature becomes inputs of a net: one number, one more where absence is an input, and a
 * piecewise linear encoding (Gorishniy et al. 2022, "On Embeddings for Numerical Features in Tabular Deep Learning")
 * whose edges are learnt from training rows.
 */
export interface FeatureScaling {
  readonly feature: string
  /** log1p keeps the sign: log(1 + |x|) times the sign of x. */
  readonly transform: 'none' | 'log1p'
  /** Subtracted after the transform. */
  readonly center: number
  /** Divisor after that; above 0. */
  readonly scale: number
  /** Inputs are limited to [-clip, clip]. */
  readonly clip: number
  /** Raw value used for an absent one; null when the feature is never absent. */
  readonly absentValue: number | null
  /** One more input: 1 when absent, else 0. */
  readonly absentInput: boolean
  /** One input each: 1 when the raw value is at or above the step, else 0. Ascending. */
  readonly steps: readonly number[]
  /** Ascending raw values; one input between each two, which rises from 0 to 1. Empty, or at least two. */
  readonly ramps: readonly number[]
  /** Ramps of the raw value that depend on a code, the value of `feature`; null for none. */
  readonly byCode: (CodeRamps & { readonly feature: string }) | null
}

/** Scaling compiled for the hot path. */
export interface CompiledScaling {
  readonly featureCount: number
  readonly inputCount: number
  /**
   * Writes the inputs of one feature row. Returns false, and writes nothing useful, when a value is not acceptable.
   */
  readonly writeRow: (
    rows: Float64Array,
    from: number,
    out: Float32Array,
    position: number,
  ) => boolean
}

/** Number of inputs that these features become. */
export function inputCountOf(scaling: readonly FeatureScaling[]): number {
  return scaling.reduce(
    (count, { absentInput, steps, ramps, byCode }) =>
      count + (absentInput ? 2 : 1) + steps.length + rampInputs(ramps) + codeRampInputs(byCode),
    0,
  )
}

/** Resolves every choice once, so that the loop over rows only computes. */
export function compileScaling(scaling: readonly FeatureScaling[]): CompiledScaling {
  const featureCount = scaling.length
  const inputCount = inputCountOf(scaling)
  const isLog = Uint8Array.from(scaling, ({ transform }) => (transform === 'log1p' ? 1 : 0))
  const centers = Float64Array.from(scaling, ({ center }) => center)
  const scales = Float64Array.from(scaling, ({ scale }) => scale)
  const clips = Float64Array.from(scaling, ({ clip }) => clip)
  const absentValues = Float64Array.from(scaling, ({ absentValue }) => absentValue ?? NaN)
  const hasAbsentInput = Uint8Array.from(scaling, ({ absentInput }) => (absentInput ? 1 : 0))
  const steps = scaling.map((each) => Float64Array.from(each.steps))
  const ramps = scaling.map((each) => Float64Array.from(each.ramps))
  const byCode = scaling.map((each) =>
    each.byCode === null ? null : compileCodeRamps(each.byCode),
  )
  const codeFeatures = scaling.map((each) =>
    scaling.findIndex(({ feature }) => feature === each.byCode?.feature),
  )
  return {
    featureCount,
    inputCount,
    writeRow(rows, from, out, position) {
      assert(rows.length >= from + featureCount && out.length >= position + inputCount)
      out.fill(0, position, position + inputCount)
      let at = position
      for (let feature = 0; feature < featureCount; feature += 1) {
        const raw = rows[from + feature] ?? NaN
        const isAbsent = Number.isNaN(raw)
        let value = isAbsent ? (absentValues[feature] ?? NaN) : raw
        if (!Number.isFinite(value)) return false
        const plain = value
        if (isLog[feature] === 1) value = value < 0 ? -Math.log1p(-value) : Math.log1p(value)
        value = (value - (centers[feature] ?? 0)) / (scales[feature] ?? 1)
        const clip = clips[feature] ?? 0
        out[at++] = value > clip ? clip : value < -clip ? -clip : value
        if (hasAbsentInput[feature] === 1) {
          if (isAbsent) out[at] = 1
          at += 1
        }
        at = writeSteps(steps[feature] ?? NONE, plain, out, at)
        at = writeRamps(ramps[feature] ?? NONE, plain, out, at)
        const coded = byCode[feature] ?? null
        if (coded === null) continue
        at = coded.write(rows[from + (codeFeatures[feature] ?? NaN)] ?? NaN, plain, out, at)
      }
      return true
    },
  }
}

const NONE = new Float64Array()

/**
 * Scales `rowCount` raw rows into `out`. A row with a value that the model does not accept (infinite, or absent where
 * it is never absent) becomes NaN throughout, so that it is recognised and never scored. Hot path.
 */
export function scaleRows(
  rows: Float64Array,
  rowCount: number,
  scaling: CompiledScaling,
  out: Float32Array,
): void {
  const { featureCount, inputCount } = scaling
  for (let row = 0; row < rowCount; row += 1) {
    const position = row * inputCount
    if (scaling.writeRow(rows, row * featureCount, out, position)) continue
    out.fill(NaN, position, position + inputCount)
  }
}

/**
 * Writes one input per step: 1 at or above it, else 0. Steps ascend and `out` holds zeros, so the loop ends at the
 * first step above the value. Returns the position after them. Hot path.
 */
export function writeSteps(
  steps: Float64Array,
  value: number,
  out: Float32Array,
  position: number,
): number {
  const { length } = steps
  for (let step = 0; step < length && value >= (steps[step] ?? Infinity); step += 1) {
    out[position + step] = 1
  }
  return position + length
}

/** Number of inputs that ramps become. */
export function rampInputs(edges: readonly number[]): number {
  return Math.max(0, edges.length - 1)
}

/**
 * Writes one input between each two edges, which rises from 0 to 1. Edges may be equal. `out` holds zeros. Returns
 * the position after them. Hot path.
 */
export function writeRamps(
  ramps: Float64Array,
  value: number,
  out: Float32Array,
  position: number,
): number {
  const { length } = ramps
  if (length === 0) return position
  let ramp = 1
  for (; ramp < length && value >= (ramps[ramp] ?? Infinity); ramp += 1) {
    out[position + ramp - 1] = 1
  }
  const low = ramps[ramp - 1]
  const high = ramps[ramp]
  // Above the last edge every input is 1.
  if (low !== undefined && high !== undefined && value > low) {
    out[position + ramp - 1] = (value - low) / (high - low)
  }
  return position + length - 1
}

/**
 * Edges that depend on a code: an amount that is ordinary at a jeweller's is not at a grocer's. Every common code has
 * its own edges at the same quantiles, so an input means the same share of payments for every code. All lists are
 * equally long, at least two, and none descends; equal edges make a step.
 */
export interface CodeRamps {
  /** Codes that have edges of their own, ascending. */
  readonly codes: readonly number[]
  /** Edges of each code, in order; the last list is for all other codes and for none. */
  readonly edges: readonly (readonly number[])[]
}

/** Compiled for the hot path. */
export interface CompiledCodeRamps {
  readonly inputCount: number
  /**
   * Writes the inputs of a value with this code; NaN or an unknown code uses the last list. Returns the position
   * after them.
   */
  readonly write: (code: number, value: number, out: Float32Array, position: number) => number
}

/** Null has no inputs. */
export function compileCodeRamps(ramps: CodeRamps | null): CompiledCodeRamps {
  if (ramps === null) return { inputCount: 0, write: (_code, _value, _out, position) => position }
  const edges = ramps.edges.map((each) => Float64Array.from(each))
  const others = edges.at(-1) ?? new Float64Array()
  const ofCode = new Map(ramps.codes.map((code, at) => [code, edges[at] ?? others]))
  return {
    inputCount: codeRampInputs(ramps),
    write: (code, value, out, position) =>
      writeRamps(ofCode.get(code) ?? others, value, out, position),
  }
}

/** Number of inputs that these ramps become. */
export function codeRampInputs(ramps: CodeRamps | null): number {
  return rampInputs(ramps?.edges[0] ?? [])
}

/** score = 1 / (1 + exp(-(slope x logit + intercept))), fitted on validation data (Platt's method). */
export interface Calibration {
  readonly kind: 'identity' | 'platt'
  /** Above 0, so that calibration preserves the order. 1 for identity. */
  readonly slope: number
  /** 0 for identity. */
  readonly intercept: number
}

/** Calibrated score, 0 to 1; NaN for a logit that is not finite, which means "not scored". */
export function scoreOf(logit: number, { slope, intercept }: Calibration): number {
  if (!Number.isFinite(logit)) return NaN
  const value = slope * logit + intercept
  // Both branches keep exp's argument at or below 0, so nothing overflows.
  if (value >= 0) return 1 / (1 + Math.exp(-value))
  const power = Math.exp(value)
  return power / (1 + power)
}
