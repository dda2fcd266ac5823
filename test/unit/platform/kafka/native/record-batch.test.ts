import { encodeRecordBatch } from '../../../../support/plain-batch.ts'
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { describe, test } from 'node:test'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { compressionsAlgorithms, crc32c } from '@platformatic/kafka'
import fc from 'fast-check'
import snappy from 'snappyjs'
import type { Compression } from '../../../../../services/platform/kafka/compression.ts'
import {
  type BatchProducer,
  type OutgoingRecord,
} from '../../../../../services/platform/kafka/native/record-batch.ts'
import type { LogRecord } from '../../../../../services/platform/kafka/log-client.ts'
import {
  type KafkajsHeaders,
  NOW_MS,
  at,
  batchAt,
  batchOf,
  bodyOf,
  cursorOver,
  headersOf,
  offsetsOf,
  recordByKafkajs,
  seal,
  takeAll,
} from './batch-fixture.ts'

interface KafkajsRecord {
  readonly offset: string
  readonly timestamp: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: KafkajsHeaders
}
interface KafkajsBatch {
  readonly inTransaction: boolean
  readonly isControlBatch: boolean
  readonly lastOffsetDelta: number
  readonly producerId: string
  readonly producerEpoch: number
  readonly firstSequence: number
  readonly firstTimestamp: string
  readonly maxTimestamp: string
  readonly records: readonly KafkajsRecord[]
}
/** kafkajs' own encoder and decoder of batches, which represent other clients. */
const require = createRequire(import.meta.url)
const KafkajsDecoder = require('kafkajs/src/protocol/decoder') as new (bytes: Buffer) => object
const decodeByKafkajs = require('kafkajs/src/protocol/recordBatch/v0/decoder') as (
  decoder: object,
) => Promise<KafkajsBatch>
const { RecordBatch: encodeByKafkajs } = require('kafkajs/src/protocol/recordBatch/v0') as {
  RecordBatch: (options: object) => Promise<{ readonly buffer: Buffer }>
}
const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Buffer.from(array))
/** Excludes names of properties that every object has: kafkajs loses such headers. */
const plainText = fc.string({ unit: 'binary', maxLength: 40 }).filter((name) => !(name in {}))
const text = fc.string({ unit: 'binary', maxLength: 40 })
function outgoingRecords(headerName: fc.Arbitrary<string>): fc.Arbitrary<OutgoingRecord[]> {
  const record: fc.Arbitrary<OutgoingRecord> = fc.record(
    {
      key: fc.oneof(fc.constant(null), bytes, text),
      value: fc.option(bytes),
      headers: fc.dictionary(headerName, fc.oneof(bytes, text)),
      timestampMs: fc.integer({ min: -1, max: 2 ** 47 }),
    },
    { requiredKeys: ['key', 'value'] },
  )
  return fc.array(record, { minLength: 1, maxLength: 20 })
}
const producer: fc.Arbitrary<BatchProducer> = fc.record({
  producerId: fc.bigInt({ min: 0n, max: 2n ** 63n - 1n }),
  epoch: fc.nat({ max: 32_767 }),
  baseSequence: fc.nat({ max: 2 ** 31 - 1 }),
  isTransactional: fc.boolean(),
})

const keyOf = (key: OutgoingRecord['key']): Buffer | null =>
  typeof key === 'string' ? Buffer.from(key) : key

describe('an encoded batch', () => {
  test('is read as it was written', async () => {
    await fc.assert(
      fc.asyncProperty(
        outgoingRecords(fc.oneof(text, fc.constantFrom('__proto__', 'constructor'))),
        fc.option(producer),
        fc.nat(),
        async (records, by, offset) => {
          const cursor = cursorOver(at(offset, encodeRecordBatch(records, by, NOW_MS)))
          const read = await takeAll(cursor, 7)
          assert.equal(cursor.nextOffset, offset + records.length)
          assert.equal(read.length, records.length)
          for (const [index, record] of records.entries()) {
            const { headers, ...rest } = read[index] as LogRecord
            assert.deepEqual(rest, {
              offset: offset + index,
              timestampMs: record.timestampMs ?? NOW_MS,
              key: keyOf(record.key),
              value: record.value,
              refused: null,
            })
            assert.deepEqual(headersOf(headers as KafkajsHeaders), headersOf(record.headers))
          }
        },
      ),
    )
  })

  test('is read by kafkajs', async () => {
    await fc.assert(
      fc.asyncProperty(outgoingRecords(plainText), fc.option(producer), async (records, by) => {
        const encoded = encodeRecordBatch(records, by, NOW_MS)
        const batch = await decodeByKafkajs(new KafkajsDecoder(encoded))
        const timesMs = records.map(({ timestampMs }) => timestampMs ?? NOW_MS)
        assert.equal(batch.inTransaction, by?.isTransactional ?? false)
        assert.equal(batch.isControlBatch, false)
        assert.equal(batch.producerId, String(by?.producerId ?? -1))
        assert.equal(batch.producerEpoch, by?.epoch ?? -1)
        assert.equal(batch.firstSequence, by?.baseSequence ?? -1)
        assert.equal(batch.lastOffsetDelta, records.length - 1)
        assert.equal(batch.firstTimestamp, String(timesMs[0]))
        assert.equal(batch.maxTimestamp, String(Math.max(...timesMs)))
        assert.equal(encoded.readUInt32BE(17), crc32c(encoded.subarray(21)))
        assert.equal(batch.records.length, records.length)
        for (const [index, record] of records.entries()) {
          const read = batch.records[index] as KafkajsRecord
          assert.equal(read.offset, String(index))
          assert.equal(read.timestamp, String(timesMs[index]))
          assert.deepEqual(read.key, keyOf(record.key))
          assert.deepEqual(read.value, record.value)
          assert.deepEqual(new Map(headersOf(read.headers)), new Map(headersOf(record.headers)))
        }
      }),
    )
  })

  test('has at least one record', () => {
    assert.throws(() => encodeRecordBatch([], null, NOW_MS), /at least one record/)
  })
})

describe('a batch of other clients', () => {
  const kafkajsRecord = fc.record({
    key: fc.option(bytes),
    value: fc.option(bytes),
    timestampDelta: fc.integer({ min: -(2 ** 31), max: 2 ** 31 }),
    headers: fc.dictionary(
      plainText,
      fc.oneof(bytes, fc.array(bytes, { minLength: 2, maxLength: 3 })),
    ),
  })

  test('is read as kafkajs has written it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(kafkajsRecord, { minLength: 1, maxLength: 20 }),
        async (records) => {
          const { buffer } = await encodeByKafkajs({
            firstTimestamp: NOW_MS,
            lastOffsetDelta: records.length - 1,
            records: records.map((record, offsetDelta) =>
              recordByKafkajs({ ...record, offsetDelta }),
            ),
          })
          const read = await takeAll(cursorOver(buffer), 3)
          assert.deepEqual(
            read.map(({ headers, ...rest }) => ({
              ...rest,
              headers: headersOf(headers as KafkajsHeaders),
            })),
            records.map(({ timestampDelta, headers, ...record }, offset) => ({
              ...record,
              offset,
              timestampMs: NOW_MS + timestampDelta,
              refused: null,
              headers: headersOf(headers),
            })),
          )
        },
      ),
    )
  })

  const compressors: Record<Compression, { id: number; compress: (bytes: Buffer) => Buffer }> = {
    gzip: { id: 1, compress: gzipSync },
    snappy: { id: 2, compress: (body) => snappy.compress(body) },
    lz4: { id: 3, compress: (body) => compressionsAlgorithms.lz4.compressSync(body) },
    zstd: { id: 4, compress: zstdCompressSync },
  }
  for (const [compression, { id, compress }] of Object.entries(compressors)) {
    test(`is read when it is compressed by ${compression}`, async () => {
      const plain = bodyOf(250)
      const batch = batchOf({ body: compress(plain), recordCount: 250, attributes: id, offset: 40 })
      const set = Buffer.concat([batchAt(38, ['a', 'b']), batch, batchAt(290, ['c'])])
      const expected = await takeAll(
        cursorOver(
          Buffer.concat([
            batchAt(38, ['a', 'b']),
            batchOf({ body: plain, recordCount: 250, offset: 40 }),
            batchAt(290, ['c']),
          ]),
        ),
      )
      assert.equal(expected.length, 253)
      for (const recordsMax of [1, 2, 100, 1_000]) {
        assert.deepEqual(await takeAll(cursorOver(set), recordsMax), expected)
      }
      assert.deepEqual(await takeAll(cursorOver(set, { fromOffset: 200 })), expected.slice(162))
    })
  }

  test('has the time of the broker when the topic says so', async () => {
    const batch = batchOf({ body: bodyOf(2), recordCount: 2, attributes: 0x08 })
    batch.writeBigInt64BE(BigInt(NOW_MS + 5), 35)
    const records = await takeAll(cursorOver(seal(batch)))
    assert.deepEqual(
      records.map(({ timestampMs }) => timestampMs),
      [NOW_MS + 5, NOW_MS + 5],
    )
  })

  test('has gaps after compaction, or no records at all', async () => {
    const gaps = batchOf({
      body: bodyOf(3, (index) => 2 + 3 * index),
      recordCount: 3,
      lastOffsetDelta: 9,
    })
    const none = { body: Buffer.alloc(0), recordCount: 0, lastOffsetDelta: 4 }
    const empty = [
      batchOf({ ...none, offset: 10 }),
      batchOf({ ...none, attributes: 1, offset: 15 }),
    ]
    const cursor = cursorOver(Buffer.concat([gaps, ...empty]), { fromOffset: 3 })
    assert.deepEqual(offsetsOf(await takeAll(cursor, 1)), [5, 8])
    assert.equal(cursor.nextOffset, 20)
  })

  test('has a length below zero for what is null', async () => {
    const record = Buffer.from([12, 0, 0, 0, 9, 9, 0])
    const [read] = await takeAll(cursorOver(batchOf({ body: record, recordCount: 1 })))
    assert.deepEqual([read?.key, read?.value], [null, null])
  })

  test('leaves out headers without a value', async () => {
    const headers = Buffer.from([4, 2, 0x61, 1, 2, 0x62, 2, 0x63])
    const body = Buffer.concat([Buffer.from([2 * (5 + headers.length), 0, 0, 0, 1, 1]), headers])
    const [read] = await takeAll(cursorOver(batchOf({ body, recordCount: 1 })))
    assert.deepEqual(headersOf(read?.headers as KafkajsHeaders), [['b', ['63']]])
  })
})
