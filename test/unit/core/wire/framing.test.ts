import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  FRAME_HEADER_BYTES,
  frameSchemaId,
  NOT_FRAMED,
  writeFrameHeader,
} from '../../../../services/core/wire/codec.ts'

test('a header that was written gives back its schema id', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 31 - 1 }), (schemaId) => {
      const bytes = new Uint8Array(FRAME_HEADER_BYTES).fill(0xff)
      writeFrameHeader(bytes, schemaId)
      assert.equal(frameSchemaId(bytes), schemaId)
    }),
  )
})

test('the header is a zero byte and the id with its most significant byte first', () => {
  const bytes = new Uint8Array(FRAME_HEADER_BYTES)
  writeFrameHeader(bytes, 0x01020304)
  assert.deepEqual([...bytes], [0, 1, 2, 3, 4])
})

test('bytes that are too short, of another magic or with a negative id are not framed', () => {
  for (const bytes of [[], [0, 0, 0, 1], [1, 0, 0, 0, 1], [0, 0x80, 0, 0, 1], [0x7b, 0, 0, 0, 1]]) {
    assert.equal(frameSchemaId(Uint8Array.from(bytes)), NOT_FRAMED)
  }
})
