// avsc, wrapped: parsed schemas whose records decode to plain objects, and errors of ours.

import avro from 'avsc'
import { SluiceError } from '../errors.ts'

/** A parsed schema that encodes and decodes. */
export type AvroType = avro.Type

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
export function parseAvroType(schema: unknown, name: string): AvroType {
  try {
    const type = avro.Type.forSchema(schema as avro.Schema, { omitRecordMethods: true })
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
 * How values that `writerSchema` wrote are read as `reader`.
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

/** What went wrong, of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

// avsc gives each record a constructor of its own. Decoded values are compared, spread and printed like
// any others, so the constructors are made to give objects with the ordinary prototype.
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
