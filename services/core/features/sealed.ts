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

const HEADER_BYTES = 5

/** The first part of a payload, kept as bytes with the checksum up to their end. */
export interface EncodedStart {
  readonly bytes: Buffer
  readonly checksum: number
}

/**
 * Writes header and payload, and returns a copy of the sealed value. The payload begins with `start`, which is written
 * by `writeStart` when it is null and given back with the value, so that it need not be encoded each time.
 */
export function seal(
  writer: ByteWriter,
  layoutVersion: number,
  start: EncodedStart | null,
  writeStart: (writer: ByteWriter) => void,
  writeRest: (writer: ByteWriter) => void,
): { readonly value: Buffer; readonly start: EncodedStart } {
  writer.reset()
  writer.byte(layoutVersion)
  writer.uint32(0)
  let known = start
  if (known === null) {
    writeStart(writer)
    const bytes = Buffer.from(writer.view(HEADER_BYTES))
    known = { bytes, checksum: crc32(bytes, layoutVersion) }
  } else writer.bytes(known.bytes)
  const restAt = writer.length
  writeRest(writer)
  writer.patchUint32(1, crc32(writer.view(restAt), known.checksum))
  return { value: writer.copy(), start: known }
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
