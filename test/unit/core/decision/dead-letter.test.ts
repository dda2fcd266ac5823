import assert from 'node:assert/strict'
import { createHmac } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import { deadLetterOf } from '../../../../services/core/dead-letters.ts'
import { holds } from '../../../support/property.ts'

function letterOf(value: Buffer | null, hmacKey = 'key') {
  const message = { topic: 'transactions', partition: 1, offset: 5, timestampMs: 9, value }
  return deadLetterOf(message, 'malformed', 'card', hmacKey, 10)
}

test('no digit and no byte that is not printable survives in the sample', () => {
  const digits = fc.string({ unit: fc.constantFrom(...Array.from('0123456789 -x')) })
  const payload = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    digits.map((text) => Buffer.from(text)),
    // Digits of other scripts are bytes beyond ASCII.
    fc.string({ unit: 'grapheme' }).map((text) => Buffer.from(text)),
  )
  holds(
    300,
    fc.property(payload, (value) => {
      const { sample } = letterOf(value)
      assert.match(sample, /^[ -/:-~]*$/)
      assert.equal(sample.length, Math.min(64, value.length))
    }),
  )
})

test('a dead letter says where the message stands and how large it was', () => {
  const value = Buffer.from('card 4111111111111111')
  assert.deepEqual(letterOf(value), {
    topic: 'transactions',
    partition: 1,
    offset: 5,
    timestampMs: 9,
    reason: 'malformed',
    field: 'card',
    payloadBytes: value.length,
    payloadHmac: createHmac('sha256', 'key').update(value).digest(),
    sample: 'card ################',
    decidedAtMs: 10,
  })
})

test('the hash of a payload cannot be found by trying without the key', () => {
  const value = Buffer.from('4111111111111111')
  assert.notDeepEqual(letterOf(value, 'a').payloadHmac, letterOf(value, 'b').payloadHmac)
})

test('a message without a value is a dead letter of no bytes', () => {
  const { payloadBytes, sample } = letterOf(null)
  assert.deepEqual([payloadBytes, sample], [0, ''])
})
