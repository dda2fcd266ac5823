// Variable-length integers for stored state: 7 bits a byte, low bits first, up to 2^53 - 1; signed ones zigzag.

import { SluiceError } from '../../errors.ts'
import { crc32Of } from './crc32.ts'

/** What values are cut from: one allocation for many. */
const CHUNK_BYTES = 256 * 1024

/** Chunks that are kept to be used again. */
const CHUNKS_KEPT_MAX = 32

/** Writes a varint, for which there must be room; returns where it ends. Hot path. */
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

/** Bytes of a small number as a varint, below 2^28. */
export function varintLength(value: number): number {
  return value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4
}

/**
 * A growing byte buffer. Hot path: one instance is used for all values of a batch, which are cut from its chunk one
 * after the other, and not copied again.
 */
export class ByteWriter {
  readonly #chunkBytes: number
  #buffer: Buffer
  /** Chunks from which values were cut; used again after `recycle`. */
  #used: Buffer[] = []
  #free: Buffer[] = []
  /** Where the present value begins, and where the next byte goes. */
  #start = 0
  #end = 0
  /** Where in the chunk the values begin that were kept and are not taken yet, and those of chunks before. */
  #keptFrom = 0
  #keptBefore: Buffer[] = []

  /** `chunkBytes` is allocated whenever room is used up; more for a value that is longer. */
  constructor(chunkBytes = CHUNK_BYTES) {
    this.#chunkBytes = chunkBytes
    this.#buffer = Buffer.allocUnsafeSlow(chunkBytes)
  }

  /** Begins a value anew; what was written since the last `take` is given up. */
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

  /** An unsigned 48-bit reference in 6 bytes. */
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

  /** A signed integer, zigzag; small magnitudes are short. */
  zigzag(value: number): void {
    this.varint(value >= 0 ? value * 2 : -value * 2 - 1)
  }

  /** Overwrites four bytes of the present value, for a checksum that comes last. */
  patchUint32(position: number, value: number): void {
    const buffer = this.#buffer
    const at = this.#start + position
    buffer[at] = value
    buffer[at + 1] = value >>> 8
    buffer[at + 2] = value >>> 16
    buffer[at + 3] = value >>> 24
  }

  /** CRC-32 of the present value from a position on, going on from a checksum. Hot path. */
  checksum(start: number, before: number): number {
    return crc32Of(this.#buffer, this.#start + start, this.#end, before)
  }

  /** The present value, which stays as it is, and begins the next. Values share chunks: they should live equally long. */
  take(): Buffer {
    const value = this.#buffer.subarray(this.#start, this.#end)
    this.#start = this.#end
    this.#keptFrom = this.#end
    return value
  }

  /** The present value stays as it is, for `takeKept`, and the next begins. Hot path: no object is made. */
  keep(): void {
    this.#start = this.#end
  }

  /** A value that stands elsewhere, kept after the others without a copy: it may not change until it was taken. */
  keepElsewhere(value: Buffer): void {
    this.#closePiece()
    this.#keptFrom = this.#start
    this.#keptBefore.push(value)
  }

  /** All values that were kept since the last time, one after the other, in pieces. */
  takeKept(): readonly Buffer[] {
    const pieces = [...this.#keptBefore, this.#buffer.subarray(this.#keptFrom, this.#start)]
    this.#keptBefore = []
    this.#keptFrom = this.#start
    return pieces
  }

  /** No value that was taken so far is looked at any more: their room is used again. */
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

  /** What was kept of this chunk becomes a piece of its own. */
  #closePiece(): void {
    if (this.#start === this.#keptFrom) return
    this.#keptBefore.push(this.#buffer.subarray(this.#keptFrom, this.#start))
  }
}

/** Reads what ByteWriter wrote. Running past the end is corruption, not a value. */
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

  /** A view of the next bytes. */
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
