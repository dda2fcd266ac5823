import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CONFIDENCES, wilsonInterval } from '../../../../services/core/scoring/wilson.ts'

test('the interval matches the published formula', () => {
  // 10 of 100 at 95 %, computed by hand: centre 0.11479804, reach 0.0595712.
  const { low, high, share } = wilsonInterval(10, 100, 0.95)
  strictEqual(share, 0.1)
  ok(Math.abs(low - 0.0552291) < 1e-6, String(low))
  ok(Math.abs(high - 0.1743657) < 1e-6, String(high))
})

test('without cases the interval is 0 to 1, and no share is claimed', () => {
  deepStrictEqual(wilsonInterval(0, 0, 0.95), { hits: 0, cases: 0, share: null, low: 0, high: 1 })
})

test('the share lies within the interval, which narrows with cases and widens with confidence', () => {
  const cases = fc.integer({ min: 1, max: 10_000 })
  fc.assert(
    fc.property(cases, fc.double({ min: 0, max: 1, noNaN: true }), (count, part) => {
      const hits = Math.round(count * part)
      const widths = CONFIDENCES.map((confidence) => {
        const { low, high, share } = wilsonInterval(hits, count, confidence)
        ok(low >= 0 && high <= 1 && low <= (share ?? -1) && (share ?? 2) <= high)
        return high - low
      })
      ok((widths[0] ?? 9) <= (widths[1] ?? 0) && (widths[1] ?? 9) <= (widths[2] ?? 0))
      const more = wilsonInterval(4 * hits, 4 * count, 0.95)
      ok(more.high - more.low <= (widths[1] ?? 0))
    }),
  )
})
