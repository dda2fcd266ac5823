// The envelope of every stored value:
//
//   offset 0  u8   layout version
//   offset 1  u32  CRC-32 (IEEE) of everything after it, begun with the layout version
//   offset 5  ...  payload
//
// A value with a wrong checksum or an unknown version is corruption and never read as "no history" (P7).

import { crc32 } from 'node:zlib'
import { SluiceError } from '../errors.ts'
import { ByteReader, type ByteWriter } from './bytes.ts'

export const HEADER_BYTES = 5

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
export function finishValue(writer: ByteWriter, from: number, checksum: number): Buffer {
  writer.patchUint32(1, crc32(writer.view(from), checksum))
  return writer.take()
}

/** A reader at the payload, and its layout. @throws SluiceError SLUICE_STATE_CORRUPT */
export function unseal(
  value: Buffer,
  layouts: readonly number[],
): { readonly layout: number; readonly reader: ByteReader } {
  if (value.length < HEADER_BYTES) {
    throw new SluiceError('SLUICE_STATE_CORRUPT', 'A stored value is shorter than its header.')
  }
  const layout = value[0] ?? 0
  if (!layouts.includes(layout)) {
    throw new SluiceError(
      'SLUICE_STATE_CORRUPT',
      `A stored value has layout ${layout}; this build reads ${layouts.join(' and ')}.`,
    )
  }
  if (crc32(value.subarray(HEADER_BYTES), layout) !== value.readUInt32LE(1)) {
    throw new SluiceError('SLUICE_STATE_CORRUPT', 'A stored value does not match its checksum.')
  }
  return { layout, reader: new ByteReader(value, HEADER_BYTES) }
}
