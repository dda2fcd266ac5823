import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  cascadeScores,
  isSampled,
  shareAtMost,
  verifiedRows,
} from '../../../../services/core/scoring/cascade.ts'

/** Probability of exactly `count` of `trials`, as a product of plain factors. */
function exactly(count: number, trials: number, share: number): number {
  let product = 1
  for (let each = 1; each <= count; each += 1) {
    product *= ((trials - count + each) / each) * share
  }
  return product * (1 - share) ** (trials - count)
}

test('the largest plausible share matches published tables, and the closed form without events', () => {
  assert.ok(Math.abs(shareAtMost(1, 10, 0.95) - 0.39416) < 1e-5)
  assert.ok(Math.abs(shareAtMost(5, 10, 0.95) - 0.77756) < 1e-5)
  for (const trials of [1, 20, 299, 3_000, 1_000_000]) {
    const found = shareAtMost(0, trials, 0.95)
    assert.ok(Math.abs(found / (1 - 0.05 ** (1 / trials)) - 1) < 1e-6, `${trials}`)
  }
  assert.equal(shareAtMost(0, 0, 0.95), 1)
  assert.equal(shareAtMost(7, 7, 0.95), 1)
})

test('at the largest plausible share, more events than observed have exactly the stated confidence', () => {
  const cases = fc
    .tuple(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 0, max: 59 }))
    .filter(([trials, events]) => events < trials)
  fc.assert(
    fc.property(cases, fc.constantFrom(0.8, 0.95, 0.99), ([trials, events], confidence) => {
      const share = shareAtMost(events, trials, confidence)
      let more = 0
      for (let count = events + 1; count <= trials; count += 1)
        more += exactly(count, trials, share)
      assert.ok(Math.abs(more - confidence) < 1e-6, `${more}`)
    }),
  )
})

test('the target decides the rows that reach the band and no others, never a row without a draft score', () => {
  const draft = Float64Array.of(0.1, 0.5, NaN, 0.49, 0.9)
  const rows = verifiedRows(draft, 0.5)
  assert.deepEqual([...rows], [1, 4])
  assert.deepEqual(
    cascadeScores(draft, rows, Float64Array.of(0.2, NaN)),
    Float64Array.of(0.1, 0.2, NaN, 0.49, NaN),
  )
  assert.deepEqual([...verifiedRows(draft, 0)], [0, 1, 3, 4])
  assert.deepEqual(draft, Float64Array.of(0.1, 0.5, NaN, 0.49, 0.9))
})

test('the sample holds about its share of ids, always the same ones, and a larger sample contains a smaller one', () => {
  const ids = Array.from({ length: 20_000 }, (_, index) => `transaction-${index}`)
  const sample = ids.filter((id) => isSampled(id, 0.05))
  assert.ok(Math.abs(sample.length / ids.length - 0.05) < 0.008, `${sample.length}`)
  assert.ok(sample.every((id) => isSampled(id, 0.05) && isSampled(id, 0.2)))
  assert.ok(ids.every((id) => !isSampled(id, 0) && isSampled(id, 1)))
})
