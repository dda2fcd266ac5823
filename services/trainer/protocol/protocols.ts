// The protocols by name: which rows each one trains on and assesses, the sizes of the nets and the length of training.

import { DAY_MS } from '../../core/features/catalogue/time.ts'
import { CASCADE_SHAPE, type CascadeShape } from '../net/train-cascade.ts'
import { SluiceError } from '../../core/errors.ts'
import { valueAt } from '../statistics.ts'

/**
 * The Fraud Detection Handbook's protocol (Le Borgne et al. 2022, prequential validation): train on a week, wait a
 * week until its labels are known, assess the week after, without the cards known as defrauded by then. These are the
 * days of training, of waiting and of assessment.
 */
export const TRAIN_DAYS = 7
export const DELAY_DAYS = 7
export const ASSESSED_DAYS = 7

/** Start days of the training weeks: choices are made on the first list, figures are reported on the second. */
export const PUBLISHED_WEEKS = {
  validation: ['2018-06-20', '2018-06-27', '2018-07-04', '2018-07-11'],
  report: ['2018-07-25', '2018-08-01', '2018-08-08', '2018-08-15'],
} as const

/** The columns that the rules read; arrays are by row, in order of time. */
export interface AssessableRows {
  readonly eventTimesMs: Float64Array
  readonly cards: Uint32Array
  readonly truth: Uint8Array
}

/** `published` learns from the week alone, `deployment` from all days up to the delay. */
export type Conditions = 'published' | 'deployment'

/** The rows of one training week. */
export interface ProtocolWeek {
  /** First day of training, as YYYY-MM-DD. */
  readonly trainStart: string
  readonly train: Uint32Array
  readonly assessed: Uint32Array
}

/** Midnight of a day in UTC. @throws SluiceError SLUICE_USAGE */
export function dayStartMs(day: string): number {
  const startMs = /^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(`${day}T00:00:00Z`) : NaN
  if (Number.isFinite(startMs)) return startMs
  throw new SluiceError('SLUICE_USAGE', `"${day}" is not a day; write it as 2018-07-25.`)
}

/** First moment after the assessed days of a training week. */
export function assessedEndMs(trainStart: string): number {
  return dayStartMs(trainStart) + (TRAIN_DAYS + DELAY_DAYS + ASSESSED_DAYS) * DAY_MS
}

/**
 * Finds the rows. A card is left out once it is known as defrauded: by a fraud in the training week, or by one on the
 * day whose labels arrived the evening before an assessed day.
 * @throws SluiceError SLUICE_TRAINING_DATA_INVALID when the rows do not cover the assessed days.
 */
export function protocolWeek(
  rows: AssessableRows,
  trainStart: string,
  conditions: Conditions,
): ProtocolWeek {
  const startMs = dayStartMs(trainStart)
  const trainEndMs = startMs + TRAIN_DAYS * DAY_MS
  const assessedFromMs = trainEndMs + DELAY_DAYS * DAY_MS
  const known = new Set<number>()
  for (const row of between(rows, startMs, trainEndMs)) note(rows, row, known)
  const assessed: number[] = []
  for (let day = 0; day < ASSESSED_DAYS; day += 1) {
    const dayMs = assessedFromMs + day * DAY_MS
    const labelledMs = dayMs - (DELAY_DAYS + 1) * DAY_MS
    for (const row of between(rows, labelledMs, labelledMs + DAY_MS)) note(rows, row, known)
    const ofDay = between(rows, dayMs, dayMs + DAY_MS)
    if (ofDay.length === 0) throw tooShort(trainStart, dayMs)
    for (const row of ofDay) if (!known.has(valueAt(rows.cards, row))) assessed.push(row)
  }
  const fromMs = conditions === 'published' ? startMs : -Infinity
  return {
    trainStart,
    train: Uint32Array.from(between(rows, fromMs, trainEndMs)),
    assessed: Uint32Array.from(assessed),
  }
}

function note({ cards, truth }: AssessableRows, row: number, known: Set<number>): void {
  if (truth[row] === 1) known.add(valueAt(cards, row))
}

function between(
  { eventTimesMs }: AssessableRows,
  fromMs: number,
  endMs: number,
): readonly number[] {
  const rows: number[] = []
  for (const [row, timeMs] of eventTimesMs.entries()) {
    if (timeMs >= fromMs && timeMs < endMs) rows.push(row)
  }
  return rows
}

function tooShort(trainStart: string, dayMs: number): SluiceError {
  return new SluiceError(
    'SLUICE_TRAINING_DATA_INVALID',
    `The training week of ${trainStart} is assessed on ${new Date(dayMs).toISOString().slice(0, 10)} too, but ` +
      'the data hold no transaction of that day. Name other weeks with --weeks, or give more days.',
  )
}

/**
 * The customary split of the Sparkov generator's transactions: train on everything up to 2020-06-20 and assess
 * everything after. Choices are made ten weeks earlier in the same way, without reading past this day.
 */
const TEST_DAY = '2020-06-21'

/** Days on which assessment begins. */
export const SPARKOV_DAYS = { validation: ['2020-04-12'], report: [TEST_DAY] } as const

/** End of the rows that are assessed from a day on: choices never see the test. */
export function splitEndMs(day: string): number {
  const testMs = dayStartMs(TEST_DAY)
  return dayStartMs(day) < testMs ? testMs : Infinity
}

/**
 * Trains on all rows before the day and assesses all from it on.
 * @throws SluiceError SLUICE_TRAINING_DATA_INVALID when either side is empty.
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

export interface Protocol {
  /** Days by period, such as the first of each training week; choices are made on `validation`. */
  readonly periods: Readonly<Record<string, readonly string[]>>
  /** Passes over the training rows, and sizes of the nets, unless the caller gives others. */
  readonly epochs: number
  readonly shape: CascadeShape
  /** Start of the rows; earlier transactions are history only. */
  readonly keepFromMs: (days: readonly string[], conditions: Conditions) => number
  readonly rowsOf: (rows: AssessableRows, day: string, conditions: Conditions) => ProtocolWeek
  /** Span that contains every assessed row of these days. */
  readonly spanOf: (days: readonly string[]) => { readonly fromMs: number; readonly endMs: number }
}

export const PROTOCOL_NAMES = ['handbook', 'sparkov'] as const
export type ProtocolName = (typeof PROTOCOL_NAMES)[number]

function earliestMs(days: readonly string[]): number {
  return Math.min(...days.map(dayStartMs))
}

export const PROTOCOLS: Readonly<Record<ProtocolName, Protocol>> = {
  handbook: {
    periods: PUBLISHED_WEEKS,
    // These were best on the validation weeks.
    epochs: 12,
    shape: CASCADE_SHAPE,
    keepFromMs: (days, conditions) => (conditions === 'published' ? earliestMs(days) : -Infinity),
    rowsOf: protocolWeek,
    spanOf: (days) => ({
      fromMs: earliestMs(days) + (TRAIN_DAYS + DELAY_DAYS) * DAY_MS,
      endMs: Math.max(...days.map(assessedEndMs)),
    }),
  },
  sparkov: {
    periods: SPARKOV_DAYS,
    // 20 times the rows of a handbook week: fewer passes make as many steps, and wider nets find enough data. Both
    // were chosen on the days from 2020-04-12 on.
    epochs: 8,
    shape: { ...CASCADE_SHAPE, targetUnits: [128, 64], eventUnits: [32, 32] },
    keepFromMs: () => -Infinity,
    rowsOf: sparkovSplit,
    spanOf: (days) => ({ fromMs: earliestMs(days), endMs: Math.max(...days.map(splitEndMs)) }),
  },
}
