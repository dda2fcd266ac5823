// Envelope of every stored value: a first part, followed by additions.
//
//   offset 0  u8   layout
//   offset 1  u32  CRC-32 (IEEE) of length and payload, begun with the layout
//   offset 5  u32  length of the payload
//   offset 9  ...  payload
//   per addition: u32 CRC-32 of its length and payload, begun with the checksum of the part before; u32 length; payload
//
// A wrong checksum or an unknown layout is corruption and is never read as "no history" (P7). Each checksum continues
// from the one before. An addition that is missing in the middle, repeated, or from another value is therefore detected
// as well.

import { crc32 } from 'node:zlib'
import { SluiceError } from '../../errors.ts'
import { ByteReader, type ByteWriter } from './bytes.ts'

/**
 * Readers of a value's parts, by layout. A new layout is read before it is written: one release adds its reader. Once
 * every scorer runs that release, the next one writes the layout, and may drop the reader of the old layout when no
 * value has it any more. A value that was read is written whole before anything is appended to it, so a value has one
 * layout.
 */
export type LayoutReaders<Value> = ReadonlyMap<number, (parts: readonly ByteReader[]) => Value>

/** Checksum and length of a part. */
const PART_HEADER_BYTES = 8
/** Layout, and the header of the first part. */
export const HEADER_BYTES = 1 + PART_HEADER_BYTES

/** Begins a value; `finishPart` seals its first part. */
export function beginValue(writer: ByteWriter, layout: number): void {
  writer.reset()
  writer.byte(layout)
  writer.uint32(0)
  writer.uint32(0)
}

/** Begins an addition; `finishPart` seals it. */
export function beginAddition(writer: ByteWriter): void {
  writer.reset()
  writer.uint32(0)
  writer.uint32(0)
}

/**
 * Seals a part with its checksum at `at`: 1 in the first part, 0 in an addition. `before` is the start of the checksum:
 * the layout, or the checksum of the part before. Returns the checksum.
 */
export function finishPart(writer: ByteWriter, at: 0 | 1, before: number): number {
  writer.patchUint32(at + 4, writer.length - at - PART_HEADER_BYTES)
  const checksum = writer.checksum(at + 4, before)
  writer.patchUint32(at, checksum)
  return checksum
}

/** Seals a value of one part in a buffer of its own, which has room for the header at its start. */
export function sealInPlace(value: Buffer, layout: number): void {
  value[0] = layout
  value.writeUInt32LE(value.length - HEADER_BYTES, 5)
  value.writeUInt32LE(crc32(value.subarray(5), layout), 1)
}

/** @throws SluiceError SLUICE_STATE_CORRUPT if the value is damaged or its layout has no reader. */
export function readValue<Value>(value: Buffer, readers: LayoutReaders<Value>): Value {
  const layout = value[0] ?? 0
  const read = readers.get(layout)
  if (read === undefined) {
    throw new SluiceError(
      'SLUICE_STATE_CORRUPT',
      `A stored value has layout ${layout}; this build reads ${[...readers.keys()].join(', ')}.`,
    )
  }
  return read(partsOf(value, layout))
}

/** Readers positioned at the payloads of the parts. */
function partsOf(value: Buffer, layout: number): readonly ByteReader[] {
  const readers: ByteReader[] = []
  let at = 1
  let checksum = layout
  do {
    if (at + PART_HEADER_BYTES > value.length) throw mismatch()
    const end = at + PART_HEADER_BYTES + value.readUInt32LE(at + 4)
    if (end > value.length) throw mismatch()
    const stored = value.readUInt32LE(at)
    if (crc32(value.subarray(at + 4, end), checksum) !== stored) throw mismatch()
    readers.push(new ByteReader(value.subarray(0, end), at + PART_HEADER_BYTES))
    checksum = stored
    at = end
  } while (at < value.length)
  return readers
}

function mismatch(): SluiceError {
  return new SluiceError('SLUICE_STATE_CORRUPT', 'A stored value does not match its checksum.')
}
