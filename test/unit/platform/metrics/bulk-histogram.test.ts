import { strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Histogram, Registry } from 'prom-client'
import { BulkHistogram } from '../../../../services/platform/metrics/buckets.ts'

const BOUNDS = [0.001, 0.1, 0.5, 1]

test('a bulk histogram is written as one of prom-client with the same values', async () => {
  const value = fc.oneof(
    fc.constantFrom(...BOUNDS, 0, 2),
    fc.double({ min: 0, max: 2, noNaN: true }),
  )
  await fc.assert(
    fc.asyncProperty(fc.array(fc.array(value)), async (batches) => {
      const ours = new Registry()
      const bulk = new BulkHistogram('sluice_a', 'A.', BOUNDS, ours)
      const theirs = new Registry()
      const plain = new Histogram({
        name: 'sluice_a',
        help: 'A.',
        buckets: BOUNDS,
        registers: [theirs],
      })
      for (const batch of batches) {
        bulk.observeAll(batch)
        for (const one of batch) plain.observe(one)
      }
      strictEqual(await ours.metrics(), await theirs.metrics())
    }),
    { numRuns: 50 },
  )
})

test('what is not a number is in no bucket, no sum and no count', async () => {
  const registry = new Registry()
  const histogram = new BulkHistogram('sluice_a', 'A.', BOUNDS, registry)
  histogram.observeAll(Float64Array.of(NaN, 0.05, NaN))
  const text = await registry.metrics()
  strictEqual(/^sluice_a_count (.*)$/m.exec(text)?.[1], '1')
  strictEqual(/^sluice_a_sum (.*)$/m.exec(text)?.[1], '0.05')
})
