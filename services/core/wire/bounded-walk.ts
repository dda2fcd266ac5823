// Checks the bytes of an Avro message against its schema before anything is allocated for it.
//
// A message of eight bytes can claim an array of 2^30 items and exhaust the memory of a decoder that trusts it. The walk
// reads every length, count, index and number, compares it with the remaining bytes, and allocates nothing per item. Bytes
// that pass decode with work and memory proportional to their length and to `itemsMax`.
//
// The schema is compiled into a flat program of integers: each instruction is an operation code and its operands. Records
// are laid out inline; a union jumps to the code of the written branch; items of arrays and maps, and named types used more
// than once, are subroutines that end in RETURN. Each instruction remembers its field, so that a fault can name it.
//
// Hot path: one flat loop over integers, no closures and no objects per message.

import { SluiceError } from '../errors.ts'

export const OP_RETURN = 0
export const OP_INT = 1
export const OP_LONG = 2
export const OP_BOOLEAN = 3
/** SKIP byteCount: floats, doubles and fixed. */
export const OP_SKIP = 4
/** BYTES: a length and that many bytes; strings too. */
export const OP_BYTES = 5
/** ENUM symbolCount */
export const OP_ENUM = 6
/** UNION branchCount address... */
export const OP_UNION = 7
export const OP_JUMP = 8
/** ARRAY itemBytesMin address */
export const OP_ARRAY = 9
/** MAP entryBytesMin address */
export const OP_MAP = 10
/** CALL address */
export const OP_CALL = 11

/** A compiled schema. `fields[address]` names the field whose bytes the instruction there reads. */
export interface WalkProgram {
  readonly code: Int32Array
  readonly fields: readonly string[]
}

type Json = Readonly<Record<string, unknown>>

const PRIMITIVE_OPS: Readonly<Record<string, readonly number[]>> = {
  null: [],
  boolean: [OP_BOOLEAN],
  int: [OP_INT],
  long: [OP_LONG],
  float: [OP_SKIP, 4],
  double: [OP_SKIP, 8],
  bytes: [OP_BYTES],
  string: [OP_BYTES],
}

const PRIMITIVE_BYTES_MIN: Readonly<Record<string, number>> = {
  null: 0,
  boolean: 1,
  int: 1,
  long: 1,
  float: 4,
  double: 8,
  bytes: 1,
  string: 1,
}

/**
 * Compiles a parsed .avsc.
 * @throws SluiceError SLUICE_SCHEMA_INCOMPATIBLE when the schema is not valid Avro.
 */
export function compileWalkProgram(schema: unknown): WalkProgram {
  const compiler = new Compiler()
  compiler.emitType(schema, '', '')
  compiler.emit([OP_RETURN], '')
  compiler.emitSubroutines()
  return { code: Int32Array.from(compiler.code), fields: compiler.fields }
}

class Compiler {
  readonly code: number[] = []
  readonly fields: string[] = []
  readonly #definitions = new Map<string, { schema: Json; namespace: string }>()
  readonly #subroutines = new Map<string, { address: number; patches: number[] }>()
  readonly #pending: { name: string; field: string }[] = []

  emit(words: readonly number[], field: string): number {
    const address = this.code.length
    for (const word of words) {
      this.code.push(word)
      this.fields.push(field)
    }
    return address
  }

  emitType(schema: unknown, namespace: string, field: string): void {
    if (Array.isArray(schema)) {
      this.#emitUnion(schema, namespace, field)
      return
    }
    if (typeof schema === 'string') {
      const operations = PRIMITIVE_OPS[schema]
      if (operations === undefined) this.#emitCall(fullName(schema, namespace), field)
      else this.emit(operations, field)
      return
    }
    const type = asJson(schema)
    const kind = type['type']
    if (kind === 'record' || kind === 'enum' || kind === 'fixed') {
      this.#define(type, namespace)
      this.#emitNamed(type, namespace, field)
    } else if (kind === 'array') {
      this.#emitItems(OP_ARRAY, type['items'], namespace, field)
    } else if (kind === 'map') {
      this.#emitItems(OP_MAP, type['values'], namespace, field)
    } else {
      this.emitType(kind, namespace, field)
    }
  }

  /** Lays out the named types that were called; each may call more. */
  emitSubroutines(): void {
    for (let next = this.#pending.shift(); next !== undefined; next = this.#pending.shift()) {
      const definition = this.#definitions.get(next.name)
      const subroutine = this.#subroutines.get(next.name)
      if (definition === undefined || subroutine === undefined) {
        throw invalid(`Type "${next.name}" is not defined`)
      }
      subroutine.address = this.code.length
      this.#emitNamed(definition.schema, definition.namespace, next.field)
      this.emit([OP_RETURN], next.field)
    }
    for (const { address, patches } of this.#subroutines.values()) {
      for (const patch of patches) this.code[patch] = address
    }
  }

  #define(type: Json, namespace: string): void {
    const name = fullName(asString(type['name'], 'name'), namespaceOf(type, namespace))
    this.#definitions.set(name, { schema: type, namespace })
  }

  #emitNamed(type: Json, namespace: string, field: string): void {
    if (type['type'] === 'enum') {
      this.emit([OP_ENUM, asArray(type['symbols'], 'symbols').length], field)
      return
    }
    if (type['type'] === 'fixed') {
      this.emit([OP_SKIP, asCount(type['size'])], field)
      return
    }
    const inner = namespaceOf(type, namespace)
    for (const entry of asArray(type['fields'], 'fields')) {
      const { name, type: fieldType } = asJson(entry)
      const label = asString(name, 'name of a field')
      this.emitType(fieldType, inner, field === '' ? label : `${field}.${label}`)
    }
  }

  #emitUnion(branches: readonly unknown[], namespace: string, field: string): void {
    const start = this.emit([OP_UNION, branches.length, ...branches.map(() => 0)], field)
    const exits: number[] = []
    for (const [index, branch] of branches.entries()) {
      this.code[start + 2 + index] = this.code.length
      this.emitType(branch, namespace, field)
      exits.push(this.emit([OP_JUMP, 0], field))
    }
    for (const exit of exits) this.code[exit + 1] = this.code.length
  }

  #emitItems(operation: number, items: unknown, namespace: string, field: string): void {
    const keyBytesMin = operation === OP_MAP ? 1 : 0
    const start = this.emit([operation, 0, 0], field)
    const jump = this.emit([OP_JUMP, 0], field)
    this.code[start + 2] = this.code.length
    this.emitType(items, namespace, `${field}[]`)
    this.emit([OP_RETURN], field)
    this.code[jump + 1] = this.code.length
    this.code[start + 1] = keyBytesMin + this.#bytesMin(items, namespace, new Set())
  }

  #emitCall(name: string, field: string): void {
    const at = this.emit([OP_CALL, 0], field) + 1
    const known = this.#subroutines.get(name)
    if (known !== undefined) {
      known.patches.push(at)
      return
    }
    this.#subroutines.set(name, { address: 0, patches: [at] })
    this.#pending.push({ name, field })
  }

  /** The fewest bytes that a value of this type takes. `open` holds the records being measured. */
  #bytesMin(schema: unknown, namespace: string, open: ReadonlySet<string>): number {
    if (Array.isArray(schema)) {
      return 1 + Math.min(...schema.map((branch) => this.#bytesMin(branch, namespace, open)))
    }
    if (typeof schema === 'string') {
      const primitive = PRIMITIVE_BYTES_MIN[schema]
      if (primitive !== undefined) return primitive
      const name = fullName(schema, namespace)
      const definition = this.#definitions.get(name)
      if (definition === undefined) throw invalid(`Type "${name}" is not defined`)
      return open.has(name) ? 0 : this.#bytesMin(definition.schema, definition.namespace, open)
    }
    const type = asJson(schema)
    switch (type['type']) {
      case 'record': {
        const inner = namespaceOf(type, namespace)
        const opened = new Set(open).add(fullName(asString(type['name'], 'name'), inner))
        return asArray(type['fields'], 'fields').reduce<number>(
          (sum, entry) => sum + this.#bytesMin(asJson(entry)['type'], inner, opened),
          0,
        )
      }
      case 'fixed':
        return asCount(type['size'])
      case 'enum':
      case 'array':
      case 'map':
        return 1
      default:
        return this.#bytesMin(type['type'], namespace, open)
    }
  }
}

function fullName(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`
}

function namespaceOf(type: Json, inherited: string): string {
  const name = asString(type['name'], 'name')
  const dot = name.lastIndexOf('.')
  if (dot > 0) return name.slice(0, dot)
  return typeof type['namespace'] === 'string' ? type['namespace'] : inherited
}

function asJson(value: unknown): Json {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Json
  throw invalid(`"${String(value)}" is no type`)
}

function asString(value: unknown, what: string): string {
  if (typeof value === 'string' && value !== '') return value
  throw invalid(`The ${what} is missing`)
}

function asArray(value: unknown, what: string): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw invalid(`"${what}" is no list`)
}

function asCount(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
  throw invalid(`Size "${String(value)}" is no count of bytes`)
}

function invalid(what: string): SluiceError {
  return new SluiceError(
    'SLUICE_SCHEMA_INCOMPATIBLE',
    `${what}; correct the Avro schema, or register one that is valid.`,
  )
}

/** Arrays within arrays, and recursive types, may nest this deep. */
export const WALK_DEPTH_MAX = 32

/** A varint longer than this is refused, padded or not. */
const VARINT_BYTES_MAX = 10

/** The largest long that avsc reads: it keeps one below the safe integers. */
const LONG_MAX = 9_007_199_254_740_990

/** The smallest long that avsc reads right, -2^52: beyond it the zigzag form is rounded and loses its sign. */
const LONG_MIN = -4_503_599_627_370_496

/** Position and reason of a mismatch between bytes and their schema. */
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
 * together, those that take no bytes included. With `hasWideLongs`, longs may be larger than a double represents.
 * @throws SluiceError SLUICE_SCHEMA_INCOMPATIBLE when the schema is not valid Avro.
 */
export function createBoundedWalk(
  schema: unknown,
  itemsMax: number,
  hasWideLongs = false,
): BoundedWalk {
  const { code, fields } = compileWalkProgram(schema)
  const walker = new Walker(code, itemsMax, hasWideLongs)
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
  readonly #hasWideLongs: boolean
  #bytes: Uint8Array = new Uint8Array(0)
  #itemCount = 0
  /** Result of the last `#readLong` that returned true. */
  #long = 0

  constructor(code: Int32Array, itemsMax: number, hasWideLongs: boolean) {
    this.#hasWideLongs = hasWideLongs
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
        case OP_LONG: {
          const { position } = this
          if (!this.#readLong() && !this.#isWide(position)) return this.#fault(address)
          address += 1
          break
        }
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

  /** True when the last `#readLong`, which began there, read a whole number that only is too large, and that may be. */
  #isWide(start: number): boolean {
    return this.#hasWideLongs && this.position > start
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
