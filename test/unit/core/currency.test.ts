import assert from 'node:assert/strict'
import { test } from 'node:test'
import { minorDigitsOf } from '../../../services/core/currency.ts'

test('currencies of ISO 4217 have the minor digits of the standard', () => {
  const digits = { EUR: 2, USD: 2, MRU: 2, AFN: 2, JPY: 0, KRW: 0, KWD: 3, IQD: 3, CLF: 4, BGN: 2 }
  for (const [currency, expected] of Object.entries(digits)) {
    assert.equal(minorDigitsOf(currency), expected, currency)
  }
})

test('codes that no payment is in have no minor digits: metals, tests, no currency, other text', () => {
  for (const code of ['XAU', 'XDR', 'XTS', 'XXX', 'ZZZ', 'eur', 'EU', '']) {
    assert.equal(minorDigitsOf(code), undefined, code)
  }
})
