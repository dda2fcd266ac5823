// From raw feature values to the inputs of a model: transform, centre, scale, clip. What stands in for an
// absent value is data of the model, and absence may be an input of its own.

import { codeRampInputs, compileCodeRamps, type CodeRamps } from './code-ramps.ts'
import { rampInputs, writeRamps, writeSteps } from './ramps.ts'

/**
 * How one feature becomes inputs of a net: one number, one more where absence is told to the model, and a piecewise
 * linear encoding of it (Gorishniy et al. 2022, "On Embeddings for Numerical Features in Tabular Deep Learning"), whose
 * edges are learnt from training rows.
 */
export interface FeatureScaling {
  readonly feature: string
  /** log1p keeps the sign: log(1 + |x|) times the sign of x. */
  readonly transform: 'none' | 'log1p'
  /** Subtracted after the transform. */
  readonly center: number
  /** Divided by after that; above 0. */
  readonly scale: number
  /** Inputs are kept within [-clip, clip]. */
  readonly clip: number
  /** Raw value in place of an absent one; null when the feature is never absent. */
  readonly absentValue: number | null
  /** One more input: 1 when absent, else 0. */
  readonly absentInput: boolean
  /** One more input each: 1 when the raw value is at or above it, else 0. Ascending. */
  readonly steps: readonly number[]
  /** Ascending raw values; between each two one more input that rises from 0 to 1. Empty or at least two. */
  readonly ramps: readonly number[]
  /** Ramps of the raw value that go by the code that is the value of `feature`; null for none. */
  readonly byCode: (CodeRamps & { readonly feature: string }) | null
}

/** Scaling compiled for the hot path. */
export interface CompiledScaling {
  readonly featureCount: number
  readonly inputCount: number
  /** Writes the inputs of one feature row. False (and nothing useful written) when a value cannot be taken. */
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

/** Makes every choice once, so that the loop over rows only computes. */
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
        at = coded.write(rows[from + (codeFeatures[feature] ?? 0)] ?? NaN, plain, out, at)
      }
      return true
    },
  }
}

const NONE = new Float64Array()

/**
 * Scales `rowCount` raw rows into `out`, row by row. A row with a value that the model cannot take (infinite,
 * or absent where it never is) becomes NaN throughout, so that it is told apart and never scored. Hot path.
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
