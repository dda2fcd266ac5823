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
// Layout 4 is layout 3 in parts, to which events are appended. An addition:
//   columns, as above, that these events use
//   number of further references, 48 bits each
//   event count; per event: as one that is not settled, the first against the last event before
//   record count; per record: as above
// Layout 5 is layout 4, whose messages stand apart from the cards (message-page.ts): those that a card brings along from
//   an older layout are written on until their time has come.
//
// Flags: bits 0-1 presence, 2 declined, 3 place, 4-5 outcome, 6 retry, 7 made one by a late attempt only.

import type { ByteWriter } from './bytes.ts'
import {
  COLUMN,
  columnsUsed,
  COUNTRY_BIT,
  FLAG,
  INTENT_BIT,
  REFERENCE_COLUMNS,
  STRIDE_NARROW,
  UTC_OFFSET_BIT,
} from './card-columns.ts'
import type { CardHistory } from './card-history.ts'
import { EncodedCard, type EncodedTail } from './encoded-card.ts'
import {
  beginAddition,
  beginParts,
  beginValue,
  finishPart,
  finishValue,
  HEADER_BYTES,
  startOf,
} from './sealed.ts'
import { BUCKET_MS } from '../catalogue/time.ts'

/** Layouts that this build reads, and can be told to write. */
export const CARD_LAYOUTS = [2, 3, 4, 5] as const
export type CardLayout = (typeof CARD_LAYOUTS)[number]

const REFERENCED = Object.values(REFERENCE_COLUMNS)

/** From this one on values are in parts. */
const IN_PARTS_FROM = 4
/** From this one on messages are not kept with the cards. */
const MESSAGES_APART_FROM = 5

/** Whether values of the layout are in parts, to which events are appended. */
export function isInParts(layout: number): boolean {
  return layout >= IN_PARTS_FROM
}

/** Whether the messages of events stand apart from the cards of this layout. */
export function hasMessagesApart(layout: number): boolean {
  return layout >= MESSAGES_APART_FROM
}

/** `writeCard` as a value of its own. */
export function encodeCard(
  history: CardHistory,
  layout: CardLayout,
  writer: ByteWriter,
  day = 0,
): Buffer {
  writeCard(history, layout, writer, day)
  return writer.take()
}

/**
 * Makes the stored form the present value of the writer. `day` is the present one, any count of days, for
 * `writeCardAddition`. What was encoded before is copied. Hot path.
 */
export function writeCard(
  history: CardHistory,
  layout: CardLayout,
  writer: ByteWriter,
  day: number,
): void {
  if (isInParts(layout)) writeFirstPart(history, layout, writer, day)
  else writeWhole(history, layout, writer)
}

/**
 * Makes what has to be appended to the stored form of this layout the present value of the writer. Returns its length,
 * 0 where nothing is new; null when the whole has to be written. The addition is taken to be stored from now on. Hot path.
 */
export function writeCardAddition(
  history: CardHistory,
  layout: CardLayout,
  writer: ByteWriter,
  day: number,
): number | null {
  const { stored, count, records } = history
  if (!stored.takesMore(layout, day)) return null
  const { newCount } = stored
  if (newCount === 0) return 0
  const { data, stride } = history
  const from = count - newCount
  let columns = 0
  for (let index = from; index < count; index += 1) {
    columns |= columnsUsed(data, index * stride, stride)
  }
  beginAddition(writer)
  writer.varint(columns)
  writeReferences(history, stored.referenceCount, writer)
  writer.varint(newCount)
  const timeMs = history.at(from - 1, COLUMN.time)
  const offset = history.at(from - 1, COLUMN.offset)
  writeEvents(history, layout, columns, from, count, writer, timeMs, offset)
  writer.varint(records.count - stored.recordCount)
  records.writeSince(stored.recordsMark, writer)
  const { length } = writer
  stored.add(finishPart(writer, 0, stored.checksum), length)
  noteStored(history)
  return length
}

function noteStored({ stored, records, references }: CardHistory): void {
  stored.referenceCount = references.length
  stored.recordsMark = records.mark
  stored.recordCount = records.count
}

function writeFirstPart(
  history: CardHistory,
  layout: CardLayout,
  writer: ByteWriter,
  day: number,
): void {
  const { settledCount, count, records, stored } = history
  const columns = columnsOf(history)
  beginParts(writer, layout)
  writer.varint(columns)
  writer.varint(settledCount)
  writeEvents(history, layout, columns, 0, settledCount, writer, 0, 0)
  writeReferences(history, 1, writer)
  writeBuckets(history, writer)
  writer.varint(count - settledCount)
  writeEvents(history, layout, columns, settledCount, count, writer, 0, 0)
  writer.varint(records.count)
  records.writeTo(writer)
  writeCauses(history, writer)
  const checksum = finishPart(writer, 1, layout)
  stored.begin(layout, day, checksum, writer.length)
  noteStored(history)
}

function writeWhole(history: CardHistory, layout: CardLayout, writer: ByteWriter): void {
  const columns = columnsOf(history)
  history.encoded ??= new EncodedCard()
  const { encoded, settledCount, count } = history
  history.stored.forget()
  beginValue(writer, layout)
  let { settled } = encoded
  if (settled?.layout === layout && settled.columns === columns) writer.bytes(settled.start.bytes)
  else {
    writer.varint(columns)
    writer.varint(settledCount)
    writeEvents(history, layout, columns, 0, settledCount, writer, 0, 0)
    settled = { layout, columns, start: startOf(writer, layout) }
    encoded.settled = settled
  }
  if (layout === 3) writeReferences(history, 1, writer)
  writeBuckets(history, writer)
  writer.varint(count - settledCount)
  writer.bytes(tailOf(history, encoded, layout, columns).writer.view(0))
  writer.varint(history.records.count)
  history.records.writeTo(writer)
  writeCauses(history, writer)
  finishValue(writer, HEADER_BYTES + settled.start.bytes.length, settled.start.checksum)
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

/** The events that are not settled, those encoded that were not yet. */
function tailOf(
  history: CardHistory,
  { tail }: EncodedCard,
  layout: CardLayout,
  columns: number,
): EncodedTail {
  if (tail.layout !== layout || tail.columns !== columns) tail.reset(layout, columns)
  const { count, settledCount } = history
  const from = settledCount + tail.count
  if (from === count) return tail
  writeEvents(history, layout, columns, from, count, tail.writer, tail.timeMs, tail.offset)
  tail.count = count - settledCount
  tail.timeMs = history.at(count - 1, COLUMN.time)
  tail.offset = history.at(count - 1, COLUMN.offset)
  return tail
}

/** Those from this index on; index 0 is none. */
function writeReferences({ references }: CardHistory, from: number, writer: ByteWriter): void {
  writer.varint(references.length - from)
  for (let index = from; index < references.length; index += 1) {
    writer.uint48(references[index] ?? 0)
  }
}

/** Buckets change only when events are merged or forgotten, many at a time, so their bytes are kept meanwhile. */
function writeBuckets(history: CardHistory, writer: ByteWriter): void {
  const { buckets } = history
  if (buckets.length === 0) {
    writer.byte(0)
    return
  }
  history.encoded ??= new EncodedCard()
  const { encoded } = history
  if (encoded.buckets !== null) {
    writer.bytes(encoded.buckets)
    return
  }
  const start = writer.length
  encodeBuckets(buckets, writer)
  encoded.buckets = Buffer.from(writer.view(start))
}

function encodeBuckets(buckets: CardHistory['buckets'], writer: ByteWriter): void {
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

/** Events from `from` up to `to`; the first is written against `timeMs` and `offset`. Hot path. */
function writeEvents(
  { data, stride, references, settledCount }: CardHistory,
  layout: CardLayout,
  columns: number,
  from: number,
  to: number,
  writer: ByteWriter,
  timeMs: number,
  offset: number,
): void {
  const isSettled = to === settledCount && from === 0
  const isWide = stride !== STRIDE_NARROW
  let previousMs = timeMs
  let previousOffset = offset
  for (let index = from; index < to; index += 1) {
    const base = index * stride
    const nextTimeMs = data[base] ?? 0
    writer.varint(nextTimeMs - previousMs)
    previousMs = nextTimeMs
    writer.varint(data[base + COLUMN.amount] ?? 0)
    const flags = data[base + COLUMN.flags] ?? 0
    writer.byte(flags)
    if (isWide) writeMore(data, base, layout, columns, references, writer)
    if (isSettled) {
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

/** Columns that only some cards have. Hot path. */
function writeMore(
  data: Float64Array,
  base: number,
  layout: CardLayout,
  columns: number,
  references: readonly number[],
  writer: ByteWriter,
): void {
  for (let bit = 0; bit < REFERENCED.length; bit += 1) {
    if ((columns & (1 << bit)) === 0) continue
    const reference = data[base + (REFERENCED[bit] ?? 0)] ?? 0
    if (layout >= 3) writer.varint(reference)
    else writer.uint48(references[reference] ?? 0)
  }
  if ((columns & COUNTRY_BIT) !== 0) writer.varint(data[base + COLUMN.country] ?? 0)
  if ((columns & UTC_OFFSET_BIT) !== 0) writer.zigzag(data[base + COLUMN.utcOffset] ?? 0)
  if (((data[base + COLUMN.flags] ?? 0) & FLAG.place) !== 0) {
    writer.zigzag(data[base + COLUMN.latitude] ?? 0)
    writer.zigzag(data[base + COLUMN.longitude] ?? 0)
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
