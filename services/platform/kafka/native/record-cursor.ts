// Reads the record set that one Fetch answered for one partition, a piece at a time.
//
// The log is written by others, so nothing in it is believed before it is checked: the checksum of each batch first,
// then every length, count and varint against the bytes that are there. Work is bounded, too: a compressed batch
// expands to a limit, records become objects only when they are taken, and after a slice of work the event loop has
// its turn.
//
// Aborted transactions are left out as the Java client does it. The list of the broker is in the order in which
// transactions ended; sorted by first offset, an entry begins to count at the batch that reaches that offset and
// counts until the abort marker of its producer.

import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { isSluiceError, SluiceError } from '../../../core/errors.ts'
import type { MessageHeaders } from '../../../core/trace-context.ts'
import type { LogRecord } from '../log-client.ts'
import { BATCH_EXPANDED_BYTES_MAX, COMPRESSIONS, createBatchCodec } from '../compression.ts'
import { ATTRIBUTES, BATCH, BATCH_MAGIC, checksumOf, LENGTH_END } from './record-batch.ts'

/** A record with more headers, or more bytes of headers, is refused; its headers are never decoded. */
export const RECORD_HEADERS_MAX = 64
export const RECORD_HEADER_BYTES_MAX = 16 * 1024

/** Length, attributes, two deltas, two lengths and a count, one byte each. */
const RECORD_BYTES_MIN = 7

/** Records passed over between two turns of the event loop: a few milliseconds. */
const WORK_PER_TURN = 100_000
const WORK_PER_BATCH = 32
const WORK_PER_HEADER = 16
/** Checksums cost a few bytes per nanosecond. */
const BYTES_PER_WORK = 64

/** Type of a control record that ends a transaction without effect. */
const ABORT_MARKER = 0

export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: number
}

export interface RecordCursorOptions {
  /** Consecutive batches; the last one may be cut off. */
  readonly bytes: Buffer
  /** Records below this offset are skipped, since a broker returns whole batches. */
  readonly fromOffset: number
  /** The aborted transactions listed in the answer, in any order. */
  readonly aborted: readonly AbortedTransaction[]
  readonly expandedBytesMax?: number
}

/** The batch that is being read. */
interface OpenBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly baseTimestampMs: number
  readonly maxTimestampMs: number
  readonly isLogAppendTime: boolean
  readonly recordCount: number
  /** Records that are not read yet. */
  remaining: number
  /** Number of the compression while the records are still compressed, else 0. */
  compressionId: number
  reader: RecordReader
  /** Offset of the last record read. */
  offset: number
  /** True when the records were compressed. */
  isExpanded: boolean
  /** True when one refused record replaces each remaining offset. */
  isRefused: boolean
}

export class RecordCursor {
  readonly #bytes: Buffer
  readonly #aborted: readonly AbortedTransaction[]
  readonly #expandedBytesMax: number
  readonly #abortedProducers = new Set<bigint>()
  #abortedCount = 0
  #position = 0
  /** No later batch may begin below this offset. */
  #lastOffset = -1
  #nextOffset: number
  #batch: OpenBatch | null = null
  #failure: SluiceError | null = null
  #work = 0
  #isTaking = false

  constructor({ bytes, fromOffset, aborted, expandedBytesMax }: RecordCursorOptions) {
    this.#bytes = bytes
    this.#nextOffset = fromOffset
    this.#aborted = aborted.toSorted((left, right) => left.firstOffset - right.firstOffset)
    this.#expandedBytesMax = expandedBytesMax ?? BATCH_EXPANDED_BYTES_MAX
  }

  /** Everything below was returned, is a control record, belongs to an aborted transaction or is gone. */
  get nextOffset(): number {
    return this.#nextOffset
  }

  /**
   * True when no whole batch is left. The next Fetch begins at `nextOffset`. A cursor that is done without progress
   * over non-empty bytes has a first batch with a wrong length: brokers return the first one whole.
   */
  get isDone(): boolean {
    return this.#batch === null && !isWholeBatchAt(this.#bytes, this.#position)
  }

  /**
   * The next records in offset order, at most `recordsMax`; none when only skipped records were left. One call at a
   * time. @throws SluiceError SLUICE_LOG_CORRUPT at a damaged batch, once the records before it were returned.
   */
  async take(recordsMax: number): Promise<readonly LogRecord[]> {
    assert(recordsMax > 0 && !this.#isTaking, 'records are taken one call at a time')
    this.#isTaking = true
    const records: LogRecord[] = []
    try {
      while (records.length < recordsMax && !this.isDone) {
        if (this.#failure !== null) throw this.#failure
        if (this.#work >= WORK_PER_TURN) {
          await setImmediate()
          this.#work = 0
        }
        const batch = this.#batch
        if (batch === null) this.#openNextBatch()
        else if (batch.isRefused) this.#refuseRecords(batch, records, recordsMax)
        else if (batch.compressionId !== 0) await this.#expand(batch)
        else this.#readRecords(batch, records, recordsMax)
      }
    } catch (error) {
      if (!isSluiceError(error)) throw error
      this.#failure = error
      if (records.length === 0) throw error
    } finally {
      this.#isTaking = false
    }
    return records
  }

  /** Opens the batch at the position; skips a batch without records for us. */
  #openNextBatch(): void {
    const bytes = this.#bytes
    const start = this.#position
    const baseOffset = readInt64(bytes, start + BATCH.baseOffset)
    const end = checkedBatchEnd(bytes, start, baseOffset)
    this.#work += WORK_PER_BATCH + (end - start) / BYTES_PER_WORK
    const lastOffsetDelta = bytes.readInt32BE(start + BATCH.lastOffsetDelta)
    const lastOffset = baseOffset + lastOffsetDelta
    const recordCount = bytes.readInt32BE(start + BATCH.recordCount)
    if (lastOffsetDelta < 0 || recordCount < 0 || recordCount > lastOffsetDelta + 1)
      throw corrupt(
        baseOffset,
        `is malformed: ${recordCount} records, last offset delta ${lastOffsetDelta}`,
      )
    if (baseOffset <= this.#lastOffset)
      throw corrupt(baseOffset, `comes after offset ${this.#lastOffset}`)
    const attributes = bytes.readInt16BE(start + BATCH.attributes)
    const reader = new RecordReader(bytes.subarray(start + BATCH.records, end), baseOffset)
    const isWanted = this.#isCommittedData(start, attributes, lastOffset, reader)
    this.#position = end
    this.#lastOffset = lastOffset
    if (!isWanted || recordCount === 0 || lastOffset < this.#nextOffset) {
      this.#passTo(lastOffset + 1)
      return
    }
    this.#passTo(baseOffset)
    this.#batch = {
      baseOffset,
      lastOffset,
      baseTimestampMs: readInt64(bytes, start + BATCH.baseTimestamp),
      maxTimestampMs: readInt64(bytes, start + BATCH.maxTimestamp),
      isLogAppendTime: (attributes & ATTRIBUTES.isLogAppendTime) !== 0,
      recordCount,
      remaining: recordCount,
      compressionId: attributes & ATTRIBUTES.compressionMask,
      reader,
      offset: baseOffset - 1,
      isExpanded: false,
      isRefused: false,
    }
  }

  /**
   * True when a batch holds data of no aborted transaction. Tracks the producers with an aborted transaction at this
   * offset.
   */
  #isCommittedData(
    start: number,
    attributes: number,
    lastOffset: number,
    reader: RecordReader,
  ): boolean {
    const aborted = this.#aborted
    for (; this.#abortedCount < aborted.length; this.#abortedCount += 1) {
      const transaction = aborted[this.#abortedCount]
      if (transaction === undefined || transaction.firstOffset > lastOffset) break
      this.#abortedProducers.add(transaction.producerId)
    }
    const isControl = (attributes & ATTRIBUTES.isControl) !== 0
    if (this.#abortedProducers.size === 0) return !isControl
    const producerId = this.#bytes.readBigInt64BE(start + BATCH.producerId)
    if (isControl) {
      // Only a control batch ends a transaction: a data record may have the same key.
      if (reader.controlType() === ABORT_MARKER) this.#abortedProducers.delete(producerId)
      return false
    }
    const isTransactional = (attributes & ATTRIBUTES.isTransactional) !== 0
    return !(isTransactional && this.#abortedProducers.has(producerId))
  }

  async #expand(batch: OpenBatch): Promise<void> {
    const compression = COMPRESSIONS[batch.compressionId - 1]
    batch.compressionId = 0
    batch.isExpanded = true
    if (compression === undefined) {
      batch.isRefused = true
      return
    }
    try {
      const codec = createBatchCodec(compression, this.#expandedBytesMax)
      const expanded = await codec.decompress(batch.reader.bytes)
      batch.reader = new RecordReader(expanded, batch.baseOffset)
    } catch {
      batch.isRefused = true
    }
  }

  #readRecords(batch: OpenBatch, records: LogRecord[], recordsMax: number): void {
    try {
      while (batch.remaining > 0 && records.length < recordsMax && this.#work < WORK_PER_TURN)
        this.#readRecord(batch, records)
      if (batch.remaining === 0) {
        batch.reader.expectEnd()
        this.#closeBatch(batch)
      }
    } catch (error) {
      // The checksum is right, so the producer wrote this compression; the log itself is sound.
      if (!batch.isExpanded || !isSluiceError(error)) throw error
      batch.isRefused = true
    }
  }

  #readRecord(batch: OpenBatch, records: LogRecord[]): void {
    const { reader, baseOffset } = batch
    const end = reader.startRecord()
    const timestampDeltaMs = reader.varlong()
    const offsetDelta = reader.varint()
    // A batch without gaps has one offset per record. A broker then numbers records without reading the deltas, and a
    // producer may have sent any. Deltas of a compacted batch were written by the broker.
    const isWithoutGaps = baseOffset + batch.recordCount - 1 === batch.lastOffset
    const index = batch.recordCount - batch.remaining
    const offset = baseOffset + (isWithoutGaps ? index : offsetDelta)
    if (offset < baseOffset || offset > batch.lastOffset || offset <= batch.offset)
      throw reader.malformed('an offset delta is out of order')
    batch.remaining -= 1
    batch.offset = offset
    this.#work += 1
    if (offset < this.#nextOffset) {
      reader.at = end
      return
    }
    const key = reader.field(end)
    const value = reader.field(end)
    const headerCount = reader.varint()
    const isTooLarge = headerCount > RECORD_HEADERS_MAX || end - reader.at > RECORD_HEADER_BYTES_MAX
    let headers: MessageHeaders | undefined
    if (isTooLarge) reader.at = end
    else if (headerCount !== 0) {
      headers = reader.headers(headerCount, end)
      this.#work += headerCount * WORK_PER_HEADER
    }
    if (reader.at !== end) throw reader.malformed('a record has another length than it says')
    records.push({
      offset,
      timestampMs: batch.isLogAppendTime
        ? batch.maxTimestampMs
        : batch.baseTimestampMs + timestampDeltaMs,
      key,
      value: isTooLarge ? null : value,
      headers,
      refused: isTooLarge ? 'too_large' : null,
    })
    this.#nextOffset = offset + 1
  }

  /** One refused record for each remaining offset, so that each of them is answered. */
  #refuseRecords(batch: OpenBatch, records: LogRecord[], recordsMax: number): void {
    while (
      this.#nextOffset <= batch.lastOffset &&
      records.length < recordsMax &&
      this.#work < WORK_PER_TURN
    ) {
      records.push({
        offset: this.#nextOffset,
        timestampMs: batch.maxTimestampMs,
        key: null,
        value: null,
        headers: undefined,
        refused: 'codec_refused',
      })
      this.#nextOffset += 1
      this.#work += 1
    }
    if (this.#nextOffset > batch.lastOffset) this.#closeBatch(batch)
  }

  #closeBatch(batch: OpenBatch): void {
    this.#passTo(batch.lastOffset + 1)
    this.#batch = null
  }

  #passTo(offset: number): void {
    if (offset > this.#nextOffset) this.#nextOffset = offset
  }
}

/** Reads varints and fields of the records of one batch, and never beyond its bytes. */
class RecordReader {
  readonly bytes: Buffer
  at = 0
  readonly #baseOffset: number

  constructor(bytes: Buffer, baseOffset: number) {
    this.bytes = bytes
    this.#baseOffset = baseOffset
  }

  malformed(reason: string): SluiceError {
    return corrupt(this.#baseOffset, `is malformed: ${reason}`)
  }

  expectEnd(): void {
    if (this.at !== this.bytes.length) throw this.malformed('bytes follow the last record')
  }

  /** Reads the length and the attributes, which have no meaning yet. Returns the end of the record. */
  startRecord(): number {
    const length = this.varint()
    const end = this.at + length
    if (length < RECORD_BYTES_MIN - 1 || end > this.bytes.length)
      throw this.malformed('a record is cut off')
    this.at += 1
    return end
  }

  /** 32 bits, zigzag; excess bits of a fifth byte are dropped, as in the Java client. */
  varint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return (value >>> 1) ^ -(value & 1)
    }
    throw this.malformed('a varint has no end')
  }

  /** 64 bits, zigzag, as a number: rounded beyond 2 ** 53. */
  varlong(): number {
    let byte = this.#byte()
    const isNegative = (byte & 1) === 1
    let magnitude = (byte & 0x7f) >>> 1
    for (let scale = 2 ** 6; byte >= 0x80; scale *= 0x80) {
      if (scale > 2 ** 62) throw this.malformed('a varint has no end')
      byte = this.#byte()
      magnitude += (byte & 0x7f) * scale
    }
    return isNegative ? -magnitude - 1 : magnitude
  }

  /** A view; null when the length is negative, as in the Java client. */
  field(end: number): Buffer | null {
    const length = this.varint()
    if (length < 0) return null
    return this.bytes.subarray(this.at, this.#skip(length, end))
  }

  /** Several headers of one name become a list. A header without a value is left out. */
  headers(count: number, end: number): MessageHeaders {
    if (count < 0) throw this.malformed('a record has a negative number of headers')
    // Without a prototype, so that a header may have any name.
    const headers = Object.create(null) as Record<string, Buffer | Buffer[]>
    for (let index = 0; index < count; index += 1) {
      const nameBytes = this.varint()
      const nameStart = this.at
      const name = this.bytes.toString('utf8', nameStart, this.#skip(nameBytes, end))
      const value = this.field(end)
      if (value === null) continue
      const earlier = headers[name]
      if (earlier === undefined) headers[name] = value
      else if (Array.isArray(earlier)) earlier.push(value)
      else headers[name] = [earlier, value]
    }
    return headers
  }

  /** Type of the first record: its key is a version and a type, 16 bits each. */
  controlType(): number {
    const end = this.startRecord()
    this.varlong()
    this.varint()
    const key = this.field(end)
    if (key === null || key.length < 4) throw this.malformed('a control record has no type')
    return key.readInt16BE(2)
  }

  /** Skips bytes, and returns the end. */
  #skip(length: number, end: number): number {
    const to = this.at + length
    if (length < 0 || to > end) throw this.malformed('a field is longer than its record')
    this.at = to
    return to
  }

  #byte(): number {
    const byte = this.bytes[this.at]
    if (byte === undefined) throw this.malformed('a varint is cut off')
    this.at += 1
    return byte
  }
}

/** False when no bytes are left, or when the last batch is cut off: the next Fetch returns it whole. */
export function isWholeBatchAt(bytes: Buffer, start: number): boolean {
  const bytesLeft = bytes.length - start
  if (bytesLeft <= BATCH.magic) return false
  return LENGTH_END + bytes.readInt32BE(start + BATCH.length) <= bytesLeft
}

/** The end of the whole batch at `start`, after its format and checksum were checked. */
export function checkedBatchEnd(bytes: Buffer, start: number, baseOffset: number): number {
  const magic = bytes.readInt8(start + BATCH.magic)
  if (magic !== BATCH_MAGIC)
    throw corrupt(baseOffset, `has message format ${magic}; only format ${BATCH_MAGIC} is read`)
  const length = bytes.readInt32BE(start + BATCH.length)
  if (length < BATCH.records - LENGTH_END) throw corrupt(baseOffset, `has a length of ${length}`)
  const end = start + LENGTH_END + length
  const checksum = checksumOf(bytes.subarray(start + BATCH.attributes, end))
  if (checksum !== bytes.readUInt32BE(start + BATCH.checksum))
    throw corrupt(baseOffset, 'has a wrong checksum')
  return end
}

/** A signed 64-bit number, rounded beyond 2 ** 53. */
export function readInt64(bytes: Buffer, at: number): number {
  return bytes.readInt32BE(at) * 2 ** 32 + bytes.readUInt32BE(at + 4)
}

function corrupt(offset: number, problem: string): SluiceError {
  return new SluiceError('SLUICE_LOG_CORRUPT', `The record batch at offset ${offset} ${problem}.`, {
    details: { offset },
  })
}
