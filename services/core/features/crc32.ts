// CRC-32 (ISO 3309, ITU-T V.42; reflected polynomial 0xedb88320), continued from a checksum, as node:zlib has it. A call of
// zlib costs as much as some hundred bytes in a loop, and most of what is appended to a value is shorter.

import { crc32 } from 'node:zlib'

/** What is longer is left to zlib. */
export const SHORT_BYTES_MAX = 96

const POLYNOMIAL = 0xedb88320

const TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit += 1) {
    remainder = (remainder & 1) === 0 ? remainder >>> 1 : (remainder >>> 1) ^ POLYNOMIAL
  }
  return remainder
})

/** Of bytes[from, to), which go on after bytes of the checksum `before`. Hot path. */
export function crc32Of(bytes: Buffer, from: number, to: number, before: number): number {
  if (to - from > SHORT_BYTES_MAX) return crc32(bytes.subarray(from, to), before)
  let rest = ~before
  for (let at = from; at < to; at += 1) {
    rest = (TABLE[(rest ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (rest >>> 8)
  }
  return ~rest >>> 0
}
