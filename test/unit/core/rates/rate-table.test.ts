import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import {
  createRateTable,
  type CurrencyRate,
  firstDifferenceMs,
  NO_RATE,
  rateTableText,
  REFERENCE_MINOR_MAX,
} from '../../../../services/core/rates/rate-table.ts'

const JANUARY_MS = Date.UTC(2026, 0, 1)
const JUNE_MS = Date.UTC(2026, 5, 1)
const rate = (currency: string, fromMs: number, text: string): CurrencyRate => ({
  currency,
  fromMs,
  rate: text,
})
const table = createRateTable('EUR', [rate('USD', JUNE_MS, '0.5'), rate('USD', JANUARY_MS, '0.90')])

test('the reference currency is itself at any time', () => {
  assert.equal(table.toReferenceMinor(123, 'EUR', 0), 123)
})

test('a rate counts from its date on, until the next one', () => {
  assert.equal(table.toReferenceMinor(100, 'USD', JUNE_MS - 1), 90)
  assert.equal(table.toReferenceMinor(100, 'USD', JUNE_MS), 50)
  assert.equal(table.toReferenceMinor(100, 'USD', JUNE_MS + 1e9), 50)
})

test('a currency without a rate at that time is unknown, not 1 to 1', () => {
  assert.equal(table.toReferenceMinor(100, 'USD', JANUARY_MS - 1), null)
  assert.equal(table.toReferenceMinor(100, 'GBP', JUNE_MS), null)
  const ended = createRateTable('EUR', [
    rate('RUB', JANUARY_MS, '0.01'),
    rate('RUB', JUNE_MS, NO_RATE),
  ])
  assert.equal(ended.toReferenceMinor(100, 'RUB', JUNE_MS - 1), 1)
  assert.equal(ended.toReferenceMinor(100, 'RUB', JUNE_MS), null)
})

test('amounts are rounded half up to hundredths', () => {
  assert.equal(table.toReferenceMinor(1, 'USD', JUNE_MS), 1)
  assert.equal(table.toReferenceMinor(3, 'USD', JUNE_MS), 2)
  assert.equal(DEFAULT_RATES.toReferenceMinor(1, 'HUF', JUNE_MS), 0)
})

test('currencies with no, two and three minor digits are converted by their units', () => {
  const rates = [rate('JPY', 0, '0.006'), rate('KWD', 0, '3'), rate('USD', 0, '0.9')]
  const toEuro = createRateTable('EUR', rates)
  // 1,000 yen, 1 dinar of 1,000 fils, 1 dollar of 100 cents.
  assert.equal(toEuro.toReferenceMinor(1_000, 'JPY', 1), 600)
  assert.equal(toEuro.toReferenceMinor(1_000, 'KWD', 1), 300)
  assert.equal(toEuro.toReferenceMinor(100, 'USD', 1), 90)
  const toWon = createRateTable('KRW', [rate('USD', 0, '1400')])
  assert.equal(toWon.toReferenceMinor(5_000, 'KRW', 1), 500_000)
  assert.equal(toWon.toReferenceMinor(100, 'USD', 1), 140_000)
  const toDinar = createRateTable('KWD', [rate('USD', 0, '0.31')])
  assert.equal(toDinar.toReferenceMinor(1_005, 'KWD', 1), 101)
})

test('a converted amount has a limit, so that sums stay exact', () => {
  const toWon = createRateTable('KRW', [])
  assert.equal(toWon.toReferenceMinor(1_000_000_000_000, 'KRW', 0), REFERENCE_MINOR_MAX)
})

test('the digest names the rates, in whatever order and form they are written', () => {
  const same = createRateTable('EUR', [
    rate('USD', JANUARY_MS, '00.9'),
    rate('USD', JUNE_MS, '0.500'),
  ])
  assert.equal(same.digest, table.digest)
  assert.equal(rateTableText(same), rateTableText(table))
  assert.notEqual(createRateTable('GBP', table.rates).digest, table.digest)
  assert.notEqual(createRateTable('EUR', table.rates.slice(1)).digest, table.digest)
})

test('two tables convert alike before their first difference, and differently at it', () => {
  const text = fc.constantFrom('1', '2', '3', NO_RATE)
  const rates = fc.uniqueArray(
    fc.tuple(fc.constantFrom('USD', 'GBP'), fc.integer({ min: 0, max: 9 }), text),
    { maxLength: 12, selector: ([currency, fromMs]) => `${currency}${fromMs}` },
  )
  fc.assert(
    fc.property(rates, rates, (one, other) => {
      const [a, b] = [one, other].map((each) =>
        createRateTable(
          'EUR',
          each.map(([currency, fromMs, of]) => rate(currency, fromMs, of)),
        ),
      )
      assert.ok(a !== undefined && b !== undefined)
      const isSame = (timeMs: number): boolean =>
        ['USD', 'GBP'].every(
          (currency) =>
            a.toReferenceMinor(100, currency, timeMs) === b.toReferenceMinor(100, currency, timeMs),
        )
      const firstMs = firstDifferenceMs(a, b)
      for (let timeMs = 0; timeMs < 10; timeMs += 1) {
        if (firstMs === null || timeMs < firstMs) assert.ok(isSame(timeMs))
      }
      if (firstMs !== null) assert.ok(!isSame(firstMs))
    }),
  )
})
