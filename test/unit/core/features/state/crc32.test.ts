// Goal: the checksum of stored values is zlib's. Method: random bytes, cut in two anywhere, against zlib in one piece.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'
import { crc32Of, SHORT_BYTES_MAX } from '../../../../../services/core/features/state/crc32.ts'
import { holds } from '../../../../support/property.ts'

test('a checksum that goes on from another is that of the whole, in short pieces and in long ones', () => {
  const bytes = fc.uint8Array({ maxLength: 3 * SHORT_BYTES_MAX, size: 'max' })
  holds(
    300,
    fc.property(
      bytes,
      fc.nat(3 * SHORT_BYTES_MAX),
      fc.nat(0xffff_ffff),
      (all, frontier, before) => {
        const value = Buffer.from(all)
        const middle = Math.min(frontier, value.length)
        const first = crc32Of(value, 0, middle, before)
        assert.equal(crc32Of(value, middle, value.length, first), crc32(value, before))
      },
    ),
  )
})

test('the check value of the CRC-32 catalogue', () => {
  assert.equal(crc32Of(Buffer.from('123456789'), 0, 9, 0), 0xcbf43926)
})
