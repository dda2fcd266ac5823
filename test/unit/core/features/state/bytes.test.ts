import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ByteReader, ByteWriter } from '../../../../../services/core/features/state/bytes.ts'
import { isSluiceError } from '../../../../../services/core/errors.ts'
import { holds } from '../../../../support/property.ts'

const EDGES = [0, 1, 127, 128, 2 ** 31 - 1, 2 ** 31, 2 ** 32, 2 ** 48 - 1, 2 ** 53 - 1]
const unsigned = fc.oneof(fc.constantFrom(...EDGES), fc.maxSafeNat())
// Zigzag takes one bit for the sign, so half of the range is left.
const signed = fc.oneof(
  fc.constantFrom(0, -1, 1, -64, 64, 2 ** 52 - 1, -(2 ** 52)),
  fc.integer({ min: -(2 ** 52), max: 2 ** 52 - 1 }),
)

test('numbers of every kind are read back as written, over their whole range', () => {
  const value = fc.oneof(
    fc.tuple(fc.constant('varint' as const), unsigned),
    fc.tuple(fc.constant('zigzag' as const), signed),
    fc.tuple(fc.constant('uint48' as const), fc.integer({ min: 0, max: 2 ** 48 - 1 })),
    fc.tuple(fc.constant('uint32' as const), fc.integer({ min: 0, max: 2 ** 32 - 1 })),
    fc.tuple(fc.constant('byte' as const), fc.integer({ min: 0, max: 255 })),
  )
  // More than the writer's first buffer holds, so that it grows.
  const values = fc.array(value, { maxLength: 2_000, size: 'max' })
  const writer = new ByteWriter(64)
  holds(
    30,
    fc.property(values, (written) => {
      writer.reset()
      for (const [kind, number] of written) writer[kind](number)
      const reader = new ByteReader(writer.take())
      for (const [kind, number] of written) assert.equal(reader[kind](), number)
      assert.equal(reader.isAtEnd, true)
    }),
  )
})

test('reading past the end is corruption for every kind of number', () => {
  for (const kind of ['byte', 'uint32', 'uint48', 'varint', 'zigzag'] as const) {
    const reader = new ByteReader(Buffer.from([0x80]))
    if (kind === 'byte') reader.byte()
    assert.throws(
      () => reader[kind](),
      (error) => isSluiceError(error, 'SLUICE_STATE_CORRUPT'),
    )
  }
})

test('a number that never ends is corruption', () => {
  const reader = new ByteReader(Buffer.alloc(100, 0xff))
  assert.throws(
    () => reader.varint(),
    (error) => isSluiceError(error, 'SLUICE_STATE_CORRUPT'),
  )
})

test('a value that was taken stays as it is until its room is given back', () => {
  const writer = new ByteWriter(64)
  const taken: [Buffer, string][] = []
  for (let index = 0; index < 100; index += 1) {
    const text = `value ${index} ${'x'.repeat(index % 50)}`
    writer.reset()
    for (const byte of Buffer.from(text)) writer.byte(byte)
    taken.push([writer.take(), text])
  }
  for (const [value, text] of taken) assert.equal(value.toString(), text)
})

test('room that was given back is used again, and nothing that was taken since is written over', () => {
  const writer = new ByteWriter()
  const long = Buffer.alloc(100_000, 1)
  const buffers = new Set<ArrayBufferLike>()
  for (let round = 0; round < 20; round += 1) {
    const values: Buffer[] = []
    for (let index = 0; index < 8; index += 1) {
      writer.reset()
      writer.byte(index)
      for (const byte of long) writer.byte(byte)
      values.push(writer.take())
    }
    for (const [index, value] of values.entries()) {
      assert.equal(value[0], index)
      assert.equal(value.length, long.length + 1)
      buffers.add(value.buffer)
    }
    writer.recycle()
  }
  assert.ok(buffers.size <= 8, `${buffers.size} chunks`)
})
