import assert from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RATES, createRateTable } from '../../../services/core/currency.ts'

const JANUARY_MS = Date.UTC(2026, 0, 1)
const JUNE_MS = Date.UTC(2026, 5, 1)
const table = createRateTable('EUR', [
  { currency: 'USD', fromMs: JUNE_MS, minorRate: 0.5 },
  { currency: 'USD', fromMs: JANUARY_MS, minorRate: 0.9 },
])

test('the reference currency is itself at any time', () => {
  assert.equal(table.toReferenceMinor(123, 'EUR', 0), 123)
})

test('the rate is the last one that holds at the time, from its first millisecond', () => {
  assert.equal(table.toReferenceMinor(100, 'USD', JUNE_MS - 1), 90)
  assert.equal(table.toReferenceMinor(100, 'USD', JUNE_MS), 50)
})

test('before the first rate and for an unknown currency there is none', () => {
  assert.equal(table.toReferenceMinor(100, 'USD', JANUARY_MS - 1), null)
  assert.equal(table.toReferenceMinor(100, 'XXX', JUNE_MS), null)
})

test('amounts are whole minor units, halves rounded up', () => {
  assert.equal(table.toReferenceMinor(1, 'USD', JUNE_MS), 1)
  assert.equal(table.toReferenceMinor(3, 'USD', JUNE_MS), 2)
  assert.equal(DEFAULT_RATES.toReferenceMinor(1, 'HUF', JUNE_MS), 0)
})

test('the digest names the table', () => {
  const rates = [{ currency: 'USD', fromMs: 0, minorRate: 1 }]
  assert.equal(createRateTable('EUR', rates).digest, createRateTable('EUR', [...rates]).digest)
  assert.notEqual(createRateTable('EUR', rates).digest, createRateTable('USD', rates).digest)
  assert.notEqual(createRateTable('EUR', rates).digest, table.digest)
})
