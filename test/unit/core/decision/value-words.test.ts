import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scoreInWords, valueInWords } from '../../../../services/core/decision/value-words.ts'
import { FEATURE_NAMES } from '../../../../services/core/features/feature-list.ts'

const words = (name: string, value: number): string =>
  valueInWords(FEATURE_NAMES.indexOf(name), value)

test('money is told to the cent, yes and no in words, counts whole, all else in four digits', () => {
  assert.equal(words('amount', 35.2), '35.20')
  assert.equal(words('is_night', 1), 'yes')
  assert.equal(words('is_night', 0), 'no')
  assert.equal(words('card_count_1d', 12), '12')
  assert.equal(words('card_speed_kmh', 812.3456), '812.3')
  assert.equal(words('card_speed_kmh', NaN), 'none')
})

test('a score is told in two decimals, and a small one never as 0', () => {
  assert.equal(scoreInWords(0.1234), '0.12')
  assert.equal(scoreInWords(0.00123), '0.0012')
  assert.equal(scoreInWords(0), '0.00')
})
