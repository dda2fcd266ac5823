import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  actionOf,
  outcomeOf,
  outcomeOfStored,
  storedOutcomeOf,
} from '../../../../services/core/decision/decide.ts'
import { MODES, OUTCOMES } from '../../../../services/core/wire/records.ts'
import { holds } from '../../../support/property.ts'

const score = fc.double({ min: 0, max: 1, noNaN: true })

test('a score that reaches a threshold has its outcome', () => {
  const thresholds = { flag: 0.5, block: 0.9 }
  assert.equal(outcomeOf(0.5 - Number.EPSILON, thresholds), 'approve')
  assert.equal(outcomeOf(0.5, thresholds), 'flag')
  assert.equal(outcomeOf(0.9 - Number.EPSILON, thresholds), 'flag')
  assert.equal(outcomeOf(0.9, thresholds), 'block')
})

test('a higher score never has a milder outcome', () => {
  holds(
    200,
    fc.property(score, score, score, score, (a, b, c, d) => {
      const thresholds = { flag: Math.min(a, b), block: Math.max(a, b) }
      const mild = OUTCOMES.indexOf(outcomeOf(Math.min(c, d), thresholds))
      const strict = OUTCOMES.indexOf(outcomeOf(Math.max(c, d), thresholds))
      assert.ok(mild <= strict)
    }),
  )
})

test('observe publishes nothing, flag at most flags, enforce what was decided', () => {
  const table = MODES.map((mode) => OUTCOMES.map((outcome) => actionOf(outcome, mode)))
  assert.deepEqual(table, [
    [null, null, null],
    [null, 'flag', 'flag'],
    [null, 'flag', 'block'],
  ])
})

test('an outcome is stored as a number and read back; anything else is not known', () => {
  for (const outcome of OUTCOMES) {
    const stored = storedOutcomeOf(outcome)
    assert.ok(stored > 0)
    assert.equal(outcomeOfStored(stored), outcome)
  }
  assert.equal(outcomeOfStored(0), null)
  assert.equal(outcomeOfStored(4), null)
})
