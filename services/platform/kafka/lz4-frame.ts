// Decodes LZ4 frames in two passes: the first only measures, the second copies into memory of that size. Check sums are
// skipped, since the broker has checked that of the batch.

const MAGIC = 0x184d2204
const VERSION_MASK = 0xc0
const VERSION = 0x40
const FLAG_BLOCK_CHECKSUM = 0x10
const FLAG_CONTENT_SIZE = 0x08
const FLAG_CONTENT_CHECKSUM = 0x04
const FLAG_DICTIONARY = 0x01
const UNCOMPRESSED_BIT = 0x80000000
const CHECKSUM_BYTES = 4
const MATCH_BYTES_MIN = 4
const LENGTH_CONTINUES = 15

/**
 * The expanded bytes of one or more frames.
 * @throws Error when the bytes are damaged or would expand beyond the limit; the reason is in the message.
 */
export function decompressLz4(bytes: Buffer, expandedBytesMax: number): Buffer {
  const expandedBytes = new FrameReader(bytes, null, expandedBytesMax).read()
  const expanded = Buffer.allocUnsafe(expandedBytes)
  new FrameReader(bytes, expanded, expandedBytes).read()
  return expanded
}

/** Reads frames into `target`, or without one only counts their expanded bytes. */
class FrameReader {
  readonly #bytes: Buffer
  readonly #target: Buffer | null
  readonly #expandedBytesMax: number
  #position = 0
  #written = 0

  constructor(bytes: Buffer, target: Buffer | null, expandedBytesMax: number) {
    this.#bytes = bytes
    this.#target = target
    this.#expandedBytesMax = expandedBytesMax
  }

  read(): number {
    while (this.#position < this.#bytes.length) this.#readFrame()
    return this.#written
  }

  #readFrame(): void {
    if (this.#take(4) !== MAGIC) throw new Error('This is no LZ4 frame.')
    const flags = this.#take(1)
    if ((flags & VERSION_MASK) !== VERSION) throw new Error('The LZ4 version is unknown.')
    if ((flags & FLAG_DICTIONARY) !== 0) throw new Error('An LZ4 dictionary would be needed.')
    // Block size and header check sum, possibly with the content size between them. Neither size is trusted: the blocks
    // themselves are measured.
    this.#skip((flags & FLAG_CONTENT_SIZE) === 0 ? 2 : 10)
    const frameStart = this.#written
    for (;;) {
      const header = this.#take(4)
      if (header === 0) break
      const isRaw = header >= UNCOMPRESSED_BIT
      const end = this.#position + (isRaw ? header - UNCOMPRESSED_BIT : header)
      if (end > this.#bytes.length) throw new Error('An LZ4 block is cut short.')
      if (isRaw) this.#copyLiterals(end - this.#position)
      else this.#readBlock(end, frameStart)
      if ((flags & FLAG_BLOCK_CHECKSUM) !== 0) this.#skip(CHECKSUM_BYTES)
    }
    if ((flags & FLAG_CONTENT_CHECKSUM) !== 0) this.#skip(CHECKSUM_BYTES)
  }

  /** Reads sequences of literals and a match; the last one has literals only. */
  #readBlock(end: number, frameStart: number): void {
    while (this.#position < end) {
      const token = this.#take(1)
      this.#copyLiterals(this.#takeLength(token >>> 4))
      if (this.#position > end) throw new Error('LZ4 literals run past their block.')
      if (this.#position === end) return
      const offset = this.#take(2)
      if (offset === 0 || offset > this.#written - frameStart)
        throw new Error('An LZ4 match lies before the frame.')
      this.#copyMatch(offset, this.#takeLength(token & 0x0f) + MATCH_BYTES_MIN)
    }
    if (this.#position > end) throw new Error('An LZ4 match runs past its block.')
  }

  #copyLiterals(count: number): void {
    const start = this.#position
    this.#skip(count)
    this.#grow(count)
    this.#target?.set(this.#bytes.subarray(start, start + count), this.#written - count)
  }

  #copyMatch(offset: number, count: number): void {
    const start = this.#written
    this.#grow(count)
    const target = this.#target
    if (target === null) return
    // Byte by byte, since a match may overlap its own output: that is how runs are encoded.
    for (let index = start; index < start + count; index += 1) {
      target[index] = target[index - offset] ?? 0
    }
  }

  #grow(count: number): void {
    this.#written += count
    if (this.#written > this.#expandedBytesMax)
      throw new Error(`It expands beyond ${this.#expandedBytesMax} bytes.`)
  }

  #takeLength(nibble: number): number {
    let length = nibble
    if (nibble !== LENGTH_CONTINUES) return length
    for (;;) {
      const byte = this.#take(1)
      length += byte
      if (byte !== 0xff) return length
    }
  }

  /** A little-endian number of 1, 2 or 4 bytes; throws at the end of the bytes. */
  #take(count: 1 | 2 | 4): number {
    const value = this.#bytes.readUIntLE(this.#position, count)
    this.#position += count
    return value
  }

  #skip(count: number): void {
    this.#position += count
    if (this.#position > this.#bytes.length) throw new Error('An LZ4 frame is cut short.')
  }
}
