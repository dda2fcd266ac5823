// Ramps that go by a code: an amount that is usual at a jeweller's is not at a grocer's. Every code that is common has
// edges of its own, at the same quantiles, so that an input means the same share of payments whatever is bought.

import { rampInputs, writeRamps } from './ramps.ts'

/** Learnt edges. All lists are equally long, at least two, and none descends; equal edges make a step. */
export interface CodeRamps {
  /** Codes that have edges of their own, ascending. */
  readonly codes: readonly number[]
  /** Those of each code, in order; last those of all other codes, and of none. */
  readonly edges: readonly (readonly number[])[]
}

/** Compiled for the hot path. */
export interface CompiledCodeRamps {
  readonly inputCount: number
  /** Writes the inputs of a value beside this code, NaN or unknown for none. Returns the position after them. */
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

/** Number of inputs that they become. */
export function codeRampInputs(ramps: CodeRamps | null): number {
  return rampInputs(ramps?.edges[0] ?? [])
}
