import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  DEFAULT_THRESHOLD_RULES,
  chooseThresholds,
} from '../../../services/trainer/choose-thresholds.ts'
import { atThreshold } from '../../../services/trainer/metrics.ts'

/** `frauds` and `genuine` counts per score. */
function scoredFrom(steps: readonly (readonly [number, number, number])[]): {
  scores: Float64Array
  truth: Uint8Array
} {
  const scores: number[] = []
  const truth: number[] = []
  for (const [score, frauds, genuine] of steps) {
    for (let row = 0; row < frauds + genuine; row += 1) {
      scores.push(score)
      truth.push(row < frauds ? 1 : 0)
    }
  }
  return { scores: Float64Array.from(scores), truth: Uint8Array.from(truth) }
}

test('flag takes the lowest score that keeps precision and budget, block the lowest that keeps its own', () => {
  const scored = scoredFrom([
    [0.9, 30, 1],
    [0.7, 10, 9],
    [0.5, 5, 12],
    [0.3, 5, 60],
    [0.1, 0, 9_900],
  ])
  const { flag, block, rule } = chooseThresholds(scored)
  assert.equal(flag, 0.4)
  assert.equal(block, 0.8)
  assert.match(rule, /precision >= 0\.5 and at most 1\.0 %.*precision >= 0\.9/)
})

test('without a score of enough precision a budget decides about flags, nothing is blocked, and it is said', () => {
  const scored = scoredFrom([
    [0.9, 5, 25],
    [0.5, 5, 20],
    [0.1, 20, 9_900],
  ])
  const { flag, block, rule } = chooseThresholds(scored)
  assert.equal(flag, 0.7)
  assert.equal(block, 1)
  assert.match(rule, /no score had precision.*block: never/)
})

test('block is above flag, both are scores, and no budget is broken, whatever the scores', () => {
  const counts = fc.integer({ min: 0, max: 60 })
  const steps = fc.array(fc.tuple(fc.integer({ min: 0, max: 100 }), counts, counts), {
    minLength: 1,
    maxLength: 30,
  })
  fc.assert(
    fc.property(steps, fc.integer({ min: 0, max: 20_000 }), (table, rest) => {
      const scored = scoredFrom([
        ...table.map(
          ([score, frauds, genuine]) =>
            [score / 100, frauds, genuine + 1] as [number, number, number],
        ),
        [0.001, 0, rest],
      ])
      const { flag, block } = chooseThresholds(scored)
      assert.ok(flag > 0 && flag < block && block <= 1, `${flag}, ${block}`)
      const blocked = atThreshold(scored, block)
      const isNever = block === 1
      assert.ok(isNever || blocked.alertShare <= DEFAULT_THRESHOLD_RULES.blockShareMax)
    }),
    // A model that tells nothing at all.
    { examples: [[[[0, 0, 0]], 0]] },
  )
})
