import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lowBitsOf, hashOf } from '../../../services/core/id-hash.ts'

test('a reference is a whole number of 48 bits and never 0', () => {
  for (const identifier of ['', 'a', 'card-00042', 'x'.repeat(64)]) {
    const reference = hashOf(identifier)
    assert.ok(Number.isInteger(reference) && reference > 0 && reference < 2 ** 48, identifier)
  }
})

test('a hundred thousand identifiers that differ little get references that differ', () => {
  const references = new Set<number>()
  for (let index = 0; index < 100_000; index += 1) references.add(hashOf(`tx-${index}`))
  assert.equal(references.size, 100_000)
})

test('references stay as they are, since they are stored', () => {
  assert.deepEqual(
    ['tx-1', 'intent-000123', 'device-001'].map(hashOf),
    [2_962_801_482_656, 88_053_929_849_690, 264_185_763_576_139],
  )
})

test('the low bits of a reference are what is left of it modulo 2^32', () => {
  for (const reference of [1, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 48 - 1, hashOf('tx-1')]) {
    assert.equal(lowBitsOf(reference), reference % 2 ** 32)
  }
})
