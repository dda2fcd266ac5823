// Stored form of an entity's partial aggregate. Envelope as in sealed.ts, varints as in bytes.ts, times in ms.
//
// First part
//   event count; per event, by (time, offset): time since the event before, offset (zigzag, delta to the event before),
//     32 bits of the id hash, 32 bits of the card's hash
//   hour count; per bucket, oldest first: hours since the bucket before, count, number of stored card hashes (doubled,
//     plus 1 if the sketch is saturated), 32 bits of each hash, ascending
//   label count; per label, by offset: transaction time, known-at time (zigzag, delta to the former), 48-bit
//     transaction hash, label offset, verdict (1 fraud, 0 genuine)
// Each further part is an addition
//   event count; per event, by (time, offset): time (zigzag) and offset (zigzag) as deltas to the event written before,
//     32 bits of the id hash, 32 bits of the card's hash

import { SluiceError } from '../../errors.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import { ENTITY_COLUMN, ENTITY_STRIDE } from './entity-event.ts'
import { EntityPart } from './entity-part.ts'
import { beginAddition, beginValue, finishPart, readValue, type LayoutReaders } from './sealed.ts'
import { BUCKET_MS } from '../catalogue/time.ts'

/** The layout in which partial aggregates are written. */
export const ENTITY_LAYOUT = 1

/** Every layout of entities that this build reads; see LayoutReaders. */
export const ENTITY_READERS: LayoutReaders<EntityPart> = new Map([[ENTITY_LAYOUT, readPart]])

/** More than any limit allows: a larger number is corruption, and is found before anything is allocated. */
const COUNT_MAX = 262_144

/** Returns what `writeEntityPart` writes as a value of its own. */
export function encodeEntityPart(part: EntityPart, writer: ByteWriter, day = 0): Buffer {
  writeEntityPart(part, writer, day)
  return writer.take()
}

/**
 * Writes the stored form as the current value of the writer. `day` is today in any count of days; `writeEntityAddition`
 * compares it. Hot path.
 */
export function writeEntityPart(part: EntityPart, writer: ByteWriter, day: number): void {
  beginValue(writer, ENTITY_LAYOUT)
  writeEvents(part, writer)
  writeHours(part, writer)
  writeLabels(part, writer)
  const checksum = finishPart(writer, 1, ENTITY_LAYOUT)
  part.stored.begin(day, checksum, writer.length)
  const last = part.count - 1
  noteStored(part, part.at(last, ENTITY_COLUMN.time), part.at(last, ENTITY_COLUMN.offset))
}

/**
 * Writes what must be appended to the stored form as the current value of the writer. Returns its length, or 0 if
 * nothing is new; null means that the whole value must be written. The part then counts the addition as stored. Hot
 * path.
 */
export function writeEntityAddition(
  part: EntityPart,
  writer: ByteWriter,
  day: number,
): number | null {
  const { stored, data } = part
  if (!stored.canAppend(day)) return null
  const { newCount } = stored
  if (newCount === 0) return 0
  beginAddition(writer)
  writer.varint(newCount)
  let [timeMs, offset] = [stored.lastTimeMs, stored.lastOffset]
  for (let base = firstNewBase(part); base < part.count * ENTITY_STRIDE; base += ENTITY_STRIDE) {
    const nextOffset = data[base + ENTITY_COLUMN.offset] ?? 0
    if (nextOffset < stored.nextOffset) continue
    const nextTimeMs = data[base] ?? 0
    writer.zigzag(nextTimeMs - timeMs)
    writer.zigzag(nextOffset - offset)
    writer.uint32(data[base + ENTITY_COLUMN.id] ?? 0)
    writer.uint32(data[base + ENTITY_COLUMN.card] ?? 0)
    timeMs = nextTimeMs
    offset = nextOffset
  }
  const { length } = writer
  stored.add(finishPart(writer, 0, stored.checksum), length)
  noteStored(part, timeMs, offset)
  return length
}

function noteStored({ stored, nextOffset }: EntityPart, timeMs: number, offset: number): void {
  stored.lastTimeMs = timeMs
  stored.lastOffset = offset
  stored.nextOffset = nextOffset
}

/** Position of the first new event. New events are at the end, except those whose time is before that of others. */
function firstNewBase({ data, count, stored }: EntityPart): number {
  let left = stored.newCount
  let base = count * ENTITY_STRIDE
  while (left > 0) {
    base -= ENTITY_STRIDE
    if ((data[base + ENTITY_COLUMN.offset] ?? Infinity) >= stored.nextOffset) left -= 1
  }
  return base
}

/** Hot path. */
function writeEvents({ data, count }: EntityPart, writer: ByteWriter): void {
  writer.varint(count)
  let previousMs = 0
  let previousOffset = 0
  for (let base = 0; base < count * ENTITY_STRIDE; base += ENTITY_STRIDE) {
    const nextTimeMs = data[base] ?? 0
    const nextOffset = data[base + ENTITY_COLUMN.offset] ?? 0
    writer.varint(nextTimeMs - previousMs)
    writer.zigzag(nextOffset - previousOffset)
    writer.uint32(data[base + ENTITY_COLUMN.id] ?? 0)
    writer.uint32(data[base + ENTITY_COLUMN.card] ?? 0)
    previousMs = nextTimeMs
    previousOffset = nextOffset
  }
}

function writeHours({ hourlyBuckets }: EntityPart, writer: ByteWriter): void {
  writer.varint(hourlyBuckets.length)
  let hour = 0
  for (const { startMs, count, cards } of hourlyBuckets) {
    const next = startMs / BUCKET_MS
    writer.varint(next - hour)
    writer.varint(count)
    writer.varint(2 * cards.hashes.length + (cards.isSaturated ? 1 : 0))
    for (const hash of cards.hashes) writer.uint32(hash)
    hour = next
  }
}

function writeLabels({ labels }: EntityPart, writer: ByteWriter): void {
  writer.varint(labels.length)
  for (const label of labels) {
    writer.varint(label.timeMs)
    writer.zigzag(label.knownAtMs - label.timeMs)
    writer.uint48(label.idHash)
    writer.varint(label.labelOffset)
    writer.byte(label.isFraud ? 1 : 0)
  }
}

/** Reads a stored value; null means a part without events. @throws SluiceError SLUICE_STATE_CORRUPT */
export function decodeEntityPart(value: Buffer | null, readers = ENTITY_READERS): EntityPart {
  return value === null ? new EntityPart() : readValue(value, readers)
}

function readPart(parts: readonly ByteReader[]): EntityPart {
  const part = new EntityPart()
  let [timeMs, offset] = [0, 0]
  for (const [index, reader] of parts.entries()) {
    if (index === 0) {
      readEvents(part, reader)
      readHours(part, reader)
      readLabels(part, reader)
      const last = part.count - 1
      timeMs = part.at(last, ENTITY_COLUMN.time)
      offset = part.at(last, ENTITY_COLUMN.offset)
    } else {
      for (let left = countOf(reader); left > 0; left -= 1) {
        timeMs += reader.zigzag()
        offset += reader.zigzag()
        const id = reader.uint32()
        part.adoptOne(timeMs, offset, id, reader.uint32())
      }
    }
    if (!reader.isAtEnd) {
      throw new SluiceError('SLUICE_STATE_CORRUPT', 'A stored entity has bytes after its content.')
    }
  }
  return part
}

function readEvents(part: EntityPart, reader: ByteReader): void {
  const count = countOf(reader)
  if (count === 0) return
  const data = part.reserve(count)
  let timeMs = 0
  let offset = 0
  let newestOffset = -1
  let base = part.count * ENTITY_STRIDE
  for (let left = count; left > 0; left -= 1) {
    timeMs += reader.varint()
    offset += reader.zigzag()
    data[base] = timeMs
    data[base + ENTITY_COLUMN.offset] = offset
    data[base + ENTITY_COLUMN.id] = reader.uint32()
    data[base + ENTITY_COLUMN.card] = reader.uint32()
    if (offset > newestOffset) newestOffset = offset
    base += ENTITY_STRIDE
  }
  part.adopt(count, newestOffset)
}

function readHours(part: EntityPart, reader: ByteReader): void {
  let hour = 0
  for (let left = countOf(reader); left > 0; left -= 1) {
    hour += reader.varint()
    const { cards } = part.addToHour(hour * BUCKET_MS, reader.varint())
    const kept = reader.varint()
    for (let more = Math.floor(kept / 2); more > 0; more -= 1) cards.hashes.push(reader.uint32())
    cards.isSaturated = kept % 2 === 1
  }
}

function readLabels(part: EntityPart, reader: ByteReader): void {
  for (let left = countOf(reader); left > 0; left -= 1) {
    const labelTimeMs = reader.varint()
    part.adoptLabel({
      timeMs: labelTimeMs,
      knownAtMs: labelTimeMs + reader.zigzag(),
      idHash: reader.uint48(),
      labelOffset: reader.varint(),
      isFraud: reader.byte() === 1,
    })
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
