// Variable-length integers for stored state: 7 bits per byte, low bits first, up to 2^53 - 1. Signed integers use
// zigzag encoding.

import { SluiceError } from '../../errors.ts'
import { crc32Of } from './crc32.ts'

/** Size of a chunk. Many values share one allocation. */
const CHUNK_BYTES = 256 * 1024

/** Maximum number of free chunks that are kept for reuse. */
const CHUNKS_KEPT_MAX = 32

/** Writes a varint and returns the position after it. The caller guarantees the room. Hot path. */
export function writeVarint(bytes: Uint8Array, at: number, value: number): number {
  let end = at
  let rest = value
  while (rest > 0x7fff_ffff) {
    bytes[end] = (rest % 128) | 0x80
    end += 1
    rest = Math.floor(rest / 128)
  }
  while (rest > 0x7f) {
    bytes[end] = (rest & 0x7f) | 0x80
    end += 1
    rest >>>= 7
  }
  bytes[end] = rest
  return end + 1
}

/** Length in bytes of a number below 2^28 as a varint. */
export function varintLength(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4
}

/**
 * A growing byte buffer. Hot path: one instance serves all values of a batch. Values are slices of its chunk, one after
 * the other, and are not copied again.
 */
export class ByteWriter {
  readonly #chunkBytes: number
  #buffer: Buffer
  /** Chunks that values are slices of; `recycle` makes them free. */
  #used: Buffer[] = []
  #free: Buffer[] = []
  /** Start of the current value, and the position of the next byte. */
  #start = 0
  #end = 0
  /** Start, in the current chunk, of the kept values that `takeKept` has not returned yet, and the pieces before it. */
  #keptFrom = 0
  #keptBefore: Buffer[] = []

  /** Allocates `chunkBytes` whenever a chunk is full, and more for a value that is longer. */
  constructor(chunkBytes = CHUNK_BYTES) {
    this.#chunkBytes = chunkBytes
    this.#buffer = Buffer.allocUnsafeSlow(chunkBytes)
  }

  /** Restarts the current value and discards what was written since the last `take`. */
  reset(): void {
    this.#end = this.#start
  }

  get length(): number {
    return this.#end - this.#start
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#end] = value
    this.#end += 1
  }

  uint32(value: number): void {
    this.#reserve(4)
    const buffer = this.#buffer
    const end = this.#end
    buffer[end] = value
    buffer[end + 1] = value >>> 8
    buffer[end + 2] = value >>> 16
    buffer[end + 3] = value >>> 24
    this.#end = end + 4
  }

  /** Writes an unsigned 48-bit hash in 6 bytes. */
  uint48(value: number): void {
    this.#reserve(6)
    const buffer = this.#buffer
    const end = this.#end
    const high = Math.floor(value / 0x1_0000_0000)
    buffer[end] = value
    buffer[end + 1] = value >>> 8
    buffer[end + 2] = value >>> 16
    buffer[end + 3] = value >>> 24
    buffer[end + 4] = high
    buffer[end + 5] = high >>> 8
    this.#end = end + 6
  }

  varint(value: number): void {
    this.#reserve(8)
    this.#end = writeVarint(this.#buffer, this.#end, value)
  }

  /** Writes a signed integer in zigzag encoding; small magnitudes are short. */
  zigzag(value: number): void {
    this.varint(value >= 0 ? value * 2 : -value * 2 - 1)
  }

  /** Overwrites four bytes of the current value, for a checksum that is known last. */
  patchUint32(position: number, value: number): void {
    const buffer = this.#buffer
    const at = this.#start + position
    buffer[at] = value
    buffer[at + 1] = value >>> 8
    buffer[at + 2] = value >>> 16
    buffer[at + 3] = value >>> 24
  }

  /** CRC-32 of the current value from a position on, continued from a checksum. Hot path. */
  checksum(start: number, before: number): number {
    return crc32Of(this.#buffer, this.#start + start, this.#end, before)
  }

  /**
   * Returns the current value, which does not change any more, and begins the next. Values share chunks, so they should
   * live equally long.
   */
  take(): Buffer {
    const value = this.#buffer.subarray(this.#start, this.#end)
    this.#start = this.#end
    this.#keptFrom = this.#end
    return value
  }

  /** Keeps the current value for `takeKept` and begins the next. Hot path: allocates no object. */
  keep(): void {
    this.#start = this.#end
  }

  /**
   * Keeps a value of another buffer after the others, without a copy. It must not change until `takeKept` has returned
   * it.
   */
  keepElsewhere(value: Buffer): void {
    this.#closePiece()
    this.#keptFrom = this.#start
    this.#keptBefore.push(value)
  }

  /** Returns all values kept since the last call, in order and in pieces. */
  takeKept(): readonly Buffer[] {
    const pieces = [...this.#keptBefore, this.#buffer.subarray(this.#keptFrom, this.#start)]
    this.#keptBefore = []
    this.#keptFrom = this.#start
    return pieces
  }

  /** Makes all chunks free. No value taken before may be read any more. */
  recycle(): void {
    for (const chunk of this.#used) {
      if (this.#free.length < CHUNKS_KEPT_MAX && chunk.length === this.#chunkBytes) {
        this.#free.push(chunk)
      }
    }
    this.#used = []
    this.#start = 0
    this.#end = 0
    this.#keptFrom = 0
    this.#keptBefore = []
  }

  #reserve(byteCount: number): void {
    if (this.#end + byteCount <= this.#buffer.length) return
    const { length } = this
    const needed = 2 * (length + byteCount)
    const free = needed <= this.#chunkBytes ? this.#free.pop() : undefined
    const larger = free ?? Buffer.allocUnsafeSlow(Math.max(this.#chunkBytes, needed))
    larger.set(this.#buffer.subarray(this.#start, this.#end))
    this.#closePiece()
    this.#keptFrom = 0
    this.#used.push(this.#buffer)
    this.#buffer = larger
    this.#start = 0
    this.#end = length
  }

  /** Makes the kept values of this chunk a piece of their own. */
  #closePiece(): void {
    if (this.#start === this.#keptFrom) return
    this.#keptBefore.push(this.#buffer.subarray(this.#keptFrom, this.#start))
  }
}

/** Reads what ByteWriter wrote. A read past the end is corruption. */
export class ByteReader {
  readonly #buffer: Buffer
  #position: number

  constructor(buffer: Buffer, position = 0) {
    this.#buffer = buffer
    this.#position = position
  }

  get isAtEnd(): boolean {
    return this.#position === this.#buffer.length
  }

  byte(): number {
    const value = this.#buffer[this.#position]
    if (value === undefined) throw truncated()
    this.#position += 1
    return value
  }

  uint32(): number {
    const buffer = this.#buffer
    const at = this.#position
    if (at + 4 > buffer.length) throw truncated()
    this.#position = at + 4
    const low = (buffer[at] ?? 0) | ((buffer[at + 1] ?? 0) << 8) | ((buffer[at + 2] ?? 0) << 16)
    return low + (buffer[at + 3] ?? 0) * 0x100_0000
  }

  uint48(): number {
    const low = this.uint32()
    const buffer = this.#buffer
    const at = this.#position
    if (at + 2 > buffer.length) throw truncated()
    this.#position = at + 2
    return low + ((buffer[at] ?? 0) | ((buffer[at + 1] ?? 0) << 8)) * 0x1_0000_0000
  }

  /** Returns a view of the next bytes. */
  view(length: number): Buffer {
    const start = this.#position
    if (start + length > this.#buffer.length) throw truncated()
    this.#position = start + length
    return this.#buffer.subarray(start, this.#position)
  }

  varint(): number {
    const buffer = this.#buffer
    const first = buffer[this.#position] ?? 0x80
    if (first < 0x80) {
      this.#position += 1
      return first
    }
    let value = 0
    let scale = 1
    for (let index = 0; index < 8; index += 1) {
      const byte = buffer[this.#position]
      if (byte === undefined) throw truncated()
      this.#position += 1
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 128
    }
    throw truncated()
  }

  zigzag(): number {
    const value = this.varint()
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2
  }
}

function truncated(): SluiceError {
  return new SluiceError('SLUICE_STATE_CORRUPT', 'A stored value ends before its content does.')
}
