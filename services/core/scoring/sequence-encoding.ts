// Encodes the last payments of a card as inputs of a sequence model. Each payment becomes ramps with learnt edges:
// its amount against the scored payment and against what is typical of the card, its age and its time of day; the
// category of the merchant, the amount among payments of that category; and whether it was on the same calendar day
// or the day before.

import assert from 'node:assert/strict'
import {
  SEQUENCE_EVENTS,
  SEQUENCE_LENGTH,
  SEQUENCE_WIDTH,
} from '../features/engine/card-sequence.ts'
import { DAY_MS, HOUR_MS } from '../features/catalogue/time.ts'
import { compileCodeRamps, type CodeRamps, writeRamps } from './scaling.ts'

/** Ascending edges, at least two each; amounts are log(1 + minor units), ages are log(1 + seconds). */
export interface SequenceEncoding {
  /** Amount of the scored payment less that of the earlier one. */
  readonly against: readonly number[]
  /** Amount of the earlier payment less the median of the sequence. */
  readonly typical: readonly number[]
  /** Amount of the earlier payment. */
  readonly amount: readonly number[]
  /** Age of the earlier payment. */
  readonly age: readonly number[]
  /** Local time of day of the earlier payment, in hours. */
  readonly clock: readonly number[]
  /** References of merchant categories that have an input each, ascending; empty without categories. */
  readonly categories: readonly number[]
  /** Amount of the earlier payment among those of its category; null without categories. */
  readonly amountByCategory: CodeRamps | null
}

/** Encoding compiled for the hot path. */
export interface CompiledSequenceEncoding {
  /** Inputs of one earlier payment. */
  readonly eventInputs: number
  /** Inputs of a whole sequence: SEQUENCE_EVENTS x eventInputs; the inputs of missing payments are 0. */
  readonly inputCount: number
  /** Writes the inputs of one sequence (see writeSequence) for a payment of `amountMinor`. */
  readonly write: (
    amountMinor: number,
    sequences: Float64Array,
    from: number,
    out: Float32Array,
    position: number,
  ) => void
}

/** One input for a payment that exists, one for the day of the scored payment, one for the day before it. */
const FLAG_INPUTS = 3

export function compileSequenceEncoding(encoding: SequenceEncoding): CompiledSequenceEncoding {
  const against = Float64Array.from(encoding.against)
  const typical = Float64Array.from(encoding.typical)
  const amount = Float64Array.from(encoding.amount)
  const age = Float64Array.from(encoding.age)
  const clock = Float64Array.from(encoding.clock)
  const categoryCount = encoding.categories.length
  const inputOfCategory = new Map(encoding.categories.map((reference, at) => [reference, at]))
  const byCategory = compileCodeRamps(encoding.amountByCategory)
  const ramps = [against, typical, amount, age, clock]
  const rampInputs = ramps.reduce((sum, edges) => sum + edges.length - 1, 0)
  const eventInputs = rampInputs + byCategory.inputCount + categoryCount + FLAG_INPUTS
  const inputCount = SEQUENCE_EVENTS * eventInputs
  const ordered = new Float64Array(SEQUENCE_EVENTS)
  return {
    eventInputs,
    inputCount,
    write(ownMinor, sequences, from, out, position) {
      assert(sequences.length >= from + SEQUENCE_LENGTH && out.length >= position + inputCount)
      out.fill(0, position, position + inputCount)
      const middle = medianAmount(sequences, from, ordered)
      const own = Math.log1p(ownMinor)
      let at = position
      for (let each = from; each < from + SEQUENCE_LENGTH; each += SEQUENCE_WIDTH) {
        const amountMinor = sequences[each] ?? NaN
        if (Number.isNaN(amountMinor)) break
        const ageMs = sequences[each + 1] ?? 0
        const timeOfDayMs = sequences[each + 2] ?? 0
        const logAmount = Math.log1p(amountMinor)
        at = writeRamps(against, own - logAmount, out, at)
        at = writeRamps(typical, logAmount - middle, out, at)
        at = writeRamps(amount, logAmount, out, at)
        at = writeRamps(age, Math.log1p(ageMs / 1_000), out, at)
        at = writeRamps(clock, timeOfDayMs / HOUR_MS, out, at)
        const reference = sequences[each + 3] ?? 0
        at = byCategory.write(reference, logAmount, out, at)
        const category = inputOfCategory.get(reference)
        if (category !== undefined) out[at + category] = 1
        at += categoryCount
        const daysBefore = Math.floor((timeOfDayMs + ageMs) / DAY_MS)
        out[at] = 1
        out[at + 1] = daysBefore === 0 ? 1 : 0
        out[at + 2] = daysBefore === 1 ? 1 : 0
        at += FLAG_INPUTS
      }
    },
  }
}

/** Median of log(1 + amount), the upper one of two; 0 without payments. `ordered` is scratch space. */
export function medianAmount(sequences: Float64Array, from: number, ordered: Float64Array): number {
  assert(sequences.length >= from + SEQUENCE_LENGTH && ordered.length >= SEQUENCE_EVENTS)
  let count = 0
  for (; count < SEQUENCE_EVENTS; count += 1) {
    const amount = sequences[from + count * SEQUENCE_WIDTH] ?? NaN
    if (Number.isNaN(amount)) break
    ordered[count] = amount
  }
  const middle = ordered.subarray(0, count).sort()[count >> 1]
  return middle === undefined ? 0 : Math.log1p(middle)
}
