// The customary split of the Sparkov generator's transactions: train on everything to 2020-06-20, assess everything after. For
// choices the same is done ten weeks earlier, without looking past that day.

import { dayStartMs, type AssessableRows, type ProtocolWeek } from './handbook-weeks.ts'
import { SluiceError } from '../../core/errors.ts'

/** First assessed day. */
const TEST_DAY = '2020-06-21'

/** Days on which assessment begins. */
export const SPARKOV_DAYS = { validation: ['2020-04-12'], report: [TEST_DAY] } as const

/** End of what is assessed from a day on: choices never see the test. */
export function splitEndMs(day: string): number {
  const testMs = dayStartMs(TEST_DAY)
  return dayStartMs(day) < testMs ? testMs : Infinity
}

/**
 * Trains on all rows before the day, assesses all from it on.
 * @throws SluiceError SLUICE_TRAINING_DATA_INVALID when there are none before or none after.
 */
export function sparkovSplit({ eventTimesMs }: AssessableRows, day: string): ProtocolWeek {
  const startMs = dayStartMs(day)
  const endMs = splitEndMs(day)
  const train: number[] = []
  const assessed: number[] = []
  for (const [row, timeMs] of eventTimesMs.entries()) {
    if (timeMs < startMs) train.push(row)
    else if (timeMs < endMs) assessed.push(row)
  }
  if (train.length === 0 || assessed.length === 0) {
    throw new SluiceError(
      'SLUICE_TRAINING_DATA_INVALID',
      `The data hold ${train.length} transactions before ${day} and ${assessed.length} to assess after; give the files of both.`,
    )
  }
  return {
    trainStart: day,
    train: Uint32Array.from(train),
    assessed: Uint32Array.from(assessed),
  }
}
