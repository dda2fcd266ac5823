// Goal: the commit marker found for a record is that of its own transaction, however its partition is fetched.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../../../services/core/errors.ts'
import { MarkerSearch } from '../../../../../services/platform/kafka/native/commit-marker.ts'
import { batchAt, marker, NOW_MS, transactional } from './batch-fixture.ts'

const BATCHES = [
  batchAt(10, ['a', 'b', 'c'], transactional(1)),
  batchAt(13, ['d'], transactional(2)),
  marker(14, 2, 'commit', NOW_MS + 1),
  batchAt(15, ['e'], transactional(1)),
  marker(16, 1, 'commit', NOW_MS + 2),
  batchAt(17, ['f'], transactional(1)),
  marker(18, 1, 'commit', NOW_MS + 3),
] as const

/** The marker of the record, when each fetch returns this many batches, the last one cut off. */
function found(offset: number, perFetch: number, batches: readonly Buffer[] = BATCHES) {
  const search = new MarkerSearch(offset)
  for (let first = 0; first < batches.length; first += perFetch) {
    const whole = batches.slice(first, first + perFetch)
    const cutOff = batches[first + perFetch]?.subarray(0, 40) ?? Buffer.alloc(0)
    search.read(Buffer.concat([...whole, cutOff]))
  }
  return search.marker
}

test('the marker is the next one of the same producer, not one of another that ends before', () => {
  for (let perFetch = 1; perFetch <= BATCHES.length; perFetch += 1) {
    for (const offset of [10, 12]) {
      assert.deepEqual(found(offset, perFetch), { offset: 16, timestampMs: NOW_MS + 2 })
    }
  }
  assert.deepEqual(found(13, 7, BATCHES.slice(1)), { offset: 14, timestampMs: NOW_MS + 1 })
  assert.deepEqual(found(17, 7, BATCHES.slice(5)), { offset: 18, timestampMs: NOW_MS + 3 })
})

test('without a transaction, without its end and without the record there is no marker', () => {
  assert.equal(found(10, 3, [batchAt(10, ['a']), ...BATCHES.slice(1)]), null)
  assert.equal(found(10, 3, BATCHES.slice(0, 4)), null)
  assert.equal(found(9, 3), null)
})

test('a damaged batch is an error', () => {
  const damaged = Buffer.from(BATCHES[0])
  damaged.writeUInt8(damaged.readUInt8(damaged.length - 1) ^ 1, damaged.length - 1)
  assert.throws(
    () => found(10, 7, [damaged, ...BATCHES.slice(1)]),
    (error) => isSluiceError(error, 'SLUICE_LOG_CORRUPT'),
  )
})
