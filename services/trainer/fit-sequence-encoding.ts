// Learns, from training rows alone, where the ramps of a sequence encoding have their edges (quantiles), and which
// categories have inputs and edges of their own (the commonest).

import {
  SEQUENCE_EVENTS,
  SEQUENCE_LENGTH,
  SEQUENCE_WIDTH,
} from '../core/features/engine/card-sequence.ts'
import { HOUR_MS } from '../core/features/catalogue/time.ts'
import { medianAmount, type SequenceEncoding } from '../core/scoring/sequence-encoding.ts'
import { commonCodes, fitCodeRamps, RAMP_SHARES } from './fit-edges.ts'
import { distinctQuantiles } from './quantiles.ts'
import type { RowSource } from './training-rows.ts'

/** Rows that are looked at, evenly spread: quantiles settle long before all are. */
const ROWS_MAX = 20_000

/** A fraud pays more than the card did before, so the upper tail is looked at closely. */
const AGAINST_SHARES = [0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995] as const
const TYPICAL_SHARES = [0.05, 0.25, 0.5, 0.8, 0.9, 0.95, 0.98, 0.99] as const
const AGE_SHARES = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.95] as const
/** Twelve stretches of the day with as many payments in each. */
const CLOCK_SHARES = Array.from({ length: 13 }, (_, index) => index / 12)

/** Edges over the given rows. */
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
    const row = indices[index] ?? 0
    const from = row * SEQUENCE_LENGTH
    const middle = medianAmount(sequences, from, ordered)
    const own = Math.log1p(amountsMinor[row] ?? 0)
    for (let at = from; at < from + SEQUENCE_LENGTH; at += SEQUENCE_WIDTH) {
      const amountMinor = sequences[at] ?? NaN
      if (Number.isNaN(amountMinor)) break
      const logAmount = Math.log1p(amountMinor)
      against.push(own - logAmount)
      typical.push(logAmount - middle)
      amount.push(logAmount)
      age.push(Math.log1p((sequences[at + 1] ?? 0) / 1_000))
      clock.push((sequences[at + 2] ?? 0) / HOUR_MS)
      categories.push(sequences[at + 3] ?? 0)
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

/** Distinct quantiles; where there is nothing to tell apart, a ramp from 0 to 1. */
function edgesOf(values: number[], shares: readonly number[]): readonly number[] {
  const edges = distinctQuantiles(Float64Array.from(values).sort(), shares)
  return edges.length < 2 ? [0, 1] : edges
}
