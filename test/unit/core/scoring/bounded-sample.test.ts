import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { hashOf } from '../../../../services/core/id-hash.ts'
import { BoundedSample } from '../../../../services/core/scoring/bounded-sample.ts'

const DAY_MS = 86_400_000

test('while there is room every entry is stored, and found once', () => {
  const sample = new BoundedSample<string>(10, DAY_MS)
  sample.add(hashOf('a'), 1, 'a')
  deepStrictEqual(sample.take(hashOf('a')), { value: 'a', weight: 1 })
  strictEqual(sample.take(hashOf('a')), null)
  strictEqual(sample.take(hashOf('b')), null)
})

test('a full sample keeps a part, evenly over time, and its weights add up to all entries', () => {
  const sample = new BoundedSample<number>(2_000, 100 * DAY_MS)
  const count = 100_000
  for (let index = 0; index < count; index += 1) sample.add(hashOf(`t${index}`), index, index)
  ok(sample.size <= 2_000, `${sample.size} kept`)
  ok(sample.share < 0.05, `share ${sample.share}`)
  const found = Array.from({ length: count }, (_, index) => sample.take(hashOf(`t${index}`)))
  const sumOf = (part: typeof found): number =>
    part.reduce((sum, kept) => sum + (kept?.weight ?? 0), 0)
  const [first, second] = [sumOf(found.slice(0, count / 2)), sumOf(found.slice(count / 2))]
  for (const sum of [first, second]) {
    ok(Math.abs(sum - count / 2) < count / 10, `represents ${sum} of ${count / 2}`)
  }
})

test('entries whose label will not come make room before others do', () => {
  const sample = new BoundedSample<string>(4, DAY_MS)
  for (const name of ['a', 'b', 'c', 'd']) sample.add(hashOf(name), 0, name)
  sample.add(hashOf('new'), 2 * DAY_MS, 'new')
  strictEqual(sample.share, 1)
  deepStrictEqual(sample.take(hashOf('new')), { value: 'new', weight: 1 })
  strictEqual(sample.size, 0)
})

test('a cleared sample starts again', () => {
  const sample = new BoundedSample<number>(2, DAY_MS)
  for (let index = 0; index < 100; index += 1) sample.add(hashOf(`t${index}`), 0, index)
  ok(sample.share < 1)
  sample.clear()
  deepStrictEqual([sample.share, sample.size], [1, 0])
})
