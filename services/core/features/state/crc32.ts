// CRC-32 (ISO 3309, ITU-T V.42; reflected polynomial 0xedb88320), continued from a checksum, compatible with node:zlib.
// A call of zlib costs as much as about a hundred bytes in a loop, and most additions to a value are shorter. Processes
// several bytes at a time with tables: M. E. Kounavis, F. L. Berry, "A Systematic Approach to Building High Performance
// Software-based CRC Generators", ISCC 2005.

import { crc32 } from 'node:zlib'

/** Longer inputs use zlib. */
export const SHORT_BYTES_MAX = 96

const POLYNOMIAL = 0xedb88320

/** Four consecutive tables: CRC of a byte, and of a byte followed by one, two and three zero bytes. */
const TABLES = makeTables()

function makeTables(): Int32Array {
  const tables = new Int32Array(4 * 256)
  for (let byte = 0; byte < 256; byte += 1) {
    let remainder = byte
    for (let bit = 0; bit < 8; bit += 1) {
      remainder = (remainder & 1) === 0 ? remainder >>> 1 : (remainder >>> 1) ^ POLYNOMIAL
    }
    tables[byte] = remainder
  }
  for (let at = 256; at < tables.length; at += 1) {
    const before = tables[at - 256] ?? 0
    tables[at] = (tables[before & 0xff] ?? 0) ^ (before >>> 8)
  }
  return tables
}

/**
 * CRC-32 of bytes[from, to), continued from the checksum `before` of the preceding bytes. Four bytes at a time. Hot
 * path.
 */
export function crc32Of(bytes: Buffer, from: number, to: number, before: number): number {
  if (to - from > SHORT_BYTES_MAX) return crc32(bytes.subarray(from, to), before)
  let rest = ~before
  let at = from
  for (; at + 4 <= to; at += 4) {
    rest ^=
      (bytes[at] ?? 0) |
      ((bytes[at + 1] ?? 0) << 8) |
      ((bytes[at + 2] ?? 0) << 16) |
      ((bytes[at + 3] ?? 0) << 24)
    rest =
      (TABLES[0x300 + (rest & 0xff)] ?? 0) ^
      (TABLES[0x200 + ((rest >>> 8) & 0xff)] ?? 0) ^
      (TABLES[0x100 + ((rest >>> 16) & 0xff)] ?? 0) ^
      (TABLES[rest >>> 24] ?? 0)
  }
  for (; at < to; at += 1) {
    rest = (TABLES[(rest ^ (bytes[at] ?? 0)) & 0xff] ?? 0) ^ (rest >>> 8)
  }
  return ~rest >>> 0
}
