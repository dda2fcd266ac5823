import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { TokenBucket } from '../../../services/core/token-bucket.ts'
import { holds } from '../../support/property.ts'

test('a full bucket lets its burst through, and then says how long to wait', () => {
  const bucket = new TokenBucket({ perSecond: 4, burst: 2 }, 1_000)
  assert.deepEqual([bucket.take(1_000), bucket.take(1_000), bucket.take(1_000)], [0, 0, 250])
  assert.equal(bucket.take(1_249), 1)
  assert.equal(bucket.take(1_250), 0)
})

test('no span lets more through than its burst and its rate allow', () => {
  const options = fc.record({
    perSecond: fc.integer({ min: 1, max: 50 }),
    burst: fc.integer({ min: 1, max: 20 }),
  })
  const gaps = fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 1, maxLength: 60 })
  holds(
    200,
    fc.property(options, gaps, ({ perSecond, burst }, gapsMs) => {
      const bucket = new TokenBucket({ perSecond, burst }, 0)
      const passedMs: number[] = []
      let nowMs = 0
      for (const gapMs of gapsMs) {
        nowMs += gapMs
        if (bucket.take(nowMs) === 0) passedMs.push(nowMs)
      }
      for (const [from, startMs] of passedMs.entries()) {
        for (const [to, endMs] of passedMs.entries()) {
          if (to < from) continue
          const allowed = burst + (perSecond * (endMs - startMs)) / 1_000
          assert.ok(to - from + 1 <= allowed + 1e-9)
        }
      }
    }),
  )
})

test('whoever waits as long as was said gets through', () => {
  holds(
    200,
    fc.property(fc.integer({ min: 1, max: 1_000 }), (perSecond) => {
      const bucket = new TokenBucket({ perSecond, burst: 1 }, 0)
      assert.equal(bucket.take(0), 0)
      const waitMs = bucket.take(0)
      assert.ok(waitMs > 0)
      assert.equal(bucket.take(waitMs), 0)
    }),
  )
})
