// The Fraud Detection Handbook's way to assess a model (Le Borgne et al. 2022, prequential validation): train on a week,
// wait a week until its labels are known, assess on the week after, without the cards that are known by then.

import { SluiceError } from '../../core/errors.ts'
import { DAY_MS } from '../../core/features/catalogue/time.ts'

/** Days of training, of waiting for labels, and of assessment. */
export const TRAIN_DAYS = 7
export const DELAY_DAYS = 7
export const ASSESSED_DAYS = 7

/** Start days of the training weeks: choices are made on the first, figures are reported on the second. */
export const PUBLISHED_WEEKS = {
  validation: ['2018-06-20', '2018-06-27', '2018-07-04', '2018-07-11'],
  report: ['2018-07-25', '2018-08-01', '2018-08-08', '2018-08-15'],
} as const

/** What of a row the rules look at; arrays are by row, in order of time. */
export interface AssessableRows {
  readonly eventTimesMs: Float64Array
  readonly cards: Uint32Array
  readonly truth: Uint8Array
}

/** `published` learns from the week alone, `deployment` from all days up to the delay. */
export type Conditions = 'published' | 'deployment'

/** The rows of one training week. */
export interface ProtocolWeek {
  /** Day on which training starts, as YYYY-MM-DD. */
  readonly trainStart: string
  readonly train: Uint32Array
  readonly assessed: Uint32Array
}

/** Midnight of a day in UTC. @throws SluiceError SLUICE_USAGE */
export function dayStartMs(day: string): number {
  const startMs = /^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(`${day}T00:00:00Z`) : NaN
  if (Number.isFinite(startMs)) return startMs
  throw new SluiceError('SLUICE_USAGE', `"${day}" is no day; write it as 2018-07-25.`)
}

/** First moment after the assessed days of a training week. */
export function assessedEndMs(trainStart: string): number {
  return dayStartMs(trainStart) + (TRAIN_DAYS + DELAY_DAYS + ASSESSED_DAYS) * DAY_MS
}

/**
 * Finds the rows. A card is left out once it is known as defrauded: by a fraud in the training week, or on the day that
 * was labelled the evening before an assessed day.
 * @throws SluiceError SLUICE_TRAINING_DATA_INVALID when the rows do not reach over the assessed days.
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
    for (const row of ofDay) if (!known.has(rows.cards[row] ?? 0)) assessed.push(row)
  }
  const fromMs = conditions === 'published' ? startMs : -Infinity
  return {
    trainStart,
    train: Uint32Array.from(between(rows, fromMs, trainEndMs)),
    assessed: Uint32Array.from(assessed),
  }
}

function note({ cards, truth }: AssessableRows, row: number, known: Set<number>): void {
  if (truth[row] === 1) known.add(cards[row] ?? 0)
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
