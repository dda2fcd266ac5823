// Records that a producer may send and that stopped every scorer that read them through kafkajs.

import { encodeRecordBatch } from './plain-batch.ts'
import { strictEqual } from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import { crc32c } from '@platformatic/kafka'
import { Cluster } from '../../services/platform/kafka/native/cluster.ts'
import { PRODUCE } from '../../services/platform/kafka/native/transaction-requests.ts'
import type { TestStream } from './streams.ts'

/** Positions in a record batch (format 2). */
const LENGTH_END = 12
const CRC_AT = 17
const ATTRIBUTES_AT = 21
const RECORDS_AT = 61
const GZIP = 1

/** Headers of one record of 47 KB, which kafkajs takes 15 s to read. */
export const HEADERS_8000: Readonly<Record<string, string>> = Object.fromEntries(
  Array.from({ length: 8_000 }, (_, index) => [`h${index.toString(36)}`, '']),
)

/** A compressed batch of this many empty records: far below the limit of a broker. */
export function emptyRecords(count: number): Buffer {
  const record = { key: null, value: Buffer.alloc(0) }
  const records = Array.from({ length: count }, () => record)
  const plain = encodeRecordBatch(records, null, Date.now())
  const batch = Buffer.concat([plain.subarray(0, RECORDS_AT), gzipSync(plain.subarray(RECORDS_AT))])
  batch.writeInt32BE(batch.length - LENGTH_END, LENGTH_END - 4)
  batch.writeInt16BE(GZIP, ATTRIBUTES_AT)
  batch.writeUInt32BE(crc32c(batch.subarray(ATTRIBUTES_AT)), CRC_AT)
  return batch
}

/** Sends a batch unchanged to a partition of transactions. */
export async function sendBatch(
  stream: TestStream,
  partition: number,
  batch: Buffer,
): Promise<void> {
  const cluster = new Cluster({ brokers: stream.brokers }, 'sluice-test')
  const topic = `${stream.prefix}transactions`
  const leader = await cluster.leaderOf(topic, partition)
  const results = await cluster.send(leader, 'control', PRODUCE.v1, {
    transactionalId: null,
    timeoutMs: 5_000,
    batches: [{ topic, partition, batch }],
  })
  await cluster.close()
  strictEqual(results[0]?.error, 'NONE')
}
