// The values of one write in one piece: an argument for each would cost the client more than to encode them. Numbers are
// 32 bits, low bytes first.
//
//   per value that is written whole: its length, its bytes
//   then per addition: length of the stored value after it, length of the addition, its bytes

const LENGTH_BYTES = 4

/** What is appended to a value, and how long that is afterwards: Redis makes sure of it. */
export interface Addition {
  readonly bytes: Buffer
  readonly lengthAfter: number
}

/** As the script of a fenced write reads them. */
export function packValues(whole: readonly Buffer[], additions: readonly Addition[]): Buffer {
  let length = 0
  for (const bytes of whole) length += LENGTH_BYTES + bytes.length
  for (const { bytes } of additions) length += 2 * LENGTH_BYTES + bytes.length
  const packed = Buffer.allocUnsafe(length)
  let at = 0
  for (const bytes of whole) at = put(packed, at, bytes)
  for (const { bytes, lengthAfter } of additions) {
    at = packed.writeUInt32LE(lengthAfter, at)
    at = put(packed, at, bytes)
  }
  return packed
}

function put(packed: Buffer, at: number, bytes: Buffer): number {
  const start = packed.writeUInt32LE(bytes.length, at)
  packed.set(bytes, start)
  return start + bytes.length
}
