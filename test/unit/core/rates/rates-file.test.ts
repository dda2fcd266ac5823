import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import { isEcbCsv, parseEcbRates } from '../../../../services/core/rates/ecb-rates.ts'
import { rateTableText, type RateTable } from '../../../../services/core/rates/rate-table.ts'
import { parseRates, RATES_LIMITS, readRates } from '../../../../services/core/rates/rates-file.ts'

const DAY_MS = 86_400_000

function tableOf(parsed: ReturnType<typeof parseRates>): RateTable {
  assert.ok(parsed.ok, JSON.stringify(parsed))
  return parsed.table
}

test('a table comes back as it was written', () => {
  const table = tableOf(parseRates(rateTableText(DEFAULT_RATES)))
  assert.equal(table.digest, DEFAULT_RATES.digest)
  assert.deepEqual(table.rates, DEFAULT_RATES.rates)
})

test('comments, empty lines, blanks, CRLF and a byte order mark change nothing', () => {
  const text =
    '\uFEFF# rates\r\nreference, EUR\r\n\r\ncurrency,from,rate\r\n  USD , 2026-01-02T16:00:00Z , 0.9 \r\n'
  const table = tableOf(parseRates(text))
  assert.deepEqual(table.rates, [
    { currency: 'USD', fromMs: Date.UTC(2026, 0, 2, 16), rate: '0.9' },
  ])
})

test('every fault is named with its line', () => {
  const lines = [
    'reference,EUR',
    'currency,from,rate',
    'ZZZ,2026-01-01,1',
    'USD,2026-02-30,1',
    'USD,1.1.2026,1',
    '# a comment',
    'USD,2026-01-01,0',
    'USD,2026-01-01,-1',
    'USD,2026-01-01,1e3',
    'USD,2026-01-01,0.9',
    'USD,2026-01-01,0.91',
    'EUR,2026-01-01,1',
    'USD,2026-01-02',
  ]
  const parsed = parseRates(lines.join('\n'))
  assert.ok(!parsed.ok)
  assert.deepEqual(
    parsed.faults.map(({ line }) => line),
    [3, 4, 5, 7, 8, 9, 11, 12, 13],
  )
})

test('a table without its first lines is refused, and so is one of an unknown reference', () => {
  for (const text of [
    '',
    'USD,2026-01-01,1',
    'reference,EUR',
    'reference,ZZZ\ncurrency,from,rate',
    'reference,EUR\nUSD,2026-01-01,1',
  ]) {
    assert.ok(!parseRates(text).ok, text)
  }
})

test('the error names file, line and remedy', () => {
  assert.throws(
    () => readRates('reference,EUR\ncurrency,from,rate\nUSD,2026-01-01,x', 'rates.csv'),
    (error) =>
      isSluiceError(error, 'SLUICE_RATES_INVALID') &&
      /rates\.csv:3: "x" is no rate/.test(error.message) &&
      /sluice rates check/.test(error.message),
  )
})

test('a text above the limit is not read', () => {
  const parsed = parseRates(
    `reference,EUR\ncurrency,from,rate\n${' '.repeat(RATES_LIMITS.bytesMax)}`,
  )
  assert.ok(!parsed.ok && /more than/.test(parsed.faults[0]?.message ?? ''))
})

const ECB = [
  'Date,USD,JPY,GBP,RUB,',
  '2026-02-20,1.25,160,0.85,N/A,',
  '2026-02-03,1.25,155,0.85,N/A,',
  '2026-02-02,1.2,150,N/A,100,',
  '2026-01-30,1.1,140,0.8,N/A,',
].join('\n')

test("the European Central Bank's quotes become rates from the next day on", () => {
  assert.ok(isEcbCsv(ECB))
  assert.ok(!isEcbCsv(rateTableText(DEFAULT_RATES)))
  const table = tableOf(parseEcbRates(ECB, { reference: 'EUR', sinceMs: 0 }))
  const saturdayMs = Date.UTC(2026, 0, 31)
  assert.equal(table.toReferenceMinor(110, 'USD', saturdayMs - 1), null)
  assert.equal(table.toReferenceMinor(110, 'USD', saturdayMs), 100)
  // The day of the quote and the weekend still have the quote before.
  assert.equal(table.toReferenceMinor(110, 'USD', Date.UTC(2026, 1, 2, 23)), 100)
  assert.equal(table.toReferenceMinor(120, 'USD', Date.UTC(2026, 1, 3)), 100)
  assert.equal(table.toReferenceMinor(140, 'JPY', saturdayMs), 100)
  // N/A keeps the last quote.
  assert.equal(table.toReferenceMinor(80, 'GBP', Date.UTC(2026, 1, 3)), 100)
})

test('a currency that is quoted no more has no rate after two weeks', () => {
  const table = tableOf(parseEcbRates(ECB, { reference: 'EUR', sinceMs: 0 }))
  const quotedMs = Date.UTC(2026, 1, 3)
  assert.equal(table.toReferenceMinor(10_000, 'RUB', quotedMs + 14 * DAY_MS - 1), 100)
  assert.equal(table.toReferenceMinor(10_000, 'RUB', quotedMs + 14 * DAY_MS), null)
})

test('rates to another reference are crossed through the euro', () => {
  const table = tableOf(parseEcbRates(ECB, { reference: 'JPY', sinceMs: 0 }))
  assert.equal(table.reference, 'JPY')
  assert.equal(table.rates.find(({ currency }) => currency === 'EUR')?.rate, '140')
  const rate = Number(table.rates.find(({ currency }) => currency === 'USD')?.rate)
  assert.ok(Math.abs(rate - 140 / 1.1) < 1e-9)
})

test('since a day the rate in force then is kept, and older ones are left out', () => {
  const sinceMs = Date.UTC(2026, 1, 4)
  const all = tableOf(parseEcbRates(ECB, { reference: 'EUR', sinceMs: 0 }))
  const some = tableOf(parseEcbRates(ECB, { reference: 'EUR', sinceMs }))
  assert.ok(some.rates.length < all.rates.length)
  for (const timeMs of [sinceMs, sinceMs + DAY_MS, sinceMs + 30 * DAY_MS]) {
    for (const currency of ['USD', 'JPY', 'GBP', 'RUB']) {
      assert.equal(
        some.toReferenceMinor(1_000, currency, timeMs),
        all.toReferenceMinor(1_000, currency, timeMs),
      )
    }
  }
})

test("faults of the bank's file have their lines", () => {
  const text = 'Date,USD,ZZZ\n2026-01-30,1.1,x,3\n30.1.2026,1,1\n2026-01-30,abc,1'
  const parsed = parseEcbRates(text, { reference: 'SEK', sinceMs: 0 })
  assert.ok(!parsed.ok)
  assert.deepEqual(
    parsed.faults.map(({ line }) => line),
    [1, 1, 2, 3, 4],
  )
})
