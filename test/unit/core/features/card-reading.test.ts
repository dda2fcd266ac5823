// A card with more events than are kept singly: what is read of the merged ones is said to be approximate whenever
// it may be wrong (P7).

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  CARD_RAW_MAX,
  CardHistory,
  type CardEvent,
} from '../../../../services/core/features/card-history.ts'
import {
  CardReading,
  WINDOW_1H,
  type CardQuery,
} from '../../../../services/core/features/card-reading.ts'
import { DAY_MS, HOUR_MS, STREAM_START_MS } from '../../../support/feature-streams.ts'

const plain: CardEvent = {
  timeMs: STREAM_START_MS,
  offset: 0,
  amountMinor: 100,
  idRef: 1,
  intentRef: 0,
  deviceRef: 0,
  latitudeE4: 0,
  longitudeE4: 0,
  hasPlace: false,
  isRetry: false,
}

/** First these events, then as many as are kept singly, spread over the day that follows `fromMs`. */
function crowded(first: readonly Partial<CardEvent>[], fromMs: number): CardHistory {
  const history = new CardHistory()
  for (const [index, event] of first.entries()) {
    history.insert({ ...plain, offset: index, idRef: index + 1, ...event })
  }
  for (let index = 0; index < CARD_RAW_MAX; index += 1) {
    const offset = first.length + index
    const timeMs = fromMs + Math.floor((index * DAY_MS) / CARD_RAW_MAX)
    history.insert({ ...plain, timeMs, offset, idRef: offset + 1 })
  }
  return history
}

function read(history: CardHistory, fields: Partial<CardQuery>): CardReading {
  const reading = new CardReading()
  const query = { timeMs: 0, offset: 10_000, idRef: 99_999, intentRef: 0, deviceRef: 0 }
  reading.read(history, { ...query, hasPlace: false, ...fields })
  return reading
}

const NOON_MS = STREAM_START_MS + 12 * HOUR_MS

test('a late transaction inside a merged hour may count what comes after it, and says so', () => {
  const first = [10, 50].map((minute) => ({ timeMs: NOON_MS + minute * 60_000 }))
  const history = crowded(first, NOON_MS + DAY_MS)
  const late = read(history, { timeMs: NOON_MS + 30 * 60_000 })
  assert.equal(late.counts[WINDOW_1H], 2)
  assert.equal(late.isApproximate, true)
})

test('a device that only merged events may have had is not surely new', () => {
  const history = crowded([{ deviceRef: 7 }], STREAM_START_MS + HOUR_MS)
  for (let index = 1; index < history.eventCount; index += 1) history.deviceRefs[index] = 8
  const timeMs = STREAM_START_MS + 2 * DAY_MS + HOUR_MS
  const other = read(history, { timeMs, deviceRef: 7 })
  assert.deepEqual([other.isDeviceKnown, other.isApproximate], [false, true])
  const same = read(history, { timeMs, deviceRef: 8 })
  assert.deepEqual([same.isDeviceKnown, same.isApproximate], [true, false])
})

test('a place and a last payment that only merged events may have had are not surely absent', () => {
  const history = crowded([{ hasPlace: true }], STREAM_START_MS + HOUR_MS)
  const timeMs = STREAM_START_MS + 2 * DAY_MS + HOUR_MS
  assert.equal(read(history, { timeMs, hasPlace: true }).isApproximate, true)
  assert.equal(read(history, { timeMs, hasPlace: false }).isApproximate, false)
  const beforeAllSingle = read(history, { timeMs: STREAM_START_MS + HOUR_MS - 1 })
  assert.deepEqual([beforeAllSingle.lastIndex, beforeAllSingle.isApproximate], [-1, true])
})

test('a card with as many events as are kept singly is exact in everything', () => {
  const history = crowded([], STREAM_START_MS)
  const timeMs = STREAM_START_MS + DAY_MS
  assert.equal(read(history, { timeMs, deviceRef: 7, hasPlace: true }).isApproximate, false)
})

test('only what is committed is merged or forgotten, however old the rest is', () => {
  const history = crowded([], STREAM_START_MS + 60 * DAY_MS)
  const committed = CARD_RAW_MAX + 1
  history.insert({ ...plain, timeMs: STREAM_START_MS + 61 * DAY_MS, offset: CARD_RAW_MAX })
  history.insert({ ...plain, timeMs: STREAM_START_MS + 59 * DAY_MS, offset: committed })
  history.insert({ ...plain, timeMs: STREAM_START_MS, offset: committed + 1 })
  history.compact(committed)
  assert.deepEqual(history.offsets.slice(0, 3), [committed + 1, committed, 1])
  assert.deepEqual(
    history.buckets.map(({ attempts }) => attempts),
    [1],
  )
})
