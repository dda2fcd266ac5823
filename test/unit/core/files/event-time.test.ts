import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  parseEventTimeMs,
  parseUtcOffsetMinutes,
  rangeOfBound,
  rangeOfName,
} from '../../../../services/core/files/event-time.ts'

const TIME_MS = Date.UTC(2018, 6, 25, 0, 0, 29)

test('ISO times without a zone are UTC, and a zone is taken into account', () => {
  for (const text of [
    '2018-07-25T00:00:29Z',
    '2018-07-25 00:00:29',
    '2018-07-25T02:00:29+02:00',
    '2018-07-24T19:00:29-0500',
    '2018-07-25 01:00:29 +01',
    '2018-07-25T00:00:29.000999Z',
  ]) {
    strictEqual(parseEventTimeMs(text), TIME_MS, text)
  }
  strictEqual(parseEventTimeMs('2018-07-25'), Date.UTC(2018, 6, 25))
  strictEqual(parseEventTimeMs('2018-07-25T00:00:29,5'), TIME_MS + 500)
})

test('seconds and milliseconds since 1970 are distinguished', () => {
  strictEqual(parseEventTimeMs('1532476829'), TIME_MS)
  strictEqual(parseEventTimeMs('1532476829000'), TIME_MS)
  strictEqual(parseEventTimeMs('1532476829.25'), TIME_MS + 250)
  strictEqual(parseEventTimeMs('946684800'), Date.UTC(2000, 0, 1))
  strictEqual(parseEventTimeMs('946684800000'), Date.UTC(2000, 0, 1))
})

test('every time from 2000 to 2099 survives being written in each way', () => {
  const times = fc.integer({ min: Date.UTC(2000, 0, 1), max: Date.UTC(2099, 11, 31) })
  fc.assert(
    fc.property(times, (timeMs) => {
      strictEqual(parseEventTimeMs(new Date(timeMs).toISOString()), timeMs)
      strictEqual(parseEventTimeMs(String(timeMs)), timeMs)
    }),
  )
})

test('a text that is not a time from 2000 to 2100 is refused', () => {
  for (const text of [
    '',
    '0',
    '12345678901',
    '1999-12-31',
    '2101-01-01',
    '2018-02-30',
    '2018-13-01',
    '2018-07-25T24:00:00',
    '25/07/2018',
    '2018-07-25T00:00:29X',
    'yesterday',
  ]) {
    strictEqual(parseEventTimeMs(text), null, text)
  }
})

test('an offset is minutes, hours and minutes, or Z', () => {
  strictEqual(parseUtcOffsetMinutes('+05:30'), 330)
  strictEqual(parseUtcOffsetMinutes('-0800'), -480)
  strictEqual(parseUtcOffsetMinutes('-60'), -60)
  strictEqual(parseUtcOffsetMinutes('Z'), 0)
  strictEqual(parseUtcOffsetMinutes('CET'), null)
})

test('a file name may contain a day or a month; other digits are ignored', () => {
  deepStrictEqual(rangeOfName('2018-07-25.csv.gz'), {
    fromMs: Date.UTC(2018, 6, 25),
    endMs: Date.UTC(2018, 6, 26),
  })
  deepStrictEqual(rangeOfName('tx_2019-12_final.csv'), {
    fromMs: Date.UTC(2019, 11, 1),
    endMs: Date.UTC(2020, 0, 1),
  })
  for (const name of ['part-0001.csv', '12018-07-25.csv', '2018-19.csv', '2018-02-31.csv']) {
    strictEqual(rangeOfName(name), null, name)
  }
})

test('a date as a bound is the whole day, a time is that instant', () => {
  deepStrictEqual(rangeOfBound('2018-07-25'), {
    fromMs: Date.UTC(2018, 6, 25),
    endMs: Date.UTC(2018, 6, 26),
  })
  deepStrictEqual(rangeOfBound('2018-07-25T00:00:29Z'), { fromMs: TIME_MS, endMs: TIME_MS + 1 })
  strictEqual(rangeOfBound('soon'), null)
})
