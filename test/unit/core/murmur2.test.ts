import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import kafkajs from 'kafkajs'
import {
  murmur2,
  murmur2Text,
  murmur2TextPair,
  partitionOf,
  partitionOfText,
} from '../../../services/core/murmur2.ts'
import { holds } from '../../support/property.ts'

const partitionCount = fc.integer({ min: 1, max: 64 })

test('the partition of any key is the one that Kafka clients choose', () => {
  const choose = kafkajs.Partitioners.DefaultPartitioner()
  holds(
    500,
    fc.property(fc.uint8Array({ maxLength: 70 }), partitionCount, (key, count) => {
      const partitionMetadata = Array.from({ length: count }, (_, partitionId) => ({
        partitionId,
        partitionErrorCode: 0,
        leader: 1,
        replicas: [1],
        isr: [1],
      }))
      const message = { key: Buffer.from(key), value: null }
      const expected = choose({ topic: 'transactions', partitionMetadata, message })
      assert.equal(partitionOf(key, count), expected)
    }),
  )
})

test('a string of any script hashes as its UTF-8 bytes do, with any seed', () => {
  const text = fc.oneof(
    fc.string({ unit: 'binary-ascii', maxLength: 70 }),
    fc.string({ unit: 'grapheme', maxLength: 40 }),
  )
  holds(
    500,
    fc.property(text, fc.nat(), partitionCount, (text, seed, count) => {
      const bytes = Buffer.from(text)
      assert.equal(murmur2Text(text, seed), murmur2(bytes, seed))
      assert.equal(partitionOfText(text, count), partitionOf(bytes, count))
    }),
  )
})

test('two hashes in one pass are the low 16 bits of the first above the second', () => {
  const ascii = fc.string({ unit: 'binary-ascii', maxLength: 70 })
  holds(
    500,
    fc.property(ascii, fc.nat(), fc.nat(), (text, high, low) => {
      const expected = (murmur2Text(text, high) & 0xffff) * 0x1_0000_0000 + murmur2Text(text, low)
      assert.equal(murmur2TextPair(text, high, low), expected)
    }),
  )
})
