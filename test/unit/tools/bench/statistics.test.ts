import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  median,
  percentile,
  slope,
  summarizeLatencies,
} from '../../../../tools/bench/statistics.ts'

test('a percentile is the smallest sample that enough samples do not exceed', () => {
  const samples = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 200 })
  fc.assert(
    fc.property(samples, fc.constantFrom(0.5, 0.9, 0.99, 0.999, 1), (values, share) => {
      const sorted = [...values].sort((a, b) => a - b)
      const found = percentile(sorted, share)
      const needed = share * values.length
      ok(values.includes(found))
      ok(values.filter((value) => value <= found).length >= needed)
      ok(values.filter((value) => value < found).length < needed)
    }),
  )
})

test('latencies are summarised exactly, whatever their order', () => {
  const latenciesMs = Array.from({ length: 1_000 }, (_, index) => ((index * 7) % 1_000) + 1)
  deepStrictEqual(summarizeLatencies(latenciesMs), {
    samples: 1_000,
    p50Ms: 500,
    p90Ms: 900,
    p99Ms: 990,
    p999Ms: 999,
    maxMs: 1_000,
  })
})

test('without samples there is no summary, rather than one of zeros', () => {
  strictEqual(summarizeLatencies([]), null)
  ok(Number.isNaN(median([])))
})

test('the slope of points on a line is that of the line, and one point has none', () => {
  strictEqual(
    slope([
      [0, 5],
      [1, 8],
      [2, 11],
    ]),
    3,
  )
  strictEqual(slope([[4, 2]]), null)
})
