import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { scoreOf } from '../../../../services/core/scoring/calibration.ts'

test('a score is between 0 and 1 and never falls when the logit rises', () => {
  const finite = fc.double({ noNaN: true, noDefaultInfinity: true })
  const slopes = fc.double({ min: 0.001, max: 100, noNaN: true })
  const intercepts = fc.double({ min: -20, max: 20, noNaN: true })
  fc.assert(
    fc.property(finite, finite, slopes, intercepts, (one, other, slope, intercept) => {
      const calibration = { kind: 'platt', slope, intercept } as const
      const low = scoreOf(Math.min(one, other), calibration)
      const high = scoreOf(Math.max(one, other), calibration)
      assert.ok(low >= 0 && low <= high && high <= 1, `${low} to ${high}`)
    }),
  )
})

test('without calibration the score is the logistic function of the logit', () => {
  const identity = { kind: 'identity', slope: 1, intercept: 0 } as const
  assert.equal(scoreOf(0, identity), 0.5)
  assert.ok(Math.abs(scoreOf(Math.log(3), identity) - 0.75) < 1e-15)
})

test('a logit that is not finite gives no score', () => {
  for (const logit of [NaN, Infinity, -Infinity]) {
    assert.ok(Number.isNaN(scoreOf(logit, { kind: 'platt', slope: 1, intercept: 0 })))
  }
})
