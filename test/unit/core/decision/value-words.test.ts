import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  scoreInWords,
  valueInWords,
  valuesInWords,
} from '../../../../services/core/decision/reasons.ts'
import { FEATURE_NAMES } from '../../../../services/core/features/catalogue/feature-list.ts'

const words = (name: string, value: number): string =>
  valueInWords(FEATURE_NAMES.indexOf(name), value)

test('a value is told as its unit is: money to the cent, yes and no in words, counts whole', () => {
  assert.equal(words('amount', 35.2), '35.20 EUR')
  assert.equal(words('is_night', 1), 'yes')
  assert.equal(words('is_night', 0), 'no')
  assert.equal(words('card_count_1d', 12), '12')
  assert.equal(words('card_speed_kmh', 812.3456), '812.3 km/h')
  assert.equal(words('card_distance_km', 12), '12 km')
  assert.equal(words('terminal_fraud_share_7d', 0.12345), '12.35 %')
  assert.equal(words('card_amount_ratio_30d', 3.2), '3.2 times')
  assert.equal(words('card_amount_z_score_30d', 2.71828), '2.718')
  assert.equal(words('merchant_category', 1_234_567), '1234567')
  assert.equal(words('hour_of_day', 13.51), '13:30')
  assert.equal(words('hour_of_day', 0), '00:00')
  assert.equal(words('card_speed_kmh', NaN), 'none')
})

test('a span of time is told in its two largest units', () => {
  const span = (seconds: number): string => words('card_seconds_since_last', seconds)
  assert.equal(span(0), '0 s')
  assert.equal(span(12.5), '12.5 s')
  assert.equal(span(59.6), '1 min')
  assert.equal(span(2_049), '34 min 9 s')
  assert.equal(span(17_360), '4 h 49 min')
  assert.equal(span(3_599.7), '1 h')
  assert.equal(span(7_190), '2 h') // not 1 h 60 min
  assert.equal(span(2 * 86_400), '2 d')
  assert.equal(span(2 * 86_400 + 5_400), '2 d 2 h')
})

test('two values that look alike in words are told exactly', () => {
  const at = FEATURE_NAMES.indexOf('card_seconds_since_last')
  assert.deepEqual(valuesInWords(at, 17_360, 2_049), ['4 h 49 min', '34 min 9 s'])
  assert.deepEqual(valuesInWords(at, 17_360, 17_361), ['17360 s', '17361 s'])
  assert.deepEqual(valuesInWords(at, 17_360, 17_360), ['4 h 49 min', '4 h 49 min'])
  assert.deepEqual(valuesInWords(at, NaN, NaN), ['none', 'none'])
})

test('a score is told in two decimals, and a small one never as 0', () => {
  assert.equal(scoreInWords(0.1234), '0.12')
  assert.equal(scoreInWords(0.00123), '0.0012')
  assert.equal(scoreInWords(0), '0.00')
})
