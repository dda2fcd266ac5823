import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import kafkajs from 'kafkajs'
import {
  murmur2,
  murmur2Ascii,
  murmur2AsciiPair,
  partitionOf,
  partitionOfAscii,
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

test('an ASCII string hashes as its bytes do, with any seed', () => {
  const ascii = fc.string({ unit: 'binary-ascii', maxLength: 70 })
  holds(
    500,
    fc.property(ascii, fc.nat(), partitionCount, (text, seed, count) => {
      const bytes = Buffer.from(text, 'latin1')
      assert.equal(murmur2Ascii(text, seed), murmur2(bytes, seed))
      assert.equal(partitionOfAscii(text, count), partitionOf(bytes, count))
    }),
  )
})

test('two hashes in one pass are the low 16 bits of the first above the second', () => {
  const ascii = fc.string({ unit: 'binary-ascii', maxLength: 70 })
  holds(
    500,
    fc.property(ascii, fc.nat(), fc.nat(), (text, high, low) => {
      const expected = (murmur2Ascii(text, high) & 0xffff) * 0x1_0000_0000 + murmur2Ascii(text, low)
      assert.equal(murmur2AsciiPair(text, high, low), expected)
    }),
  )
})
