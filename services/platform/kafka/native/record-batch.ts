// Kafka's record batch, format 2: the layout of its header, and the encoder.
//
//   0 base offset i64       21 attributes i16          43 producer id i64
//   8 length i32            23 last offset delta i32   51 producer epoch i16
//  12 leader epoch i32      27 base timestamp i64      53 base sequence i32
//  16 magic i8              35 max timestamp i64       57 record count i32
//  17 CRC-32C u32                                      61 records
//
// The length counts what follows it. The checksum covers everything from the attributes on, as it is stored:
// compressed records are covered compressed.

import assert from 'node:assert/strict'
import { promisify } from 'node:util'
import { zstdCompress } from 'node:zlib'
import { crc32c, Writer } from '@platformatic/kafka'
import { ZSTD_FASTEST } from '../compression.ts'

/** Position of each field in a batch, bytes. */
export const BATCH = {
  baseOffset: 0,
  length: 8,
  leaderEpoch: 12,
  magic: 16,
  checksum: 17,
  attributes: 21,
  lastOffsetDelta: 23,
  baseTimestamp: 27,
  maxTimestamp: 35,
  producerId: 43,
  producerEpoch: 51,
  baseSequence: 53,
  recordCount: 57,
  records: 61,
} as const

/** The only supported format. */
export const BATCH_MAGIC = 2

/** Bits of the attributes. The lowest three name the compression. */
export const ATTRIBUTES = {
  compressionMask: 0x07,
  isLogAppendTime: 0x08,
  isTransactional: 0x10,
  isControl: 0x20,
} as const

/** Number of zstd among the compressions. */
const ZSTD = 4
/** Smaller batches, as live ones are, stay uncompressed: setting up the compressor costs more than it saves. */
const COMPRESSED_FROM_BYTES = 16_384

const zstd = promisify(zstdCompress)

/** Number of bytes before those that the length field counts. */
export const LENGTH_END = BATCH.length + 4

/** No producer, no epoch, no leader: absent in this format is -1. */
const ABSENT = -1

export interface OutgoingRecord {
  readonly key: Buffer | string | null
  readonly value: Buffer | null
  readonly headers?: Readonly<Record<string, string | Buffer>>
  /** Defaults to the time of encoding. */
  readonly timestampMs?: number
}

/** Lets the broker refuse a batch that is repeated, out of order or from a fenced producer. */
export interface BatchProducer {
  readonly producerId: bigint
  readonly epoch: number
  readonly baseSequence: number
  readonly isTransactional: boolean
}

/** The records of a batch, with room for its header before them. */
export interface EncodedRecords {
  readonly bytes: Buffer
  readonly isCompressed: boolean
  readonly count: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
}

/** Encodes the records of one batch, uncompressed. */
export function encodeRecords(records: readonly OutgoingRecord[], nowMs: number): EncodedRecords {
  const [first] = records
  assert(first !== undefined, 'a batch has at least one record')
  const baseTimestampMs = first.timestampMs ?? nowMs
  let maxTimestampMs = baseTimestampMs
  let batchBytes: number = BATCH.records
  // A record begins with its length, so all are measured before the first is written.
  let offsetDelta = 0
  for (const record of records) {
    const timestampMs = record.timestampMs ?? nowMs
    if (timestampMs > maxTimestampMs) maxTimestampMs = timestampMs
    const length = lengthOf(record, offsetDelta, timestampMs - baseTimestampMs)
    batchBytes += varintBytes(length) + length
    offsetDelta += 1
  }
  const bytes = Buffer.allocUnsafe(batchBytes)
  let at: number = BATCH.records
  offsetDelta = 0
  for (const record of records) {
    at = writeRecord(
      bytes,
      at,
      record,
      offsetDelta,
      (record.timestampMs ?? nowMs) - baseTimestampMs,
    )
    offsetDelta += 1
  }
  assert(at === batchBytes, 'a batch fills the bytes that were measured')
  const count = records.length
  return { bytes, isCompressed: false, count, baseTimestampMs, maxTimestampMs }
}

/** The same compressed with zstd, on another thread, where that saves bytes. */
export async function compressRecords(records: EncodedRecords): Promise<EncodedRecords> {
  const plain = records.bytes.subarray(BATCH.records)
  if (plain.length < COMPRESSED_FROM_BYTES) return records
  const fewer = await zstd(plain, ZSTD_FASTEST)
  if (fewer.length >= plain.length) return records
  const header = records.bytes.subarray(0, BATCH.records)
  return { ...records, bytes: Buffer.concat([header, fewer]), isCompressed: true }
}

/** Writes the header of a batch, its checksum included. The leader sets the base offset. */
export function sealBatch(records: EncodedRecords, producer: BatchProducer | null): Buffer {
  const { bytes: batch, isCompressed, count, baseTimestampMs, maxTimestampMs } = records
  batch.writeBigInt64BE(0n, BATCH.baseOffset)
  batch.writeInt32BE(batch.length - LENGTH_END, BATCH.length)
  batch.writeInt32BE(ABSENT, BATCH.leaderEpoch)
  batch.writeInt8(BATCH_MAGIC, BATCH.magic)
  const transactional = producer?.isTransactional === true ? ATTRIBUTES.isTransactional : 0
  batch.writeInt16BE(transactional | (isCompressed ? ZSTD : 0), BATCH.attributes)
  batch.writeInt32BE(count - 1, BATCH.lastOffsetDelta)
  batch.writeBigInt64BE(BigInt(baseTimestampMs), BATCH.baseTimestamp)
  batch.writeBigInt64BE(BigInt(maxTimestampMs), BATCH.maxTimestamp)
  batch.writeBigInt64BE(producer?.producerId ?? BigInt(ABSENT), BATCH.producerId)
  batch.writeInt16BE(producer?.epoch ?? ABSENT, BATCH.producerEpoch)
  batch.writeInt32BE(producer?.baseSequence ?? ABSENT, BATCH.baseSequence)
  batch.writeInt32BE(count, BATCH.recordCount)
  batch.writeUInt32BE(checksumOf(batch.subarray(BATCH.attributes)), BATCH.checksum)
  return batch
}

/** CRC-32C. Its implementation copies plain bytes before it reads them, but not those of a writer. */
export function checksumOf(bytes: Buffer): number {
  return crc32c(Writer.create().append(bytes).dynamicBuffer)
}

/** Bytes of a record after its length: attributes, both deltas, key, value and headers. */
function lengthOf(record: OutgoingRecord, offsetDelta: number, timestampDeltaMs: number): number {
  const { key, value, headers } = record
  let length = 1 + varintBytes(timestampDeltaMs) + varintBytes(offsetDelta)
  length += fieldBytes(key) + fieldBytes(value)
  if (headers === undefined) return length + varintBytes(0)
  const names = Object.keys(headers)
  length += varintBytes(names.length)
  for (const name of names) length += fieldBytes(name) + fieldBytes(headers[name] ?? null)
  return length
}

function writeRecord(
  batch: Buffer,
  start: number,
  record: OutgoingRecord,
  offsetDelta: number,
  timestampDeltaMs: number,
): number {
  const { key, value, headers } = record
  let at = writeVarint(batch, start, lengthOf(record, offsetDelta, timestampDeltaMs))
  // The attributes of a record have no meaning yet.
  batch[at] = 0
  at = writeVarint(batch, at + 1, timestampDeltaMs)
  at = writeVarint(batch, at, offsetDelta)
  at = writeField(batch, at, key)
  at = writeField(batch, at, value)
  if (headers === undefined) return writeVarint(batch, at, 0)
  const names = Object.keys(headers)
  at = writeVarint(batch, at, names.length)
  for (const name of names) {
    at = writeField(batch, at, name)
    at = writeField(batch, at, headers[name] ?? null)
  }
  return at
}

function fieldBytes(field: Buffer | string | null): number {
  if (field === null) return varintBytes(ABSENT)
  const length = typeof field === 'string' ? Buffer.byteLength(field) : field.length
  return varintBytes(length) + length
}

function writeField(batch: Buffer, start: number, field: Buffer | string | null): number {
  if (field === null) return writeVarint(batch, start, ABSENT)
  if (typeof field === 'string') {
    const at = writeVarint(batch, start, Buffer.byteLength(field))
    return at + batch.write(field, at)
  }
  const at = writeVarint(batch, start, field.length)
  batch.set(field, at)
  return at + field.length
}

/** Zigzag: small numbers of either sign become small positive ones. Exact up to 2 ** 52. */
function zigzag(value: number): number {
  return value < 0 ? -2 * value - 1 : 2 * value
}

function varintBytes(value: number): number {
  let rest = zigzag(value)
  let count = 1
  for (; rest > 0x7f; count += 1) rest = Math.floor(rest / 0x80)
  return count
}

function writeVarint(batch: Buffer, start: number, value: number): number {
  let rest = zigzag(value)
  let at = start
  for (; rest > 0x7f; at += 1) {
    batch[at] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  batch[at] = rest
  return at + 1
}
