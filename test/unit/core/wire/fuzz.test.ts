// Damaged messages of every subject: 20,000 in every run, a million with SLUICE_FULL=1. No message may throw, nor cost
// more memory than its bytes justify; and a message that still decodes must be a value that passes every check again.
// Time is reported in the full run, not asserted.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FRAME_HEADER_BYTES } from '../../../../services/core/wire/codec.ts'
import { createBoundedWalk } from '../../../../services/core/wire/bounded-walk.ts'
import { REJECT_REASONS } from '../../../../services/core/dead-letters.ts'
import avro from 'avsc'
import type { Codec } from '../../../../services/core/wire/codec.ts'
import { mutate } from './mutations.ts'
import { fullTransaction } from './samples.ts'
import { codecs, schemaOf, seededNumbers, subjectCases } from './wire-fixture.ts'

const IS_FULL = process.env['SLUICE_FULL'] === '1'
const MESSAGE_COUNT = IS_FULL ? 1_000_000 : 20_000
const SEED = 20_180_725

/** Upper bound of the values (array items, map entries and fields) per decoded byte, roughly. */
const SLOTS_PER_BYTE_MAX = 2

/** A decoded value's strings, numbers and containers, counted. */
function slotsOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1
  if (value instanceof Uint8Array) return 1 + value.length / 8
  return Object.values(value).reduce<number>((sum, part) => sum + slotsOf(part), 1)
}

interface Cost {
  messageBytes: number
  elapsedMs: number
  subject: string
}

test(`${MESSAGE_COUNT} damaged messages are rejected or decode to values that hold`, (context) => {
  const draw = seededNumbers(SEED)
  const originals: { codec: Codec<unknown>; bytes: Buffer }[] = subjectCases.flatMap(
    ({ codec, minimal, full }) => [
      { codec, bytes: codec.encode(minimal) },
      { codec, bytes: codec.encode(full) },
    ],
  )
  // Near the largest size, where a field that is read in full costs most.
  const longId = { ...fullTransaction, id: ' 4-'.repeat(21_000) }
  originals.push({ codec: codecs.transaction, bytes: codecs.transaction.encode(longId) })
  const reasons = new Set<string>(REJECT_REASONS)
  const slowest: Cost = { messageBytes: 0, elapsedMs: 0, subject: '' }
  let decodedCount = 0
  let rejectedCount = 0
  for (let count = 0; count < MESSAGE_COUNT; count += 1) {
    const original = originals[draw() % originals.length]
    const other = originals[draw() % originals.length]
    assert.ok(original !== undefined && other !== undefined)
    const { codec } = original
    const bytes = mutate(original.bytes, other.bytes, draw)
    const startMs = IS_FULL ? performance.now() : 0
    const decoded = codec.decode(bytes)
    codecs.decodeTransactionMessage(bytes)
    codecs.decodeLabelMessage(bytes)
    const elapsedMs = IS_FULL ? performance.now() - startMs : 0
    if (elapsedMs > slowest.elapsedMs) {
      Object.assign(slowest, { messageBytes: bytes.length, elapsedMs, subject: codec.subject })
    }
    if (!decoded.ok) {
      rejectedCount += 1
      assert.ok(reasons.has(decoded.reason))
      continue
    }
    decodedCount += 1
    // A record of twenty fields with one byte each is the least dense value.
    assert.ok(slotsOf(decoded.value) <= 32 + SLOTS_PER_BYTE_MAX * bytes.length)
    const again = codec.decode(codec.encode(decoded.value))
    assert.deepStrictEqual(again, decoded, `seed ${SEED}, message ${count}`)
  }
  context.diagnostic(`${decodedCount} decoded, ${rejectedCount} rejected`)
  if (IS_FULL) {
    const { subject, messageBytes, elapsedMs } = slowest
    context.diagnostic(
      `slowest message, decoded three times: ${elapsedMs.toFixed(2)} ms (${subject}, ${messageBytes} bytes)`,
    )
  }
  // If nearly all were of one kind, the run would prove little.
  assert.ok(decodedCount > MESSAGE_COUNT / 50)
  assert.ok(rejectedCount > MESSAGE_COUNT / 50)
})

test('the walk of a hostile message allocates nothing', () => {
  const walk = createBoundedWalk(schemaOf('decision-batch'), 262_144)
  const draw = seededNumbers(SEED)
  const full = subjectCases.find(({ subject }) => subject === 'decision-batch')
  assert.ok(full !== undefined)
  const valid = full.codec.encode(full.full)
  const hostile = Array.from({ length: 64 }, () => mutate(valid, valid, draw)).filter(
    (bytes) => bytes.length >= FRAME_HEADER_BYTES,
  )
  const heapBytesOf = (rounds: number): number => {
    const before = process.memoryUsage().heapUsed
    for (let round = 0; round < rounds; round += 1) {
      for (const bytes of hostile) walk.check(bytes, FRAME_HEADER_BYTES)
    }
    return process.memoryUsage().heapUsed - before
  }
  heapBytesOf(200)
  // The best of several groups, since a compiler or the test runner may allocate at the same time. Each fault is one
  // small object; an array of the claimed size would be megabytes.
  const groups = Array.from({ length: 8 }, () => heapBytesOf(20))
  const checks = 20 * hostile.length
  assert.ok(Math.min(...groups.map(Math.abs)) < checks * 512, `heap grew by ${groups.join(', ')}`)
})

test('an array header that claims 2^30 items is rejected at its field, without the items', () => {
  const claim = Buffer.from([0x80, 0x80, 0x80, 0x80, 0x08])
  const minimal = subjectCases.find(({ subject }) => subject === 'decision-batch')
  assert.ok(minimal !== undefined)
  const { codec } = minimal
  const valid = codec.encode(minimal.minimal)
  // The last bytes are empty: erased decisions, salts, dead-letter offsets, decisions.
  for (const [frontier, field] of [
    [1, 'erased'],
    [3, 'deadLetterOffsets'],
    [4, 'decisions'],
  ] as const) {
    const bytes = Buffer.concat([valid.subarray(0, valid.length - frontier), claim])
    assert.deepStrictEqual(codec.decode(bytes), { ok: false, reason: 'malformed', field })
  }
})

test('control: without the walk, avsc makes as many items as a header of four bytes claims', () => {
  const schema: avro.Schema = { type: 'array', items: 'null' }
  const bytes = Buffer.from([0x80, 0x80, 0x80, 0x01, 0x00]) // 2^20, zigzag, then the end
  const items = avro.Type.forSchema(schema).fromBuffer(bytes) as readonly null[]
  assert.equal(items.length, 2 ** 20)
  assert.notEqual(createBoundedWalk(schema, 4_096).check(bytes, 0), null)
})
