import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scoreOf } from '../../../../services/core/scoring/scaling.ts'
import { fitCalibration } from '../../../../services/trainer/fit/fit-calibration.ts'
import { shuffled } from '../../../../services/trainer/statistics.ts'

/** Logits on a grid with exactly the shares of frauds that a known curve implies. */
function gridOf(slope: number, intercept: number): { logits: Float64Array; truth: Uint8Array } {
  const logits: number[] = []
  const truth: number[] = []
  const perPoint = 2_000
  for (let point = -40; point <= 40; point += 1) {
    const logit = point / 10
    const frauds = Math.round(perPoint * scoreOf(logit, { kind: 'platt', slope, intercept }))
    for (let row = 0; row < perPoint; row += 1) {
      logits.push(logit)
      truth.push(row < frauds ? 1 : 0)
    }
  }
  return { logits: Float64Array.from(logits), truth: Uint8Array.from(truth) }
}

test('slope and intercept of a known curve are recovered', () => {
  const { logits, truth } = gridOf(0.7, -2)
  const { kind, slope, intercept } = fitCalibration(logits, truth)
  assert.equal(kind, 'platt')
  assert.ok(Math.abs(slope - 0.7) < 0.01, `${slope}`)
  assert.ok(Math.abs(intercept + 2) < 0.01, `${intercept}`)
})

test('calibrated scores add up to the observed frauds', () => {
  const { logits, truth } = gridOf(1.6, -3)
  const calibration = fitCalibration(logits, truth)
  const sum = logits.reduce((total, logit) => total + scoreOf(logit, calibration), 0)
  const frauds = truth.reduce((total, label) => total + label, 0)
  assert.ok(Math.abs(sum / frauds - 1) < 0.001, `${sum} of ${frauds}`)
})

test('inverted logits are left unchanged, since calibration may not reverse an order', () => {
  const { logits, truth } = gridOf(1, 0)
  assert.deepEqual(
    fitCalibration(
      logits.map((logit) => -logit),
      truth,
    ),
    {
      kind: 'identity',
      slope: 1,
      intercept: 0,
    },
  )
})

test('a perfect separation still gives a finite curve', () => {
  const { slope, intercept } = fitCalibration(
    Float64Array.of(-2, -1, 1, 2),
    Uint8Array.of(0, 0, 1, 1),
  )
  assert.ok(slope > 0 && Number.isFinite(slope) && Number.isFinite(intercept))
})

test('a shuffle holds every row once and depends on seed and epoch only', () => {
  const order = shuffled(1_000, 5, 1)
  assert.deepEqual(
    [...order].sort((a, b) => a - b),
    [...Array(1_000).keys()],
  )
  assert.deepEqual(shuffled(1_000, 5, 1), order)
  assert.notDeepEqual(shuffled(1_000, 5, 2), order)
  assert.notDeepEqual(shuffled(1_000, 6, 1), order)
})
