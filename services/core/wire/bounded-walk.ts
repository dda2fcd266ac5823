// Checks the bytes of an Avro message against its schema before anything is allocated for it.
//
// An Avro message of eight bytes can claim an array of 2^30 items, and a decoder that believes it is
// dead. The walk reads every length, count, index and number, compares it with the bytes that are left,
// and allocates nothing per item. Bytes that pass can be decoded with work and memory in proportion to
// their length, and to `itemsMax`.
//
// This is on the hot path: one flat loop over integers, no closures and no objects per message.

import {
  OP_ARRAY,
  OP_BOOLEAN,
  OP_BYTES,
  OP_CALL,
  OP_ENUM,
  OP_INT,
  OP_JUMP,
  OP_LONG,
  OP_MAP,
  OP_RETURN,
  OP_SKIP,
  OP_UNION,
  compileWalkProgram,
} from './walk-program.ts'

/** Arrays within arrays, and recursive types, may nest this deep. */
export const WALK_DEPTH_MAX = 32

/** A varint longer than this is refused, padded or not. */
const VARINT_BYTES_MAX = 10

/** The largest long that avsc reads: it keeps one below the safe integers. */
const LONG_MAX = 9_007_199_254_740_990

/** The smallest long that avsc reads right, -2^52: beyond it the zigzag form is rounded and loses its sign. */
const LONG_MIN = -4_503_599_627_370_496

/** Where and why bytes do not fit their schema. */
export interface WalkFault {
  /** Bytes from the start of the message. */
  readonly positionBytes: number
  /** Path of the field being read; empty for the message as a whole. */
  readonly field: string
}

/** Checks messages of one schema. Not reentrant; one at a time. */
export interface BoundedWalk {
  /** Null when the bytes from `startBytes` to the end are exactly one value; else the fault. */
  check(bytes: Uint8Array, startBytes: number): WalkFault | null
}

/**
 * Compiles the check for one schema. `itemsMax` bounds the items of all arrays and maps of a message
 * together, those that take no bytes included.
 * @throws SluiceError SLUICE_SCHEMA_INCOMPATIBLE when the schema is not valid Avro.
 */
export function createBoundedWalk(schema: unknown, itemsMax: number): BoundedWalk {
  const { code, fields } = compileWalkProgram(schema)
  const walker = new Walker(code, itemsMax)
  return {
    check(bytes, startBytes) {
      if (walker.walk(bytes, startBytes)) return null
      return {
        positionBytes: Math.min(walker.position, bytes.length),
        field: fields[walker.faultAddress] ?? '',
      }
    },
  }
}

class Walker {
  /** Bytes read so far; after a fault, roughly where it is. */
  position = 0
  faultAddress = 0
  readonly #code: Int32Array
  readonly #itemsMax: number
  #bytes: Uint8Array = new Uint8Array(0)
  #itemCount = 0
  /** Result of the last `#readLong` that returned true. */
  #long = 0

  constructor(code: Int32Array, itemsMax: number) {
    this.#code = code
    this.#itemsMax = itemsMax
  }

  walk(bytes: Uint8Array, startBytes: number): boolean {
    this.#bytes = bytes
    this.position = startBytes
    this.#itemCount = 0
    if (!this.#run(0, 0)) return false
    this.faultAddress = this.#code.length - 1
    return this.position === bytes.length
  }

  #run(start: number, depth: number): boolean {
    const code = this.#code
    let address = start
    for (;;) {
      const operand = code[address + 1] ?? 0
      switch (code[address] ?? OP_RETURN) {
        case OP_BYTES:
          if (!this.#readLong() || this.#long < 0) return this.#fault(address)
          this.position += this.#long
          if (this.position > this.#bytes.length) return this.#fault(address)
          address += 1
          break
        case OP_UNION: {
          if (!this.#readLong() || this.#long < 0 || this.#long >= operand)
            return this.#fault(address)
          address = code[address + 2 + this.#long] ?? 0
          break
        }
        case OP_JUMP:
          address = operand
          break
        case OP_LONG:
          if (!this.#readLong()) return this.#fault(address)
          address += 1
          break
        case OP_INT:
          if (!this.#readLong() || this.#long !== (this.#long | 0)) return this.#fault(address)
          address += 1
          break
        case OP_SKIP:
          this.position += operand
          if (this.position > this.#bytes.length) return this.#fault(address)
          address += 2
          break
        case OP_ENUM:
          if (!this.#readLong() || this.#long < 0 || this.#long >= operand)
            return this.#fault(address)
          address += 2
          break
        case OP_BOOLEAN:
          // Undefined past the end, so this also sees a message that is cut short.
          if ((this.#bytes[this.position] ?? 2) > 1) return this.#fault(address)
          this.position += 1
          address += 1
          break
        case OP_ARRAY:
        case OP_MAP:
          if (!this.#walkBlocks(address, depth)) return false
          address += 3
          break
        case OP_CALL:
          if (depth >= WALK_DEPTH_MAX) return this.#fault(address)
          if (!this.#run(operand, depth + 1)) return false
          address += 2
          break
        case OP_RETURN:
          return true
      }
    }
  }

  /** The blocks of one array or map, each a count, perhaps a size in bytes, and the items. */
  #walkBlocks(address: number, depth: number): boolean {
    const isMap = this.#code[address] === OP_MAP
    const itemBytesMin = this.#code[address + 1] ?? 0
    const body = this.#code[address + 2] ?? 0
    if (depth >= WALK_DEPTH_MAX) return this.#fault(address)
    for (;;) {
      if (!this.#readLong()) return this.#fault(address)
      if (this.#long === 0) return true
      const isSized = this.#long < 0
      const count = Math.abs(this.#long)
      this.#itemCount += count
      if (this.#itemCount > this.#itemsMax) return this.#fault(address)
      let sizeBytes = -1
      if (isSized) {
        if (!this.#readLong() || this.#long < 0) return this.#fault(address)
        sizeBytes = this.#long
      }
      const start = this.position
      if (count * itemBytesMin > this.#bytes.length - start) return this.#fault(address)
      for (let index = 0; index < count; index += 1) {
        if (isMap && !this.#skipKey()) return this.#fault(address)
        if (!this.#run(body, depth + 1)) return false
      }
      // A reader that skips this field trusts the size, so it must be true.
      if (isSized && this.position - start !== sizeBytes) return this.#fault(address)
    }
  }

  #skipKey(): boolean {
    if (!this.#readLong() || this.#long < 0) return false
    this.position += this.#long
    return this.position <= this.#bytes.length
  }

  /** Reads a zigzag varint into `#long`. False when it is cut short, too long or out of range. */
  #readLong(): boolean {
    const bytes = this.#bytes
    let position = this.position
    // Past the end the byte is undefined, and 0x80 stands for it: "goes on", then caught below.
    let byte = bytes[position++] ?? 0x80
    let low = byte & 0x7f
    for (let shift = 7; byte >= 0x80 && shift < 28; shift += 7) {
      byte = bytes[position++] ?? 0x80
      low |= (byte & 0x7f) << shift
    }
    let high = 0
    if (byte >= 0x80) {
      const end = this.position + VARINT_BYTES_MAX
      let scale = 1
      do {
        byte = bytes[position++] ?? 0x80
        high += (byte & 0x7f) * scale
        scale *= 128
      } while (byte >= 0x80 && position < end)
      if (byte >= 0x80) return false
    }
    if (position > bytes.length) return false
    this.position = position
    // Half of high * 2^28 + low; exact while high is below 2^26, and far beyond LONG_MAX otherwise.
    const half = high * 0x8000000 + (low >>> 1)
    this.#long = (low & 1) === 0 ? half : -half - 1
    return this.#long <= LONG_MAX && this.#long >= LONG_MIN
  }

  #fault(address: number): false {
    this.faultAddress = address
    return false
  }
}
