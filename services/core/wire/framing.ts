// Confluent framing: a zero byte, the schema id as four big-endian bytes, then the Avro binary.

/** Bytes before the Avro binary. */
export const FRAME_HEADER_BYTES = 5

/** Returned by `frameSchemaId` for bytes that are not framed. Real ids are never negative. */
export const NOT_FRAMED = -1

/** The schema id of a framed message, or NOT_FRAMED. Reads five bytes, allocates nothing. */
export function frameSchemaId(bytes: Uint8Array): number {
  if (bytes.length < FRAME_HEADER_BYTES || bytes[0] !== 0) return NOT_FRAMED
  const high = ((bytes[1] ?? 0) << 8) | (bytes[2] ?? 0)
  const low = ((bytes[3] ?? 0) << 8) | (bytes[4] ?? 0)
  // Registries give out signed 32-bit ids, so the top bit is never set in a real frame.
  return high >= 0x8000 ? NOT_FRAMED : high * 0x10000 + low
}

/** Writes the header for `schemaId` (0 to 2^31 - 1) at the start of `target`. */
export function writeFrameHeader(target: Uint8Array, schemaId: number): void {
  target[0] = 0
  target[1] = schemaId >>> 24
  target[2] = schemaId >>> 16
  target[3] = schemaId >>> 8
  target[4] = schemaId
}
