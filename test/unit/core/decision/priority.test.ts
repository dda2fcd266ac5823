// Goal: alerts with a larger expected loss come first, and an unknown loss does not count as small.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  expectedLossMinorOf,
  PRIORITY_LOSS_MINOR,
  priorityOf,
} from '../../../../services/core/decision/decide.ts'

test('the loss is the score times the amount; without a score it is not known', () => {
  assert.equal(expectedLossMinorOf(0.25, 10_000), 2_500)
  assert.equal(expectedLossMinorOf(0, 10_000), 0)
  assert.equal(expectedLossMinorOf(null, 10_000), null)
  assert.equal(priorityOf(null), 0)
})

test('priorities begin exactly at their loss', () => {
  for (const [index, least] of PRIORITY_LOSS_MINOR.entries()) {
    assert.equal(priorityOf(least), index + 1)
    assert.equal(priorityOf(least - 1), index + 2)
  }
})

test('a greater loss is never less urgent', () => {
  fc.assert(
    fc.property(fc.nat(200_000), fc.nat(200_000), (one, other) => {
      assert.ok(priorityOf(Math.max(one, other)) <= priorityOf(Math.min(one, other)))
    }),
  )
})
