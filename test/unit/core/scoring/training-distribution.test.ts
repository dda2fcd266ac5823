import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FieldReader } from '../../../../services/core/scoring/field-reader.ts'
import {
  binName,
  binOf,
  BINS_MAX,
  distributionOf,
  readTrainingDistribution,
  SHARE_FLOOR,
  stabilityIndex,
} from '../../../../services/core/scoring/training-distribution.ts'

test('bins hold about a tenth of the training rows each, and absent values have their own', () => {
  const values = Float64Array.from({ length: 1_100 }, (_, index) => (index < 100 ? NaN : index))
  const { edges, shares } = distributionOf(values)
  strictEqual(edges.length, BINS_MAX - 1)
  for (const share of shares.slice(0, -1)) ok(Math.abs(share - 1 / 11) < 0.002, String(share))
  strictEqual(shares.at(-1), 100 / 1_100)
})

test('a feature of few values has few bins, and one that is always the same or absent has one', () => {
  deepStrictEqual(distributionOf(Float64Array.from([0, 0, 0, 1])), {
    edges: [0],
    shares: [0.75, 0.25, 0],
  })
  deepStrictEqual(distributionOf(Float64Array.from([7, 7])), { edges: [], shares: [1, 0] })
  deepStrictEqual(distributionOf(Float64Array.from([NaN])), { edges: [], shares: [0, 1] })
})

test('every value falls into the bin that its distribution counted it in', () => {
  const value = fc.oneof(
    fc.double({ noDefaultInfinity: false }),
    fc.constantFrom(0, 1, 2, NaN, Infinity, -Infinity),
  )
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 60 }), (list) => {
      const distribution = distributionOf(Float64Array.from(list))
      const counts = new Array<number>(distribution.edges.length + 2).fill(0)
      for (const each of list) {
        const bin = binOf(each, distribution.edges)
        counts[bin] = (counts[bin] ?? 0) + 1
      }
      deepStrictEqual(
        counts.map((count) => count / list.length),
        distribution.shares,
      )
      strictEqual(stabilityIndex(distribution.shares, counts), 0)
    }),
  )
})

test('the index follows the formula, is finite for empty bins, and null without rows', () => {
  const index = stabilityIndex([0.5, 0.5, 0], [75, 25, 0]) ?? NaN
  ok(Math.abs(index - (0.25 * Math.log(1.5) - 0.25 * Math.log(0.5))) < 1e-12)
  const empty = stabilityIndex([1, 0], [0, 10]) ?? NaN
  ok(Math.abs(empty - 2 * (1 - SHARE_FLOOR) * Math.log(1 / SHARE_FLOOR)) < 1e-9)
  strictEqual(stabilityIndex([1, 0], [0, 0]), null)
})

test('bins are named by their position', () => {
  const distribution = { edges: [1], shares: [0.5, 0.5, 0] }
  deepStrictEqual(
    [0, 1, 2].map((bin) => binName(bin, distribution)),
    ['0', '1', 'absent'],
  )
})

test('an impossible distribution is refused', () => {
  const read = (score: object) => () =>
    readTrainingDistribution(new FieldReader({ rows: 1, features: [], score }, 'manifest.json'), 10)
  deepStrictEqual(read({ edges: [1], shares: [0.5, 0.5, 0] })().score.edges, [1])
  for (const wrong of [
    { edges: [1, 1], shares: [0.5, 0.2, 0.3, 0] },
    { edges: [1], shares: [0.5, 0.5] },
    { edges: [1], shares: [0.5, 0.4, 0] },
    { edges: [2, 1], shares: [0.25, 0.25, 0.5, 0] },
  ]) {
    throws(read(wrong), /trainingDistribution/)
  }
})
