// Variable-length integers for stored state: 7 bits a byte, low bits first, up to 2^53 - 1; signed ones zigzag.

import { SluiceError } from '../errors.ts'

/** What copies are cut from: one allocation for many values. */
const CHUNK_BYTES = 256 * 1024

/** A growing byte buffer. Hot path: one instance is reused for all values of a batch. */
export class ByteWriter {
  #buffer = Buffer.allocUnsafe(4096)
  #length = 0
  #chunk = Buffer.alloc(0)
  #chunkUsed = 0

  reset(): void {
    this.#length = 0
  }

  get length(): number {
    return this.#length
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#length] = value
    this.#length += 1
  }

  uint32(value: number): void {
    this.#reserve(4)
    const buffer = this.#buffer
    buffer[this.#length] = value
    buffer[this.#length + 1] = value >>> 8
    buffer[this.#length + 2] = value >>> 16
    buffer[this.#length + 3] = value >>> 24
    this.#length += 4
  }

  /** An unsigned 48-bit reference in 6 bytes. */
  uint48(value: number): void {
    this.#reserve(6)
    const buffer = this.#buffer
    const high = Math.floor(value / 0x1_0000_0000)
    buffer[this.#length] = value
    buffer[this.#length + 1] = value >>> 8
    buffer[this.#length + 2] = value >>> 16
    buffer[this.#length + 3] = value >>> 24
    buffer[this.#length + 4] = high
    buffer[this.#length + 5] = high >>> 8
    this.#length += 6
  }

  varint(value: number): void {
    this.#reserve(8)
    const buffer = this.#buffer
    let rest = value
    while (rest > 0x7fff_ffff) {
      buffer[this.#length] = (rest % 128) | 0x80
      this.#length += 1
      rest = Math.floor(rest / 128)
    }
    while (rest > 0x7f) {
      buffer[this.#length] = (rest & 0x7f) | 0x80
      this.#length += 1
      rest >>>= 7
    }
    buffer[this.#length] = rest
    this.#length += 1
  }

  bytes(value: Uint8Array): void {
    this.#reserve(value.length)
    this.#buffer.set(value, this.#length)
    this.#length += value.length
  }

  /** A signed integer, zigzag; small magnitudes are short. */
  zigzag(value: number): void {
    this.varint(value >= 0 ? value * 2 : -value * 2 - 1)
  }

  /** Overwrites four bytes written before, for a checksum that comes last. */
  patchUint32(position: number, value: number): void {
    this.#buffer.writeUInt32LE(value >>> 0, position)
  }

  /** A view of what was written so far; valid until the next write. */
  view(start: number): Buffer {
    return this.#buffer.subarray(start, this.#length)
  }

  /** A copy of everything written. Copies share chunks, so they are for values that live about equally long. */
  copy(): Buffer {
    const length = this.#length
    if (this.#chunkUsed + length > this.#chunk.length) {
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, length))
      this.#chunkUsed = 0
    }
    const start = this.#chunkUsed
    this.#buffer.copy(this.#chunk, start, 0, length)
    this.#chunkUsed += length
    return this.#chunk.subarray(start, this.#chunkUsed)
  }

  #reserve(byteCount: number): void {
    if (this.#length + byteCount <= this.#buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#buffer.length * 2, this.#length + byteCount))
    this.#buffer.copy(larger, 0, 0, this.#length)
    this.#buffer = larger
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

  /** A copy of the next bytes. */
  bytes(length: number): Uint8Array {
    if (this.#position + length > this.#buffer.length) throw truncated()
    const value = Uint8Array.prototype.slice.call(
      this.#buffer,
      this.#position,
      this.#position + length,
    )
    this.#position += length
    return value
  }

  varint(): number {
    const buffer = this.#buffer
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
