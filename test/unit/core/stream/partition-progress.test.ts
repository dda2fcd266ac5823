import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decodeMetadata,
  decodeProgress,
  encodeMetadata,
  encodeProgress,
  furthest,
  type PartitionProgress,
} from '../../../../services/core/stream/partition-progress.ts'
import { holds } from '../../../support/property.ts'

const timeMs = fc.integer({ min: -1, max: 4_102_444_800_000 })
const position = fc.record(
  { newestEventMs: timeMs, watermarkMs: timeMs, labelWatermarkMs: timeMs },
  { noNullPrototype: true },
)
const progress: fc.Arbitrary<PartitionProgress> = fc
  .tuple(position, fc.nat(), fc.maxSafeNat(), fc.maxSafeNat())
  .map(([at, generation, nextOffset, labelNextOffset]) => ({
    generation,
    nextOffset,
    labelNextOffset,
    ...at,
  }))

test('progress is read back as it was written', () => {
  holds(
    200,
    fc.property(progress, (written) => {
      assert.deepEqual(decodeProgress(encodeProgress(written)), written)
    }),
  )
})

test('progress that is missing or cannot be read is none, never the start of the log', () => {
  const whole = encodeProgress({
    generation: 1,
    nextOffset: 2,
    labelNextOffset: 3,
    newestEventMs: 4,
    watermarkMs: 5,
    labelWatermarkMs: 6,
  })
  const parts: unknown = JSON.parse(whole)
  assert.ok(typeof parts === 'object' && parts !== null)
  const damaged = Object.keys(parts).map((left) => JSON.stringify({ ...parts, [left]: undefined }))
  const frontier = Array.from({ length: whole.length }, (_, length) => whole.slice(0, length))
  for (const text of [null, '', 'null', '[]', '7', '"x"', ...frontier, ...damaged]) {
    assert.equal(decodeProgress(text), null, String(text))
  }
})

test('metadata of a commit is read back as it was written', () => {
  holds(
    200,
    fc.property(position, fc.base64String(), (at, chainHash) => {
      const written = { position: at, chainHash }
      assert.deepEqual(decodeMetadata(encodeMetadata(written)), written)
    }),
  )
})

test('metadata that somebody else wrote is none', () => {
  for (const text of [
    null,
    '',
    'x',
    '{}',
    '[1,2,3]',
    '[1,2,"3",""]',
    '[1,2,3,4]',
    '[1,2,3,"",5]',
  ]) {
    assert.equal(decodeMetadata(text), null, String(text))
  }
})

test('the further of two progresses goes back in nothing and keeps the first generation', () => {
  holds(
    200,
    fc.property(progress, progress, (a, b) => {
      const both = furthest(a, b)
      assert.equal(both.generation, a.generation)
      for (const key of Object.keys(a) as (keyof PartitionProgress)[]) {
        if (key !== 'generation') assert.equal(both[key], Math.max(a[key], b[key]))
      }
    }),
  )
})
