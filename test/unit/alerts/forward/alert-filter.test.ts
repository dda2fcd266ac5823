import { ok } from 'node:assert/strict'
import { test } from 'node:test'
import {
  type AlertFilter,
  isWanted,
  NO_SEGMENT,
} from '../../../../services/alerts/forward/cloud-event.ts'
import type { Alert } from '../../../../services/core/wire/records.ts'
import { fullAlert } from '../../core/wire/samples.ts'

const EVERYTHING: AlertFilter = {
  actions: ['flag', 'block', 'release'],
  scoreMin: null,
  segments: null,
  amountMinorMin: null,
}

const alert: Alert = {
  ...fullAlert,
  action: 'block',
  score: 0.8,
  amountMinor: 5_000,
  currency: 'EUR',
  segment: 'ecommerce',
}

test('a filter by action lets these actions pass and no others, the unknown one never', () => {
  ok(isWanted(alert, { ...EVERYTHING, actions: ['block'] }))
  ok(!isWanted(alert, { ...EVERYTHING, actions: ['flag', 'release'] }))
  ok(!isWanted({ ...alert, action: 'unknown' }, EVERYTHING))
})

test('a lowest score keeps back what is below it, and nothing without a score', () => {
  ok(isWanted(alert, { ...EVERYTHING, scoreMin: 0.8 }))
  ok(!isWanted(alert, { ...EVERYTHING, scoreMin: 0.81 }))
  ok(isWanted({ ...alert, score: null }, { ...EVERYTHING, scoreMin: 0.99 }))
})

test('segments are those named; an alert without one is "none"', () => {
  ok(isWanted(alert, { ...EVERYTHING, segments: ['atm', 'ecommerce'] }))
  ok(!isWanted(alert, { ...EVERYTHING, segments: ['atm'] }))
  ok(!isWanted({ ...alert, segment: null }, { ...EVERYTHING, segments: ['ecommerce'] }))
  ok(isWanted({ ...alert, segment: null }, { ...EVERYTHING, segments: [NO_SEGMENT] }))
})

test('a lowest amount holds for its currency alone', () => {
  ok(isWanted(alert, { ...EVERYTHING, amountMinorMin: { EUR: 5_000 } }))
  ok(!isWanted(alert, { ...EVERYTHING, amountMinorMin: { EUR: 5_001 } }))
  ok(isWanted(alert, { ...EVERYTHING, amountMinorMin: { USD: 5_001 } }))
})

test('neither score nor amount keeps back a release, but its action and segment do', () => {
  const release: Alert = { ...alert, action: 'release', score: 0, amountMinor: 0 }
  const strict = { ...EVERYTHING, scoreMin: 1, amountMinorMin: { EUR: 1_000_000 } }
  ok(isWanted(release, strict))
  ok(!isWanted(release, { ...strict, actions: ['block'] }))
  ok(!isWanted(release, { ...strict, segments: ['atm'] }))
})
