// A large net for tests: a pure function of the sequence and the amount, so that another sequence gives another score.

import {
  SEQUENCE_LENGTH,
  SEQUENCE_WIDTH,
} from '../../../services/core/features/engine/card-sequence.ts'
import type { VerifiableRows } from '../../../services/core/scoring/scoring-model.ts'

/** The payment's share of the sum of itself and the earlier ones in its sequence; 1 without any. */
export function sequenceScores(
  { sequences, amountsMinor }: VerifiableRows,
  rowCount: number,
): Promise<Float64Array> {
  const scores = Float64Array.from({ length: rowCount }, (_, row) => {
    const own = amountsMinor[row] ?? NaN
    let sum = own
    for (let at = 0; at < SEQUENCE_LENGTH; at += SEQUENCE_WIDTH) {
      const amount = sequences[row * SEQUENCE_LENGTH + at] ?? NaN
      if (!Number.isNaN(amount)) sum += amount
    }
    return own / sum
  })
  return Promise.resolve(scores)
}
