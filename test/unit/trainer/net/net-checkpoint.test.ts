import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  decodeCheckpoint,
  encodeCheckpoint,
  type NetCheckpoint,
} from '../../../../services/trainer/net/net-checkpoint.ts'

const ARRAYS = fc.array(fc.float32Array({ maxLength: 6 }), { maxLength: 4 })
const KEPT: fc.Arbitrary<NetCheckpoint> = fc.record({
  epochs: fc.array(
    fc.record({
      epoch: fc.integer({ min: 1, max: 1_000 }),
      loss: fc.double({ noNaN: true, noDefaultInfinity: true }),
      validationPrecision: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
      seconds: fc.double({ min: 0, max: 1e6, noNaN: true }),
    }),
    { maxLength: 4 },
  ),
  bestEpoch: fc.nat(),
  bestPrecision: fc.double({ min: 0, max: 1, noNaN: true }),
  isDone: fc.boolean(),
  ...{ best: ARRAYS, average: ARRAYS, own: ARRAYS },
  optimizer: fc.option(
    fc.record({
      steps: fc.nat(),
      powers: fc.tuple(
        fc.double({ min: 1e-30, max: 1, noNaN: true }),
        fc.double({ min: 1e-30, max: 1, noNaN: true }),
      ),
      moments: ARRAYS,
    }),
  ),
})

/** Numbers by their bits, so that -0 and NaN count. */
function bitsOf(kept: NetCheckpoint): unknown {
  const hex = (all: readonly Float32Array[]): readonly string[] =>
    all.map((values) => Buffer.from(values.slice().buffer).toString('hex'))
  const { best, average, own, optimizer, ...rest } = kept
  return JSON.parse(
    JSON.stringify({
      ...rest,
      ...{ best: hex(best), average: hex(average), own: hex(own) },
      optimizer: optimizer === null ? null : { ...optimizer, moments: hex(optimizer.moments) },
    }),
  )
}

test('a checkpoint is read back bit for bit', () => {
  fc.assert(
    fc.property(KEPT, (kept) => {
      const found = decodeCheckpoint(encodeCheckpoint(kept))
      assert.ok(found !== null)
      assert.deepEqual(bitsOf(found), bitsOf(kept))
    }),
  )
})

test('a truncated or altered file is not read', () => {
  fc.assert(
    fc.property(KEPT, fc.nat(), fc.integer({ min: 1, max: 255 }), (kept, place, change) => {
      const bytes = encodeCheckpoint(kept)
      const at = place % bytes.length
      assert.equal(decodeCheckpoint(bytes.subarray(0, at)), null)
      bytes[at] = (bytes[at] ?? 0) ^ change
      assert.equal(decodeCheckpoint(bytes), null)
    }),
  )
})
