// Goal: percentiles are those of the sorted list. Method: property tests against the obvious way.

import { strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LatencyCounts, RecentLatencies } from '../../../../tools/demo/subscriber.ts'

const SHARES = [0, 0.5, 0.9, 0.99, 1]

function percentileOf(values: readonly number[], share: number): number | null {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? null
}

test('percentiles of whole milliseconds equal those of the sorted list', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 600_000 }), { maxLength: 50 }), (values) => {
      const counts = new LatencyCounts()
      for (const value of values) counts.add(value)
      strictEqual(counts.total, values.length)
      for (const share of SHARES)
        strictEqual(counts.percentileMs(share), percentileOf(values, share))
    }),
    { numRuns: 20 },
  )
})

test('what is out of range counts at the edge', () => {
  const counts = new LatencyCounts()
  counts.add(-5)
  counts.add(10_000_000)
  strictEqual(counts.percentileMs(0.5), 0)
  strictEqual(counts.percentileMs(1), 600_000)
})

test('recent latencies are the newest ones only', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 0, max: 1_000 })),
      fc.integer({ min: 1, max: 20 }),
      (values, size) => {
        const recent = new RecentLatencies(size)
        for (const value of values) recent.add(value)
        for (const share of SHARES) {
          strictEqual(recent.percentileMs(share), percentileOf(values.slice(-size), share))
        }
      },
    ),
  )
})
