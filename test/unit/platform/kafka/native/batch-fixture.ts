// Record batches for tests: valid ones of our own encoder, and any others with a correct checksum.

import { encodeRecordBatch } from '../../../../support/plain-batch.ts'
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { crc32c } from '@platformatic/kafka'
import {
  type BatchProducer,
  type OutgoingRecord,
} from '../../../../../services/platform/kafka/native/record-batch.ts'
import type { LogRecord } from '../../../../../services/platform/kafka/log-client.ts'
import {
  RecordCursor,
  type RecordCursorOptions,
} from '../../../../../services/platform/kafka/native/record-cursor.ts'

export const NOW_MS = 1_790_000_000_000
export const HEADER_BYTES = 61

export type KafkajsHeaders = Record<string, Buffer | string | (Buffer | string)[]>

/** kafkajs' own encoder of records. */
export const recordByKafkajs = createRequire(import.meta.url)(
  'kafkajs/src/protocol/recordBatch/record/v0',
) as (options: {
  offsetDelta?: number
  timestampDelta?: number
  key: Buffer | null
  value: Buffer | null
  headers?: KafkajsHeaders
}) => { readonly buffer: Buffer }

/** Computes the checksum again. */
export function seal(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch.subarray(21)), 17)
  return batch
}

export function at(offset: number, batch: Buffer): Buffer {
  batch.writeBigInt64BE(BigInt(offset), 0)
  return batch
}

/** A batch at `offset` with one record per value. */
export function batchAt(
  offset: number,
  values: readonly string[],
  producer: BatchProducer | null = null,
): Buffer {
  const records = values.map((value) => ({ key: null, value: Buffer.from(value) }))
  return at(offset, encodeRecordBatch(records, producer, NOW_MS))
}

/** A producer in a transaction. */
export function transactional(producerId: number): BatchProducer {
  return { producerId: BigInt(producerId), epoch: 0, baseSequence: 0, isTransactional: true }
}

/** The control batch that ends a transaction. */
export function marker(
  offset: number,
  producerId: number,
  type: 'abort' | 'commit',
  timestampMs = NOW_MS,
): Buffer {
  const key = Buffer.from([0, 0, 0, type === 'abort' ? 0 : 1])
  const records = [{ key, value: Buffer.alloc(6) }]
  const batch = at(offset, encodeRecordBatch(records, transactional(producerId), timestampMs))
  batch.writeInt16BE(0x30, 21)
  return seal(batch)
}

export interface BatchParts {
  readonly body: Buffer
  readonly recordCount: number
  readonly lastOffsetDelta?: number
  readonly attributes?: number
  readonly offset?: number
}

/** A batch of any body, with a correct checksum. */
export function batchOf({
  body,
  recordCount,
  lastOffsetDelta,
  attributes = 0,
  offset = 0,
}: BatchParts): Buffer {
  const header = batchAt(offset, ['']).subarray(0, HEADER_BYTES)
  const batch = Buffer.concat([header, body])
  batch.writeInt32BE(batch.length - 12, 8)
  batch.writeInt16BE(attributes, 21)
  batch.writeInt32BE(lastOffsetDelta ?? recordCount - 1, 23)
  batch.writeInt32BE(recordCount, 57)
  return seal(batch)
}

/** The records of `count` values of one byte each. */
export function bodyOf(count: number, offsetDeltaOf = (index: number) => index): Buffer {
  const records = Array.from({ length: count }, (_, index) =>
    recordByKafkajs({ offsetDelta: offsetDeltaOf(index), key: null, value: Buffer.from([index]) }),
  )
  return Buffer.concat(records.map((record) => record.buffer))
}

export function cursorOver(set: Buffer, options: Partial<RecordCursorOptions> = {}): RecordCursor {
  return new RecordCursor({ bytes: set, fromOffset: 0, aborted: [], ...options })
}

/** All records, in pieces of at most `recordsMax`. */
export async function takeAll(cursor: RecordCursor, recordsMax = 1_000): Promise<LogRecord[]> {
  const records: LogRecord[] = []
  while (!cursor.isDone) {
    const floor = cursor.nextOffset
    const piece = await cursor.take(recordsMax)
    assert.ok(piece.length <= recordsMax)
    for (const { offset } of piece) assert.ok(offset >= floor && offset < cursor.nextOffset)
    records.push(...piece)
  }
  return records
}

export const offsetsOf = (records: readonly LogRecord[]): number[] =>
  records.map(({ offset }) => offset)
export const valuesOf = (records: readonly LogRecord[]): (string | null)[] =>
  records.map(({ value }) => value?.toString() ?? null)

/** Names and values of headers, in hex, for objects of any prototype. */
export function headersOf(
  headers: KafkajsHeaders | OutgoingRecord['headers'],
): [string, string[]][] {
  const entries: [string, unknown][] = Object.entries(headers ?? {})
  return entries.map(([name, value]) => {
    const values = (Array.isArray(value) ? value : [value]) as (Buffer | string)[]
    return [name, values.map((one) => Buffer.from(one).toString('hex'))]
  })
}
