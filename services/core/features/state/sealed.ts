// The envelope of every stored value:
//
//   offset 0  u8   layout version
//   offset 1  u32  CRC-32 (IEEE) of everything after it, begun with the layout version
//   offset 5  ...  payload
//
// and of one to which more is appended, part after part:
//
//   offset 0  u8   layout version
//   offset 1  u32  CRC-32 of length and payload, begun with the layout version
//   offset 5  u32  length of the payload
//   offset 9  ...  payload
//   per addition: u32 CRC-32 of its length and payload, begun with the checksum of the part before; u32 length; payload
//
// A value with a wrong checksum or an unknown version is corruption and never read as "no history" (P7). Since each
// checksum begins with the one before, an addition that is missing in the middle, stands twice or belongs elsewhere is
// noticed as well.

import { crc32 } from 'node:zlib'
import { SluiceError } from '../../errors.ts'
import { ByteReader, type ByteWriter } from './bytes.ts'

export const HEADER_BYTES = 5

/** Checksum and length of a part. */
const PART_HEADER_BYTES = 8

/** The first part of a payload, kept as bytes with the checksum up to their end. */
export interface EncodedStart {
  readonly bytes: Buffer
  readonly checksum: number
}

/** Writes the header, whose checksum comes last. */
export function beginValue(writer: ByteWriter, layoutVersion: number): void {
  writer.reset()
  writer.byte(layoutVersion)
  writer.uint32(0)
}

/** What was written of the payload so far, so that it need not be encoded each time. */
export function startOf(writer: ByteWriter, layoutVersion: number): EncodedStart {
  const bytes = Buffer.from(writer.view(HEADER_BYTES))
  return { bytes, checksum: crc32(bytes, layoutVersion) }
}

/** Seals the value: `checksum` is that of everything before `from`. */
export function finishValue(writer: ByteWriter, from: number, checksum: number): void {
  writer.patchUint32(1, writer.checksum(from, checksum))
}

/** Seals a value that stands in bytes of its own, with room for the header at their start. */
export function sealInPlace(value: Buffer, layoutVersion: number): void {
  value[0] = layoutVersion
  value.writeUInt32LE(crc32(value.subarray(HEADER_BYTES), layoutVersion), 1)
}

/** Begins the first part of a value to which more is appended; `finishPart` seals it. */
export function beginParts(writer: ByteWriter, layoutVersion: number): void {
  writer.reset()
  writer.byte(layoutVersion)
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
 * Seals a part whose checksum stands at `at`, 1 in the first one and 0 in an addition. `before` is what the checksum
 * begins with: the layout version, or the checksum of the part before. Returns the checksum.
 */
export function finishPart(writer: ByteWriter, at: 0 | 1, before: number): number {
  writer.patchUint32(at + 4, writer.length - at - PART_HEADER_BYTES)
  const checksum = writer.checksum(at + 4, before)
  writer.patchUint32(at, checksum)
  return checksum
}

/** A reader at the payload, and its layout. @throws SluiceError SLUICE_STATE_CORRUPT */
export function unseal(
  value: Buffer,
  layouts: readonly number[],
): { readonly layout: number; readonly reader: ByteReader } {
  const layout = layoutOf(value, layouts)
  if (value.length < HEADER_BYTES) {
    throw new SluiceError('SLUICE_STATE_CORRUPT', 'A stored value is shorter than its header.')
  }
  if (crc32(value.subarray(HEADER_BYTES), layout) !== value.readUInt32LE(1)) throw mismatch()
  return { layout, reader: new ByteReader(value, HEADER_BYTES) }
}

/** Readers at the payloads of a value's parts, the first one and all additions. @throws as `unseal` does */
export function unsealParts(value: Buffer): readonly ByteReader[] {
  const readers: ByteReader[] = []
  let at = 1
  let checksum = value[0] ?? 0
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

/** @throws SluiceError SLUICE_STATE_CORRUPT when this build does not know it. */
export function layoutOf(value: Buffer, layouts: readonly number[]): number {
  const layout = value[0] ?? 0
  if (layouts.includes(layout)) return layout
  throw new SluiceError(
    'SLUICE_STATE_CORRUPT',
    `A stored value has layout ${layout}; this build reads ${layouts.join(', ')}.`,
  )
}

function mismatch(): SluiceError {
  return new SluiceError('SLUICE_STATE_CORRUPT', 'A stored value does not match its checksum.')
}
