// Rows that the handbook's protocol trains on and assesses: one payment of each card a day, and occasional frauds.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import {
  assessedEndMs,
  dayStartMs,
  protocolWeek,
  type AssessableRows,
  sparkovSplit,
} from '../../../../services/trainer/protocol/protocols.ts'

const DAY_MS = 86_400_000
const CARDS = 3
const FIRST = '2018-07-20'

/** Days from FIRST; frauds are given as [card, day]. */
function rowsOf(days: number, frauds: readonly (readonly [card: number, day: string])[]) {
  const rows = Array.from({ length: days * CARDS }, (_, row) => ({
    card: row % CARDS,
    dayMs: dayStartMs(FIRST) + Math.floor(row / CARDS) * DAY_MS,
  }))
  const isFraud = (card: number, dayMs: number): boolean =>
    frauds.some(([of, day]) => of === card && dayStartMs(day) === dayMs)
  return {
    eventTimesMs: Float64Array.from(rows, ({ card, dayMs }) => dayMs + card * 1_000),
    cards: Uint32Array.from(rows, ({ card }) => card),
    truth: Uint8Array.from(rows, ({ card, dayMs }) => (isFraud(card, dayMs) ? 1 : 0)),
  }
}

/** Assessed days of a card, such as "08-09". */
function daysOf(rows: AssessableRows, assessed: Uint32Array, card: number): readonly string[] {
  return [...assessed]
    .filter((row) => rows.cards[row] === card)
    .map((row) => new Date(rows.eventTimesMs[row] ?? NaN).toISOString().slice(5, 10))
}

const ASSESSED = ['08-08', '08-09', '08-10', '08-11', '08-12', '08-13', '08-14']

test('the first week is for training, the second for waiting, the third is assessed', () => {
  const rows = rowsOf(40, [])
  const { train, assessed } = protocolWeek(rows, '2018-07-25', 'published')
  const trained = [...train].map((row) => rows.eventTimesMs[row] ?? NaN)
  assert.equal(train.length, 7 * CARDS)
  assert.equal(Math.min(...trained), dayStartMs('2018-07-25'))
  assert.ok(Math.max(...trained) < dayStartMs('2018-08-01'))
  for (let card = 0; card < CARDS; card += 1) {
    assert.deepEqual(daysOf(rows, assessed, card), ASSESSED)
  }
  assert.equal(assessedEndMs('2018-07-25'), dayStartMs('2018-08-15'))
})

test('in deployment all days before the end of the week are used for training, and the same rows are assessed', () => {
  const rows = rowsOf(40, [[0, '2018-07-21']])
  const published = protocolWeek(rows, '2018-07-25', 'published')
  const deployment = protocolWeek(rows, '2018-07-25', 'deployment')
  assert.equal(deployment.train.length, 12 * CARDS)
  assert.deepEqual(deployment.assessed, published.assessed)
})

test('a card defrauded in the training week is known throughout, one defrauded before it is not', () => {
  const rows = rowsOf(40, [
    [0, '2018-07-25'],
    [1, '2018-07-31'],
    [2, '2018-07-24'],
  ])
  const { assessed } = protocolWeek(rows, '2018-07-25', 'published')
  assert.deepEqual(
    [0, 1].flatMap((card) => daysOf(rows, assessed, card)),
    [],
  )
  assert.deepEqual(daysOf(rows, assessed, 2), ASSESSED)
})

test('a fraud during the wait for labels is known from the eighth day on, and not a day before', () => {
  const rows = rowsOf(40, [
    [0, '2018-08-01'],
    [1, '2018-08-04'],
    [2, '2018-08-07'],
  ])
  const { assessed } = protocolWeek(rows, '2018-07-25', 'published')
  assert.deepEqual(daysOf(rows, assessed, 0), ['08-08'])
  assert.deepEqual(daysOf(rows, assessed, 1), ['08-08', '08-09', '08-10', '08-11'])
  assert.deepEqual(daysOf(rows, assessed, 2), ASSESSED)
})

test('data that end too early and invalid days are refused', () => {
  assert.throws(
    () => protocolWeek(rowsOf(25, []), '2018-07-25', 'published'),
    (error) =>
      isSluiceError(error, 'SLUICE_TRAINING_DATA_INVALID') && /2018-08-14/.test(error.message),
  )
  for (const day of ['2018-7-25', '2018-13-01', 'today']) {
    assert.throws(
      () => dayStartMs(day),
      (error) => isSluiceError(error, 'SLUICE_USAGE'),
    )
  }
})

const TIMES = [
  '2020-04-11T23:59:59Z',
  '2020-04-12T00:00:00Z',
  '2020-06-20T23:59:59Z',
  '2020-06-21T00:00:00Z',
  '2020-09-30T12:00:00Z',
]

function rowsAt(times: readonly string[]) {
  return {
    eventTimesMs: Float64Array.from(times, (time) => Date.parse(time)),
    cards: new Uint32Array(times.length),
    truth: new Uint8Array(times.length),
  }
}

test('everything up to 2020-06-20 is for training and everything after is assessed', () => {
  const { train, assessed } = sparkovSplit(rowsAt(TIMES), '2020-06-21')
  assert.deepEqual(
    [[...train], [...assessed]],
    [
      [0, 1, 2],
      [3, 4],
    ],
  )
})

test('an earlier day, for choices, is assessed without the days of the test', () => {
  const { train, assessed } = sparkovSplit(rowsAt(TIMES), '2020-04-12')
  assert.deepEqual([[...train], [...assessed]], [[0], [1, 2]])
})

test('data on one side only are refused', () => {
  for (const times of [TIMES.slice(0, 3), TIMES.slice(3)]) {
    assert.throws(
      () => sparkovSplit(rowsAt(times), '2020-06-21'),
      (error) => isSluiceError(error, 'SLUICE_TRAINING_DATA_INVALID'),
    )
  }
})
