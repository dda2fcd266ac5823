// Compiles an Avro schema into a flat program of integers, which bounded-walk.ts runs over message bytes.
//
// Each instruction is an operation code followed by its operands. Records are laid out inline; a union
// jumps to the code of the branch that was written; the items of arrays and maps, and named types that
// are used more than once, are subroutines that end in RETURN. Every instruction remembers which field
// it belongs to, so that a fault can be named.

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
