// One codec per subject: encodes values into framed bytes and decodes every version of the subject. Framing is
// Confluent's: a zero byte, the schema id as four big-endian bytes, the Avro binary. Encoding writes the newest
// version. Decoding never throws: invalid bytes give a reason from the closed list. A bounded walk checks lengths
// before avsc allocates anything.

import avro from 'avsc'
import { SluiceError } from '../errors.ts'
import type { Decoded, RejectReason } from '../dead-letters.ts'
import { type BoundedWalk, createBoundedWalk } from './bounded-walk.ts'
import type { RegisteredSchema, Subject } from './schema-registry.ts'

/** Bytes before the Avro binary. */
export const FRAME_HEADER_BYTES = 5

/** Returned by `frameSchemaId` for bytes that are not framed. Real ids are never negative. */
export const NOT_FRAMED = -1

/** The schema id of a framed message, or NOT_FRAMED. Reads five bytes, allocates nothing. */
export function frameSchemaId(bytes: Uint8Array): number {
  if (bytes.length < FRAME_HEADER_BYTES || bytes[0] !== 0) return NOT_FRAMED
  const high = ((bytes[1] ?? 0) << 8) | (bytes[2] ?? 0)
  const low = ((bytes[3] ?? 0) << 8) | (bytes[4] ?? 0)
  // Registries give out signed 32-bit ids, so the top bit is never set in a real frame.
  return high >= 0x8000 ? NOT_FRAMED : high * 0x10000 + low
}

/** Writes the header for `schemaId` (0 to 2^31 - 1) at the start of `target`. */
export function writeFrameHeader(target: Uint8Array, schemaId: number): void {
  target[0] = 0
  target[1] = schemaId >>> 24
  target[2] = schemaId >>> 16
  target[3] = schemaId >>> 8
  target[4] = schemaId
}

/** A parsed schema that encodes and decodes. */
export type AvroType = avro.Type

/** How values of a schema are decoded. */
export type AvroOptions = Pick<Partial<avro.ForSchemaOptions>, 'registry' | 'logicalTypes'>

/** Reads what an older or foreign schema wrote as values of a newer one. */
export type AvroResolver = ReturnType<AvroType['createResolver']>

/** A decoded value and where its bytes end. */
export interface AvroResult {
  readonly value: unknown
  readonly offset: number
}

/** The parts of avsc's types that hold other types. */
interface TypeParts {
  readonly recordConstructor?: { prototype: object }
  readonly fields?: readonly { readonly type: AvroType }[]
  readonly itemsType?: AvroType
  readonly valuesType?: AvroType
  readonly types?: readonly AvroType[]
}

/**
 * Parses a schema.
 * @throws SluiceError SLUICE_SCHEMA_INCOMPATIBLE when it is not valid Avro.
 */
export function parseAvroType(schema: unknown, name: string, options: AvroOptions = {}): AvroType {
  try {
    const type = avro.Type.forSchema(schema as avro.Schema, { omitRecordMethods: true, ...options })
    makeRecordsPlain(type, new Set())
    return type
  } catch (error) {
    throw new SluiceError(
      'SLUICE_SCHEMA_INCOMPATIBLE',
      `The schema of "${name}" is not valid Avro (${messageOf(error)}); correct the .avsc file.`,
      { cause: error },
    )
  }
}

/**
 * Resolver that reads values of `writerSchema` as `reader`.
 * @throws SluiceError SLUICE_SCHEMA_INCOMPATIBLE when they cannot be, with avsc's reason.
 */
export function resolverFor(reader: AvroType, writerSchema: unknown, name: string): AvroResolver {
  const writer = parseAvroType(writerSchema, name)
  try {
    return reader.createResolver(writer)
  } catch (error) {
    throw new SluiceError(
      'SLUICE_SCHEMA_INCOMPATIBLE',
      `What "${name}" wrote cannot be read (${messageOf(error)}); make the schemas compatible.`,
      { cause: error },
    )
  }
}

/** The message of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

// avsc gives each record its own constructor. Decoded values are compared, spread and printed like any others, so the
// constructors are changed to create objects with the ordinary prototype.
function makeRecordsPlain(type: AvroType, seen: Set<AvroType>): void {
  if (seen.has(type)) return
  seen.add(type)
  const parts: TypeParts = type as unknown as TypeParts
  if (parts.recordConstructor !== undefined) parts.recordConstructor.prototype = Object.prototype
  for (const field of parts.fields ?? []) makeRecordsPlain(field.type, seen)
  for (const branch of parts.types ?? []) makeRecordsPlain(branch, seen)
  if (parts.itemsType !== undefined) makeRecordsPlain(parts.itemsType, seen)
  if (parts.valuesType !== undefined) makeRecordsPlain(parts.valuesType, seen)
}

/** Values of one subject to framed Avro and back. */
export interface Codec<Value> {
  readonly subject: Subject
  /** Id of the version that `encode` writes. */
  readonly schemaId: number
  /** Largest message, header included, bytes. */
  readonly messageBytesMax: number
  /**
   * The framed message, in its own memory. Checks the schema and the size, not the further checks of `decode`. @throws
   * SluiceError SLUICE_INPUT_INVALID when the value does not fit the schema or the limit.
   */
  encode(value: Value): Buffer
  /** Never throws. Null bytes (a tombstone) are rejected as `empty`. */
  decode(bytes: Uint8Array | null): Decoded<Value>
  /** True when messages with this schema id are of this subject. */
  reads(schemaId: number): boolean
  /**
   * Also reads messages written with this schema.
   * @throws SluiceError SLUICE_SCHEMA_INCOMPATIBLE when it cannot be read as the newest version.
   */
  learn(schemaId: number, schema: unknown): void
}

/** Facts about its subject that a codec needs beyond the schemas. */
export interface CodecOptions<Value> {
  readonly subject: Subject
  readonly messageBytesMax: number
  /** Items of all arrays and maps of a message together. */
  readonly itemsMax: number
  /** Checks beyond the schema. */
  readonly validate: (value: Value) => Decoded<Value>
}

interface Reader {
  readonly walk: BoundedWalk
  /** Undefined for the newest version, which needs none. */
  readonly resolver: AvroResolver | undefined
}

const SCRATCH_BYTES = 1024

/**
 * Creates the codec of one subject from all its versions. `knownIds` has the ids of all subjects: a known id of another
 * subject is rejected as `unexpected_schema`, any other as `unknown_schema`. @throws SluiceError SLUICE_SCHEMA_UNKNOWN
 * without any version, SLUICE_SCHEMA_INCOMPATIBLE when an older version cannot be read as the newest.
 */
export function createCodec<Value>(
  versions: readonly RegisteredSchema[],
  knownIds: ReadonlySet<number>,
  options: CodecOptions<Value>,
): Codec<Value> {
  const { subject, messageBytesMax, itemsMax, validate } = options
  const newest = newestOf(versions, subject)
  const type = parseAvroType(newest.schema, subject)
  const readers = new Map<number, Reader>()

  const learn = (schemaId: number, schema: unknown): void => {
    const resolver =
      schemaId === newest.id ? undefined : resolverFor(type, schema, `schema ${schemaId}`)
    readers.set(schemaId, { walk: createBoundedWalk(schema, itemsMax), resolver })
  }
  for (const version of versions) learn(version.id, version.schema)

  return {
    subject,
    schemaId: newest.id,
    messageBytesMax,
    reads: (schemaId) => readers.has(schemaId),
    learn,
    encode: createEncoder(type, newest.id, subject, messageBytesMax),
    decode(bytes) {
      if (bytes === null || bytes.length === 0) return reject('empty', null)
      if (bytes.length > messageBytesMax) return reject('too_large', null)
      const schemaId = frameSchemaId(bytes)
      if (schemaId === NOT_FRAMED) return reject('not_framed', null)
      const reader = readers.get(schemaId)
      if (reader === undefined)
        return reject(knownIds.has(schemaId) ? 'unexpected_schema' : 'unknown_schema', null)
      const fault = reader.walk.check(bytes, FRAME_HEADER_BYTES)
      if (fault !== null) return reject('malformed', fault.field === '' ? null : fault.field)
      const value = read(type, reader, bytes)
      return value === undefined ? reject('malformed', null) : validate(value as Value)
    },
  }
}

function read(type: AvroType, reader: Reader, bytes: Uint8Array): unknown {
  const buffer = Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  try {
    const result: AvroResult = type.decode(buffer, FRAME_HEADER_BYTES, reader.resolver)
    return result.offset === bytes.length ? result.value : undefined
  } catch {
    // The walk accepts nothing that avsc refuses, except when an older schema is resolved, such as an enum symbol
    // without counterpart. Either way the message is malformed, and the caller reports that.
    return undefined
  }
}

function createEncoder(
  type: AvroType,
  schemaId: number,
  subject: Subject,
  messageBytesMax: number,
): (value: unknown) => Buffer {
  let scratch = Buffer.alloc(SCRATCH_BYTES)
  return (value) => {
    let end = encodeInto(type, value, scratch, subject)
    if (end < 0) {
      // A negative result is the number of bytes that were missing.
      const neededBytes = scratch.length - end
      if (neededBytes > messageBytesMax) throw tooLarge(subject, neededBytes, messageBytesMax)
      scratch = Buffer.alloc(Math.min(2 * neededBytes, messageBytesMax))
      end = encodeInto(type, value, scratch, subject)
    }
    const framed = Buffer.allocUnsafe(end)
    scratch.copy(framed, 0, 0, end)
    writeFrameHeader(framed, schemaId)
    return framed
  }
}

function encodeInto(type: AvroType, value: unknown, target: Buffer, subject: Subject): number {
  try {
    return type.encode(value, target, FRAME_HEADER_BYTES)
  } catch (error) {
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `A ${subject} does not fit its schema (${messageOf(error)}); correct the value.`,
      { cause: error },
    )
  }
}

function newestOf(versions: readonly RegisteredSchema[], subject: Subject): RegisteredSchema {
  const newest = versions.toSorted((a, b) => b.version - a.version)[0]
  if (newest !== undefined) return newest
  throw new SluiceError(
    'SLUICE_SCHEMA_UNKNOWN',
    `The registry has no schema for "${subject}"; register the ones in schemas/${subject}.`,
  )
}

function tooLarge(subject: Subject, sizeBytes: number, messageBytesMax: number): SluiceError {
  return new SluiceError(
    'SLUICE_INPUT_INVALID',
    `A ${subject} takes ${sizeBytes} bytes, more than ${messageBytesMax}; make it smaller.`,
  )
}

function reject(reason: RejectReason, field: string | null): Decoded<never> {
  return { ok: false, reason, field }
}
