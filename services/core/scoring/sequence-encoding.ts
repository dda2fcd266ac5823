// From the last payments of a card to the inputs of a sequence model: for each payment how it compares to the one that is
// scored, how it compares to what is typical of the card, and how old it is, as ramps with learnt edges.

import { SEQUENCE_EVENTS, SEQUENCE_LENGTH, SEQUENCE_WIDTH } from '../features/card-sequence.ts'
import { writeRamps } from './scaling.ts'

/** Ascending edges, at least two each; amounts are log(1 + minor units), ages are log(1 + seconds). */
export interface SequenceEncoding {
  /** Amount of the scored payment less that of the earlier one. */
  readonly against: readonly number[]
  /** Amount of the earlier payment less the median of the sequence. */
  readonly typical: readonly number[]
  /** Age of the earlier payment. */
  readonly age: readonly number[]
}

/** Encoding compiled for the hot path. */
export interface CompiledSequenceEncoding {
  /** Inputs of one earlier payment. */
  readonly eventInputs: number
  /** Inputs of a whole sequence: SEQUENCE_EVENTS x eventInputs; those of payments that are not there are 0. */
  readonly inputCount: number
  /** Writes the inputs of one sequence (see writeSequence) of a payment of `amountMinor`. */
  readonly write: (
    amountMinor: number,
    sequences: Float64Array,
    from: number,
    out: Float32Array,
    position: number,
  ) => void
}

/** One input says that the payment is there. */
const PRESENT_INPUTS = 1

export function compileSequenceEncoding(encoding: SequenceEncoding): CompiledSequenceEncoding {
  const against = Float64Array.from(encoding.against)
  const typical = Float64Array.from(encoding.typical)
  const age = Float64Array.from(encoding.age)
  const eventInputs = against.length + typical.length + age.length - 3 + PRESENT_INPUTS
  const inputCount = SEQUENCE_EVENTS * eventInputs
  const ordered = new Float64Array(SEQUENCE_EVENTS)
  return {
    eventInputs,
    inputCount,
    write(amountMinor, sequences, from, out, position) {
      out.fill(0, position, position + inputCount)
      const middle = medianAmount(sequences, from, ordered)
      const own = Math.log1p(amountMinor)
      let at = position
      for (let each = from; each < from + SEQUENCE_LENGTH; each += SEQUENCE_WIDTH) {
        const amount = sequences[each] ?? NaN
        if (Number.isNaN(amount)) break
        const logAmount = Math.log1p(amount)
        at = writeRamps(against, own - logAmount, out, at)
        at = writeRamps(typical, logAmount - middle, out, at)
        at = writeRamps(age, Math.log1p((sequences[each + 1] ?? 0) / 1_000), out, at)
        out[at++] = 1
      }
    },
  }
}

/** Median of log(1 + amount), the upper one of two; 0 without payments. `ordered` is scratch space. */
export function medianAmount(sequences: Float64Array, from: number, ordered: Float64Array): number {
  let count = 0
  for (; count < SEQUENCE_EVENTS; count += 1) {
    const amount = sequences[from + count * SEQUENCE_WIDTH] ?? NaN
    if (Number.isNaN(amount)) break
    ordered[count] = amount
  }
  if (count === 0) return 0
  return Math.log1p(ordered.subarray(0, count).sort()[count >> 1] ?? 0)
}
