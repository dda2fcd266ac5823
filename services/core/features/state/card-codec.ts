// Stored form of a card's history. Envelope as in sealed.ts, varints as in bytes.ts, times in ms.
//
// First part
//   columns: varint, one bit per optional column that any event uses (bit i is OPTIONAL_COLUMNS[i])
//   count of finalised events; per event, by time: time since the event before, amount, flags, optional columns except
//     the intent, with a place: latitude and longitude (zigzag, 1e-4 degrees); low byte of the id hash
//   count of the card's distinct references, 48 bits each: the reference columns are indexes into these, 0 for none
//   bucket count; per bucket, oldest first: hours since the bucket before, attempts, count, and if the count is not 0:
//     sum, square sum high and low, minimum, maximum - minimum (minor units)
//   count of other events; per event: as above, and offset (zigzag, delta to the event before), id hash (48 bits),
//     intent hash (48 bits, if its column is used)
//   cause count; per event: index among the other events, count, offsets (each as a delta to the one before)
// Each further part is an addition
//   columns, as above, that these events use
//   count of new references, 48 bits each
//   event count; per event: as one that is not finalised; the first is a delta to the last event before the addition
//
// Flags: bits 0-1 presence, 2 declined, 3 place, 4-5 outcome, 6 retry, 7 a retry only because of a late attempt.

import { SluiceError } from '../../errors.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import {
  COLUMN,
  columnsUsed,
  COUNTRY_BIT,
  emptyBucket,
  FLAG,
  INTENT_BIT,
  REFERENCE_COLUMNS,
  FINALISED_OFFSET,
  STRIDE_NARROW,
  UTC_OFFSET_BIT,
} from './card-columns.ts'
import { CardHistory } from './card-history.ts'
import { beginAddition, beginValue, finishPart, readValue, type LayoutReaders } from './sealed.ts'
import { BUCKET_MS } from '../catalogue/time.ts'

/** The layout that cards are written in. */
export const CARD_LAYOUT = 1

/** Every layout of cards that this build reads; see LayoutReaders. */
export const CARD_READERS: LayoutReaders<CardHistory> = new Map([[CARD_LAYOUT, readCard]])

const REFERENCED = Object.values(REFERENCE_COLUMNS)

/** More than any limit allows: a larger number is corruption, and is found before anything is allocated. */
const COUNT_MAX = 65_536

/** Returns what `writeCard` writes as a value of its own. */
export function encodeCard(history: CardHistory, writer: ByteWriter, day = 0): Buffer {
  writeCard(history, writer, day)
  return writer.take()
}

/**
 * Writes the stored form as the current value of the writer. `day` is today in any count of days; `writeCardAddition`
 * compares it. Hot path.
 */
export function writeCard(history: CardHistory, writer: ByteWriter, day: number): void {
  const { finalisedCount, count } = history
  const columns = columnsOf(history)
  beginValue(writer, CARD_LAYOUT)
  writer.varint(columns)
  writer.varint(finalisedCount)
  writeEvents(history, columns, { from: 0, to: finalisedCount, before: -1 }, writer)
  writeReferences(history, 1, writer)
  writeBuckets(history, writer)
  writer.varint(count - finalisedCount)
  writeEvents(history, columns, { from: finalisedCount, to: count, before: -1 }, writer)
  writeCauses(history, writer)
  const checksum = finishPart(writer, 1, CARD_LAYOUT)
  history.stored.begin(day, checksum, writer.length)
  history.stored.referenceCount = history.references.length
}

/**
 * Writes what must be appended to the stored form as the current value of the writer. Returns its length, or 0 if
 * nothing is new; null means that the whole value must be written. The history then counts the addition as stored. Hot
 * path.
 */
export function writeCardAddition(
  history: CardHistory,
  writer: ByteWriter,
  day: number,
): number | null {
  const { stored, count, data, stride } = history
  if (!stored.canAppend(day)) return null
  const { newCount } = stored
  if (newCount === 0) return 0
  const from = count - newCount
  let columns = 0
  for (let index = from; index < count; index += 1) {
    columns |= columnsUsed(data, index * stride, stride)
  }
  beginAddition(writer)
  writer.varint(columns)
  writeReferences(history, stored.referenceCount, writer)
  writer.varint(newCount)
  writeEvents(history, columns, { from, to: count, before: from - 1 }, writer)
  const { length } = writer
  stored.add(finishPart(writer, 0, stored.checksum), length)
  stored.referenceCount = history.references.length
  return length
}

function columnsOf(history: CardHistory): number {
  const { data, count, stride } = history
  if (history.usedColumns < 0) {
    history.usedColumns = 0
    for (let index = 0; index < count; index += 1) {
      history.usedColumns |= columnsUsed(data, index * stride, stride)
    }
  }
  return history.usedColumns
}

/** Writes the hashes from this index on; index 0 means none. */
function writeReferences({ references }: CardHistory, from: number, writer: ByteWriter): void {
  writer.varint(references.length - from)
  for (let index = from; index < references.length; index += 1) {
    writer.uint48(references[index] ?? 0)
  }
}

function writeBuckets({ buckets }: CardHistory, writer: ByteWriter): void {
  writer.varint(buckets.length)
  let hour = 0
  for (const bucket of buckets) {
    const next = bucket.startMs / BUCKET_MS
    writer.varint(next - hour)
    writer.varint(bucket.attempts)
    writer.varint(bucket.count)
    if (bucket.count > 0) {
      writer.varint(bucket.sumMinor)
      writer.varint(bucket.squares.high)
      writer.varint(bucket.squares.low)
      writer.varint(bucket.minimumMinor)
      writer.varint(bucket.maximumMinor - bucket.minimumMinor)
    }
    hour = next
  }
}

/** Events from `from` up to `to`. The first is encoded against the event at `before`; -1 means none. */
interface EventRange {
  readonly from: number
  readonly to: number
  readonly before: number
}

/** Hot path. */
function writeEvents(
  history: CardHistory,
  columns: number,
  { from, to, before }: EventRange,
  writer: ByteWriter,
): void {
  const { data, stride, finalisedCount } = history
  const isFinalised = to === finalisedCount && from === 0
  const isWide = stride !== STRIDE_NARROW
  let previousMs = history.at(before, COLUMN.time)
  let previousOffset = history.at(before, COLUMN.offset)
  for (let index = from; index < to; index += 1) {
    const base = index * stride
    const nextTimeMs = data[base] ?? 0
    writer.varint(nextTimeMs - previousMs)
    previousMs = nextTimeMs
    writer.varint(data[base + COLUMN.amount] ?? 0)
    const flags = data[base + COLUMN.flags] ?? 0
    writer.byte(flags)
    if (isWide) writeMore(data, base, columns, writer)
    if (isFinalised) {
      writer.byte(data[base + COLUMN.id] ?? 0)
      continue
    }
    const nextOffset = data[base + COLUMN.offset] ?? 0
    writer.zigzag(nextOffset - previousOffset)
    previousOffset = nextOffset
    writer.uint48(data[base + COLUMN.id] ?? 0)
    if ((columns & INTENT_BIT) !== 0) writer.uint48(data[base + COLUMN.intent] ?? 0)
  }
}

/** Writes the columns that only some cards have. Hot path. */
function writeMore(data: Float64Array, base: number, columns: number, writer: ByteWriter): void {
  for (let bit = 0; bit < REFERENCED.length; bit += 1) {
    if ((columns & (1 << bit)) === 0) continue
    writer.varint(data[base + (REFERENCED[bit] ?? 0)] ?? 0)
  }
  if ((columns & COUNTRY_BIT) !== 0) writer.varint(data[base + COLUMN.country] ?? 0)
  if ((columns & UTC_OFFSET_BIT) !== 0) writer.zigzag(data[base + COLUMN.utcOffset] ?? 0)
  if (((data[base + COLUMN.flags] ?? 0) & FLAG.place) !== 0) {
    writer.zigzag(data[base + COLUMN.latitude] ?? 0)
    writer.zigzag(data[base + COLUMN.longitude] ?? 0)
  }
}

function writeCauses(history: CardHistory, writer: ByteWriter): void {
  const { causes, finalisedCount } = history
  writer.varint(causes.size)
  if (causes.size === 0) return
  for (let index = finalisedCount; index < history.count; index += 1) {
    const list = causes.get(history.at(index, COLUMN.offset))
    if (list === undefined) continue
    writer.varint(index - finalisedCount)
    writer.varint(list.length)
    let before = 0
    for (const cause of list) {
      writer.varint(cause - before)
      before = cause
    }
  }
}

/** Reads a stored value; null means a card without history. @throws SluiceError SLUICE_STATE_CORRUPT */
export function decodeCard(value: Buffer | null, readers = CARD_READERS): CardHistory {
  return value === null ? new CardHistory() : readValue(value, readers)
}

function readCard(parts: readonly ByteReader[]): CardHistory {
  const history = new CardHistory()
  for (const [index, reader] of parts.entries()) {
    if (index === 0) readWhole(history, reader)
    else readAddition(history, reader)
  }
  history.isByOffset = isByOffset(history)
  return history
}

function readWhole(history: CardHistory, reader: ByteReader): void {
  const columns = reader.varint()
  if ((columns & ~INTENT_BIT) !== 0) history.widen()
  history.finalisedCount = countOf(reader)
  readEvents(history, columns, history.finalisedCount, 'finalised', reader)
  readReferences(history, reader)
  readBuckets(history, reader)
  readEvents(history, columns, countOf(reader), 'others', reader)
  history.usedColumns = columns
  readCauses(history, reader)
  checkReferences(history)
  checkEnd(reader)
}

function readAddition(history: CardHistory, reader: ByteReader): void {
  const columns = reader.varint()
  if ((columns & ~INTENT_BIT) !== 0) history.widen()
  readReferences(history, reader)
  readEvents(history, columns, countOf(reader), 'added', reader)
  history.usedColumns |= columns
  checkReferences(history)
  checkEnd(reader)
}

function readReferences(history: CardHistory, reader: ByteReader): void {
  for (let left = countOf(reader); left > 0; left -= 1) {
    history.ownReferences.push(reader.uint48())
  }
}

function checkEnd(reader: ByteReader): void {
  if (reader.isAtEnd) return
  throw new SluiceError('SLUICE_STATE_CORRUPT', 'A stored card has bytes after its content.')
}

function readBuckets(history: CardHistory, reader: ByteReader): void {
  let hour = 0
  for (let left = countOf(reader); left > 0; left -= 1) {
    hour += reader.varint()
    const bucket = emptyBucket(hour * BUCKET_MS)
    bucket.attempts = reader.varint()
    bucket.count = reader.varint()
    if (bucket.count > 0) {
      bucket.sumMinor = reader.varint()
      bucket.squares.add(reader.varint(), reader.varint())
      bucket.minimumMinor = reader.varint()
      bucket.maximumMinor = bucket.minimumMinor + reader.varint()
    }
    history.ownBuckets.push(bucket)
  }
}

/** Hot path. */
function readEvents(
  history: CardHistory,
  columns: number,
  count: number,
  which: 'finalised' | 'others' | 'added',
  reader: ByteReader,
): void {
  reserve(history, count)
  const last = which === 'added' ? history.count - 1 : -1
  let timeMs = history.at(last, COLUMN.time)
  let offset = history.at(last, COLUMN.offset)
  for (let index = 0; index < count; index += 1) {
    timeMs += reader.varint()
    const amountMinor = reader.varint()
    const flags = reader.byte()
    // A place has no column bit, so the first one is only known when its event is read.
    if ((flags & FLAG.place) !== 0 && history.stride === STRIDE_NARROW) {
      history.count += index
      history.widen()
      history.count -= index
      reserve(history, count)
    }
    const { data, stride } = history
    const base = (history.count + index) * stride
    data[base] = timeMs
    data[base + COLUMN.amount] = amountMinor
    data[base + COLUMN.flags] = flags
    if (stride !== STRIDE_NARROW) readMore(data, base, columns, reader)
    if (which === 'finalised') {
      data[base + COLUMN.offset] = FINALISED_OFFSET
      data[base + COLUMN.id] = reader.byte()
      continue
    }
    offset += reader.zigzag()
    data[base + COLUMN.offset] = offset
    data[base + COLUMN.id] = reader.uint48()
    if ((columns & INTENT_BIT) !== 0) data[base + COLUMN.intent] = reader.uint48()
  }
  history.count += count
}

/** Reads the columns that only some cards have. Hot path. */
function readMore(data: Float64Array, base: number, columns: number, reader: ByteReader): void {
  for (let bit = 0; bit < REFERENCED.length; bit += 1) {
    if ((columns & (1 << bit)) === 0) continue
    data[base + (REFERENCED[bit] ?? 0)] = reader.varint()
  }
  if ((columns & COUNTRY_BIT) !== 0) data[base + COLUMN.country] = reader.varint()
  if ((columns & UTC_OFFSET_BIT) !== 0) data[base + COLUMN.utcOffset] = reader.zigzag()
  if (((data[base + COLUMN.flags] ?? 0) & FLAG.place) !== 0) {
    data[base + COLUMN.latitude] = reader.zigzag()
    data[base + COLUMN.longitude] = reader.zigzag()
  }
}

/** Reserves room for this many more events, and for 4 future ones. */
function reserve(history: CardHistory, count: number): void {
  const { data, stride } = history
  const needed = (history.count + count + 4) * stride
  if (data.length >= needed) return
  const larger = new Float64Array(needed)
  larger.set(data)
  history.data = larger
}

function isByOffset(history: CardHistory): boolean {
  for (let index = history.finalisedCount + 1; index < history.count; index += 1) {
    if (history.at(index, COLUMN.offset) < history.at(index - 1, COLUMN.offset)) return false
  }
  return true
}

function readCauses(history: CardHistory, reader: ByteReader): void {
  for (let left = countOf(reader); left > 0; left -= 1) {
    const offset = history.at(history.finalisedCount + reader.varint(), COLUMN.offset)
    const list: number[] = []
    let before = 0
    for (let more = countOf(reader); more > 0; more -= 1) {
      before += reader.varint()
      list.push(before)
    }
    history.setCauses(offset, list)
  }
}

function countOf(reader: ByteReader): number {
  const count = reader.varint()
  if (count <= COUNT_MAX) return count
  throw new SluiceError(
    'SLUICE_STATE_CORRUPT',
    `A stored value claims ${count} items; the limit is ${COUNT_MAX}.`,
  )
}

function checkReferences({ data, count, stride, references }: CardHistory): void {
  if (stride === STRIDE_NARROW) return
  for (let base = 0; base < count * stride; base += stride) {
    for (const column of REFERENCED) {
      if ((data[base + column] ?? 0) < references.length) continue
      throw new SluiceError(
        'SLUICE_STATE_CORRUPT',
        'A stored event has an index beyond the references of its card.',
      )
    }
  }
}
