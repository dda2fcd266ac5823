import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseApiVersions, releaseOf } from '../../../../tools/doctor/broker-versions.ts'

function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

/** A broker's response: two keys, and three tagged fields, one of which is read. */
function response(): Buffer {
  const noTags = Buffer.from([0])
  const key = (id: number, min: number, max: number): Buffer =>
    Buffer.concat([int16(id), int16(min), int16(max), noTags])
  const name = Buffer.from('metadata.version')
  const feature = Buffer.concat([
    Buffer.from([2, name.length + 1]),
    name,
    int16(30),
    int16(7),
    noTags,
  ])
  const tag = (id: number, body: Buffer): Buffer =>
    Buffer.concat([Buffer.from([id, body.length]), body])
  return Buffer.concat([
    Buffer.from([0, 0, 0, 1]),
    int16(0),
    Buffer.from([3]),
    key(0, 3, 13),
    key(1, 4, 18),
    Buffer.alloc(4),
    Buffer.from([3]),
    tag(0, Buffer.from([1])),
    tag(1, Buffer.alloc(8)),
    tag(2, feature),
  ])
}

test('version ranges and settled features are read from an answer', () => {
  const { produce, fetch, features } = parseApiVersions(response())
  deepStrictEqual(produce, [3, 13])
  deepStrictEqual(fetch, [4, 18])
  deepStrictEqual([...features], [['metadata.version', 30]])
})

test('a frontier answer is refused with a RangeError, never read past its end', () => {
  const whole = response()
  for (let length = 0; length < whole.length; length += 1) {
    throws(() => parseApiVersions(whole.subarray(0, length)), RangeError, `cut to ${length}`)
  }
})

test('arbitrary bytes end in an answer or a RangeError, without long work', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      try {
        ok(parseApiVersions(Buffer.from(bytes)).features.size <= 4_096)
      } catch (error) {
        ok(error instanceof RangeError)
      }
    }),
  )
})

test('a metadata level is named by its release', () => {
  strictEqual(releaseOf(30), '4.3')
  strictEqual(releaseOf(29), '4.2')
  strictEqual(releaseOf(25), '4.0')
  strictEqual(releaseOf(3), 'older than 3.9')
  strictEqual(releaseOf(99), 'newer than 4.3')
})
