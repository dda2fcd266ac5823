// Goal: the isolation study counts correctly. Method: few rows with known alerts and weights.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { randomOf } from '../../../services/trainer/statistics.ts'
import { sharedAlerts } from '../../checks/isolation-parts.ts'
import { fitLogistic, logitOf } from '../../checks/isolation-second-stage.ts'

test('shared alerts are as many as the model has alone, and the forest adds what the model has not', () => {
  // 0.5 % of 800 rows are 4 alerts.
  const model = new Float64Array(800)
  const forest = new Float64Array(800)
  for (const [rank, row] of [10, 11, 12, 13].entries()) model[row] = 1 - rank / 10
  for (const [rank, row] of [11, 20, 10, 21].entries()) forest[row] = 1 - rank / 10
  assert.deepEqual(sharedAlerts(model, forest, 0), [10, 11, 12, 13])
  assert.deepEqual(sharedAlerts(model, forest, 0.5), [10, 11, 20, 21])
  assert.deepEqual(sharedAlerts(model, forest, 0.25), [10, 11, 12, 20])
})

test('the second stage finds the weights by which rows were drawn', () => {
  const next = randomOf(1)
  const drawn = [-1, 2, -0.5]
  const rows = Array.from({ length: 20_000 }, () => [4 * next() - 2, 4 * next() - 2])
  const truth = Uint8Array.from(rows, (row) =>
    next() < 1 / (1 + Math.exp(-logitOf(drawn, row))) ? 1 : 0,
  )
  for (const [at, weight] of fitLogistic(rows, truth).entries()) {
    assert.ok(Math.abs(weight - (drawn[at] ?? NaN)) < 0.1, `weight ${at} is ${weight}`)
  }
})
