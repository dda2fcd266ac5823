// The stored forms of a card's history. Envelope in sealed.ts, varints as in bytes.ts, times in ms.
//
// Layout 2
//   columns: varint, a bit per optional column that any event uses (bit i is OPTIONAL[i])
//   settled count; per event, by time: time since the event before, amount, flags, optional columns but the intent,
//     with a place: latitude and longitude (zigzag, 1e-4 degrees); low byte of the id's reference
//   bucket count; per bucket, oldest first: hours since the bucket before, attempts, count, and with a count: sum,
//     square sum high and low, minimum, maximum - minimum (minor units)
//   other count; per event: the same, and offset (zigzag against the event before), id (48 bits), intent (48 bits, if
//     its column is used)
//   record count; per record: index of its event among the others, length, bytes
//   cause count; per event: index among the others, count, offsets (each against the one before)
// Layout 3 is layout 2 with a list of the card's distinct references (count; 48 bits each) after the settled events,
//   and an index into it (varint) wherever layout 2 writes 48 bits of a reference column.
//
// Flags of layout 2 and 3: bits 0-1 presence, 2 declined, 3 place, 4-5 outcome, 6 retry, 7 made one by a late attempt only.

import { SluiceError } from '../errors.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import {
  COLUMN,
  emptyBucket,
  FLAG,
  REFERENCE_COLUMNS,
  SETTLED_OFFSET,
  STRIDE,
} from './card-columns.ts'
import { CardHistory } from './card-history.ts'
import { seal, unseal } from './sealed.ts'
import { BUCKET_MS } from './time.ts'

/** Layouts that this build reads, and can be told to write. */
export const CARD_LAYOUTS = [2, 3] as const
export type CardLayout = (typeof CARD_LAYOUTS)[number]

const REFERENCED = Object.values(REFERENCE_COLUMNS)
const OPTIONAL = [...REFERENCED, COLUMN.country, COLUMN.utcOffset, COLUMN.intent] as const

/** More than any rule keeps: a larger number is corruption, found before anything is allocated. */
const COUNT_MAX = 65_536

/** The stored value. `writer` is scratch space. */
export function encodeCard(history: CardHistory, layout: CardLayout, writer: ByteWriter): Buffer {
  const columns = columnsOf(history)
  const known = history.encodedSettled
  const isKnown = known !== null && known.layout === layout && known.columns === columns
  const { value, start } = seal(
    writer,
    layout,
    isKnown ? known.start : null,
    () => {
      writer.varint(columns)
      writer.varint(history.settledCount)
      writeEvents(history, layout, columns, 0, history.settledCount, writer)
    },
    () => {
      if (layout === 3) writeReferences(history, writer)
      writeBuckets(history, writer)
      writer.varint(history.count - history.settledCount)
      writeEvents(history, layout, columns, history.settledCount, history.count, writer)
      writeRecords(history, writer)
      writeCauses(history, writer)
    },
  )
  if (!isKnown) history.encodedSettled = { layout, columns, start }
  return value
}

/** Reads a stored value of any layout; null is a card without history. @throws SluiceError SLUICE_STATE_CORRUPT */
export function decodeCard(value: Buffer | null): CardHistory {
  const history = new CardHistory()
  if (value === null) return history
  const { layout, reader } = unseal(value, CARD_LAYOUTS)
  const columns = reader.varint()
  history.settledCount = countOf(reader)
  readEvents(history, layout, columns, history.settledCount, true, reader)
  if (layout === 3) {
    for (let left = countOf(reader); left > 0; left -= 1) history.references.push(reader.uint48())
  }
  readBuckets(history, reader)
  readEvents(history, layout, columns, countOf(reader), false, reader)
  readRecords(history, reader)
  readCauses(history, reader)
  if (layout === 3) checkReferences(history)
  if (!reader.isAtEnd) {
    throw new SluiceError('SLUICE_STATE_CORRUPT', 'A stored card has bytes after its content.')
  }
  return history
}

function columnsOf({ data, count }: CardHistory): number {
  let columns = 0
  for (let base = 0; base < count * STRIDE; base += STRIDE) {
    for (let bit = 0; bit < OPTIONAL.length; bit += 1) {
      if (data[base + (OPTIONAL[bit] ?? 0)] !== 0) columns |= 1 << bit
    }
  }
  return columns
}

function writeReferences({ references }: CardHistory, writer: ByteWriter): void {
  writer.varint(references.length - 1)
  for (let index = 1; index < references.length; index += 1) writer.uint48(references[index] ?? 0)
}

/** Buckets change only when events are merged or forgotten, many at a time, so their bytes are kept meanwhile. */
function writeBuckets(history: CardHistory, writer: ByteWriter): void {
  const known = history.encodedBuckets
  if (known !== null) {
    writer.bytes(known)
    return
  }
  const start = writer.length
  encodeBuckets(history, writer)
  if (history.buckets.length > 0) history.encodedBuckets = Buffer.from(writer.view(start))
}

function encodeBuckets({ buckets }: CardHistory, writer: ByteWriter): void {
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

function readBuckets({ buckets }: CardHistory, reader: ByteReader): void {
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
    buckets.push(bucket)
  }
}

/** Hot path. */
function writeEvents(
  { data, references, settledCount }: CardHistory,
  layout: CardLayout,
  columns: number,
  from: number,
  to: number,
  writer: ByteWriter,
): void {
  const isSettled = to === settledCount && from === 0
  let timeMs = 0
  let offset = 0
  for (let index = from; index < to; index += 1) {
    const base = index * STRIDE
    const nextTimeMs = data[base] ?? 0
    writer.varint(nextTimeMs - timeMs)
    timeMs = nextTimeMs
    writer.varint(data[base + COLUMN.amount] ?? 0)
    const flags = data[base + COLUMN.flags] ?? 0
    writer.byte(flags)
    for (let bit = 0; bit < REFERENCED.length; bit += 1) {
      if ((columns & (1 << bit)) === 0) continue
      const reference = data[base + (REFERENCED[bit] ?? 0)] ?? 0
      if (layout === 3) writer.varint(reference)
      else writer.uint48(references[reference] ?? 0)
    }
    if ((columns & COUNTRY_BIT) !== 0) writer.varint(data[base + COLUMN.country] ?? 0)
    if ((columns & UTC_OFFSET_BIT) !== 0) writer.zigzag(data[base + COLUMN.utcOffset] ?? 0)
    if ((flags & FLAG.place) !== 0) {
      writer.zigzag(data[base + COLUMN.latitude] ?? 0)
      writer.zigzag(data[base + COLUMN.longitude] ?? 0)
    }
    if (isSettled) {
      writer.byte(data[base + COLUMN.id] ?? 0)
      continue
    }
    const nextOffset = data[base + COLUMN.offset] ?? 0
    writer.zigzag(nextOffset - offset)
    offset = nextOffset
    writer.uint48(data[base + COLUMN.id] ?? 0)
    if ((columns & INTENT_BIT) !== 0) writer.uint48(data[base + COLUMN.intent] ?? 0)
  }
}

const COUNTRY_BIT = 1 << OPTIONAL.indexOf(COLUMN.country)
const UTC_OFFSET_BIT = 1 << OPTIONAL.indexOf(COLUMN.utcOffset)
const INTENT_BIT = 1 << OPTIONAL.indexOf(COLUMN.intent)

/** Hot path. */
function readEvents(
  history: CardHistory,
  layout: number,
  columns: number,
  count: number,
  isSettled: boolean,
  reader: ByteReader,
): void {
  const data = reserve(history, count)
  let timeMs = 0
  let offset = 0
  for (let index = 0; index < count; index += 1) {
    const base = (history.count + index) * STRIDE
    timeMs += reader.varint()
    data[base] = timeMs
    data[base + COLUMN.amount] = reader.varint()
    const flags = reader.byte()
    data[base + COLUMN.flags] = flags
    for (let bit = 0; bit < REFERENCED.length; bit += 1) {
      if ((columns & (1 << bit)) === 0) continue
      const stored = layout === 3 ? reader.varint() : learned(history, reader.uint48())
      data[base + (REFERENCED[bit] ?? 0)] = stored
    }
    if ((columns & COUNTRY_BIT) !== 0) data[base + COLUMN.country] = reader.varint()
    if ((columns & UTC_OFFSET_BIT) !== 0) data[base + COLUMN.utcOffset] = reader.zigzag()
    if ((flags & FLAG.place) !== 0) {
      data[base + COLUMN.latitude] = reader.zigzag()
      data[base + COLUMN.longitude] = reader.zigzag()
    }
    if (isSettled) {
      data[base + COLUMN.offset] = SETTLED_OFFSET
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

function reserve(history: CardHistory, count: number): Float64Array {
  const needed = (history.count + count + 4) * STRIDE
  if (history.data.length < needed) {
    const larger = new Float64Array(needed)
    larger.set(history.data.subarray(0, history.count * STRIDE))
    history.data = larger
  }
  return history.data
}

function learned({ references }: CardHistory, reference: number): number {
  if (reference === 0) return 0
  const index = references.indexOf(reference)
  if (index > 0) return index
  references.push(reference)
  return references.length - 1
}

function writeRecords(history: CardHistory, writer: ByteWriter): void {
  const { records, settledCount } = history
  writer.varint(records.size)
  if (records.size === 0) return
  for (let index = settledCount; index < history.count; index += 1) {
    const record = records.get(history.at(index, COLUMN.offset))
    if (record === undefined) continue
    writer.varint(index - settledCount)
    writer.varint(record.length)
    writer.bytes(record)
  }
}

function readRecords(history: CardHistory, reader: ByteReader): void {
  for (let left = countOf(reader); left > 0; left -= 1) {
    const offset = history.at(history.settledCount + reader.varint(), COLUMN.offset)
    history.records.set(offset, reader.bytes(countOf(reader)))
  }
}

function writeCauses(history: CardHistory, writer: ByteWriter): void {
  const { causes, settledCount } = history
  writer.varint(causes.size)
  if (causes.size === 0) return
  for (let index = settledCount; index < history.count; index += 1) {
    const list = causes.get(history.at(index, COLUMN.offset))
    if (list === undefined) continue
    writer.varint(index - settledCount)
    writer.varint(list.length)
    let before = 0
    for (const cause of list) {
      writer.varint(cause - before)
      before = cause
    }
  }
}

function readCauses(history: CardHistory, reader: ByteReader): void {
  for (let left = countOf(reader); left > 0; left -= 1) {
    const offset = history.at(history.settledCount + reader.varint(), COLUMN.offset)
    const list: number[] = []
    let before = 0
    for (let more = countOf(reader); more > 0; more -= 1) {
      before += reader.varint()
      list.push(before)
    }
    history.causes.set(offset, list)
  }
}

function countOf(reader: ByteReader): number {
  const count = reader.varint()
  if (count <= COUNT_MAX) return count
  throw new SluiceError(
    'SLUICE_STATE_CORRUPT',
    `A stored value announces ${count} items; at most ${COUNT_MAX} are kept.`,
  )
}

function checkReferences({ data, count, references }: CardHistory): void {
  for (let base = 0; base < count * STRIDE; base += STRIDE) {
    for (const column of REFERENCED) {
      if ((data[base + column] ?? 0) < references.length) continue
      throw new SluiceError(
        'SLUICE_STATE_CORRUPT',
        'A stored event names no reference of its card.',
      )
    }
  }
}
