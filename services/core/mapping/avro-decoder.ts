// Decodes Avro by the schema that wrote it, so that a mapping follows the evolution of a schema by the names of its fields.
// Lengths are checked before anything is allocated, as for our own messages.

import avro from 'avsc'
import { type AvroResult, messageOf, parseAvroType } from '../wire/codec.ts'
import { createBoundedWalk } from '../wire/bounded-walk.ts'
import { SluiceError } from '../errors.ts'
import { MappingRefusal } from './mapping-refusal.ts'

/** Items of all arrays and maps of a message together. */
const ITEMS_MAX = 65_536
const LONG_BYTES = 8

/** Decodes the bytes of a message from an offset on. @throws MappingRefusal */
export type DecodeBytes = (value: Buffer, from: number) => unknown

type Json = Readonly<Record<string, unknown>>

/**
 * Compiles a schema; `references` are the named types that it does not define itself. @throws SluiceError
 * SLUICE_SCHEMA_INCOMPATIBLE when it is no valid Avro
 */
export function avroDecoder(
  name: string,
  text: string,
  references: readonly string[],
): DecodeBytes {
  const schema = inlined(parsedSchema(name, text), definitionsOf(name, references))
  const walk = createBoundedWalk(schema, ITEMS_MAX, true)
  const type = parseAvroType(schema, name, {
    registry: { long: EXACT_LONG },
    logicalTypes: LOGICAL_TYPES,
  })
  return (value, from) => {
    const fault = walk.check(value, from)
    if (fault !== null)
      throw new MappingRefusal('malformed', fault.field || null, 'is no such Avro')
    try {
      const decoded: AvroResult = type.decode(value, from)
      if (decoded.offset === value.length) return decoded.value
    } catch {
      // Reported below: a number that is no value of its logical type, for example.
    }
    throw new MappingRefusal('malformed', null, 'is no such Avro')
  }
}

function parsedSchema(name: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw new SluiceError(
      'SLUICE_SCHEMA_INCOMPATIBLE',
      `The schema of ${name} is no JSON (${messageOf(error)}); correct it.`,
      { cause: error },
    )
  }
}

/** A long that a double cannot represent is a text of its digits. */
const EXACT_LONG = avro.types.LongType.__with({
  fromBuffer(bytes: Buffer) {
    const value = bytes.subarray(0, LONG_BYTES).readBigInt64LE()
    const number = Number(value)
    return Number.isSafeInteger(number) ? number : String(value)
  },
  toBuffer: () => Buffer.alloc(LONG_BYTES),
  fromJSON: Number,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'number' || typeof value === 'string',
  compare: (a: number, b: number) => Math.sign(a - b),
})

class Decimal extends avro.types.LogicalType {
  readonly #scale: number

  constructor(schema: Json, options: unknown) {
    super(schema as never, options)
    const { scale } = schema
    this.#scale = typeof scale === 'number' ? scale : 0
  }

  /** Two's complement, big-endian, as decimal text. */
  override _fromValue(bytes: Buffer): string {
    const hex = bytes.toString('hex')
    let value = hex === '' ? 0n : BigInt(`0x${hex}`)
    if (((bytes[0] ?? 0) & 0x80) !== 0) value -= 1n << BigInt(8 * bytes.length)
    const sign = value < 0n ? '-' : ''
    const digits = String(value < 0n ? -value : value).padStart(this.#scale + 1, '0')
    if (this.#scale === 0) return sign + digits
    return `${sign}${digits.slice(0, -this.#scale)}.${digits.slice(-this.#scale)}`
  }

  override _toValue(): Buffer {
    return Buffer.alloc(0)
  }
}

class Day extends avro.types.LogicalType {
  override _fromValue(days: number): string {
    return new Date(days * 86_400_000).toISOString().slice(0, 10)
  }

  override _toValue(): number {
    return 0
  }
}

const LOGICAL_TYPES = { decimal: Decimal, date: Day } as unknown as NonNullable<
  avro.ForSchemaOptions['logicalTypes']
>

/** Named types of other schemas, by their full names. */
function definitionsOf(name: string, references: readonly string[]): Map<string, Json> {
  const definitions = new Map<string, Json>()
  for (const text of references) {
    const schema = parsedSchema(name, text)
    if (typeof schema !== 'object' || schema === null) continue
    const named = schema as Json
    definitions.set(fullNameOf(named, ''), named)
  }
  return definitions
}

function fullNameOf({ name, namespace }: Json, outer: string): string {
  const own = typeof name === 'string' ? name : ''
  if (own.includes('.')) return own
  const space = typeof namespace === 'string' ? namespace : outer
  return space === '' ? own : `${space}.${own}`
}

/** The schema with the first use of each foreign type replaced by its definition. */
function inlined(schema: unknown, definitions: Map<string, Json>, space = ''): unknown {
  if (typeof schema === 'string') {
    const full = schema.includes('.') || space === '' ? schema : `${space}.${schema}`
    const found = definitions.get(full)
    if (found === undefined) return schema
    definitions.delete(full)
    const inner = full.includes('.') ? full.slice(0, full.lastIndexOf('.')) : ''
    return inlined({ ...found, namespace: inner }, definitions, inner)
  }
  if (Array.isArray(schema)) return schema.map((part: unknown) => inlined(part, definitions, space))
  if (typeof schema !== 'object' || schema === null) return schema
  const own = schema as Json
  const full = fullNameOf(own, space)
  const inner = full.includes('.') ? full.slice(0, full.lastIndexOf('.')) : space
  return Object.fromEntries(
    Object.entries(own).map(([key, value]) => {
      if (key === 'type' || key === 'items' || key === 'values')
        return [key, inlined(value, definitions, inner)]
      if (key !== 'fields' || !Array.isArray(value)) return [key, value]
      return [key, value.map((field: Json) => inlined(field, definitions, inner))]
    }),
  )
}
