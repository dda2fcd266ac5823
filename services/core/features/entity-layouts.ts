// The stored form of an entity's part. Envelope in sealed.ts, varints as in bytes.ts, times in ms.
//
// Layout 2
//   hour count; per crowded hour, oldest first: hours since the one before, count, cards kept (twice their number, plus 1
//     when there were more), 32 bits of each, ascending
//   event count; per event, by (time, offset): time since the one before, offset (zigzag, against the one before), 32
//     bits of the id's reference, 32 bits of the card's hash
//   label count; per label, by offset: transaction time, known-at time (zigzag against the former), 48-bit
//     transaction reference, label offset, verdict (1 fraud, 0 genuine)

import { SluiceError } from '../errors.ts'
import type { ByteReader, ByteWriter } from './bytes.ts'
import { ENTITY_COLUMN, EntityPart } from './entity-part.ts'
import { seal, unseal } from './sealed.ts'
import { BUCKET_MS } from './time.ts'

/** Layouts that this build reads, and can be told to write. */
export const ENTITY_LAYOUTS = [2] as const

/** More than any rule keeps: a larger number is corruption, found before anything is allocated. */
const COUNT_MAX = 262_144

/** The stored value. `writer` is scratch space. */
export function encodeEntityPart(part: EntityPart, writer: ByteWriter): Buffer {
  return seal(writer, ENTITY_LAYOUTS[0], () => {
    writeHours(part, writer)
    writer.varint(part.count)
    let timeMs = 0
    let offset = 0
    for (let index = 0; index < part.count; index += 1) {
      const nextTimeMs = part.at(index, ENTITY_COLUMN.time)
      const nextOffset = part.at(index, ENTITY_COLUMN.offset)
      writer.varint(nextTimeMs - timeMs)
      writer.zigzag(nextOffset - offset)
      writer.uint32(part.at(index, ENTITY_COLUMN.id))
      writer.uint32(part.at(index, ENTITY_COLUMN.card))
      timeMs = nextTimeMs
      offset = nextOffset
    }
    writer.varint(part.labels.length)
    for (const label of part.labels) {
      writer.varint(label.timeMs)
      writer.zigzag(label.knownAtMs - label.timeMs)
      writer.uint48(label.idRef)
      writer.varint(label.labelOffset)
      writer.byte(label.isFraud ? 1 : 0)
    }
  })
}

/** Reads a stored value; null is a part without events. @throws SluiceError SLUICE_STATE_CORRUPT */
export function decodeEntityPart(value: Buffer | null): EntityPart {
  const part = new EntityPart()
  if (value === null) return part
  const { reader } = unseal(value, ENTITY_LAYOUTS)
  readHours(part, reader)
  let timeMs = 0
  let offset = 0
  for (let left = countOf(reader); left > 0; left -= 1) {
    timeMs += reader.varint()
    offset += reader.zigzag()
    part.append(part.count, timeMs, offset, reader.uint32(), reader.uint32())
  }
  for (let left = countOf(reader); left > 0; left -= 1) {
    const labelTimeMs = reader.varint()
    part.labels.push({
      timeMs: labelTimeMs,
      knownAtMs: labelTimeMs + reader.zigzag(),
      idRef: reader.uint48(),
      labelOffset: reader.varint(),
      isFraud: reader.byte() === 1,
    })
  }
  return part
}

function writeHours({ crowdedHours }: EntityPart, writer: ByteWriter): void {
  writer.varint(crowdedHours.length)
  let hour = 0
  for (const { startMs, count, cards } of crowdedHours) {
    const next = startMs / BUCKET_MS
    writer.varint(next - hour)
    writer.varint(count)
    writer.varint(2 * cards.hashes.length + (cards.isSaturated ? 1 : 0))
    for (const hash of cards.hashes) writer.uint32(hash)
    hour = next
  }
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

function countOf(reader: ByteReader): number {
  const count = reader.varint()
  if (count <= COUNT_MAX) return count
  throw new SluiceError(
    'SLUICE_STATE_CORRUPT',
    `A stored value announces ${count} items; at most ${COUNT_MAX} are kept.`,
  )
}
