// Which versions of a schema must be able to read which, and which pairs cannot.

import { parseAvroType, resolverFor } from '../../core/wire/avro-type.ts'
import { SUBJECTS } from '../../core/wire/schema-registry.ts'
import type { RegisteredSchema, Subject } from '../../core/wire/schema-registry.ts'
import { SluiceError } from '../../core/errors.ts'

/**
 * BACKWARD_TRANSITIVE: each version reads all older ones, so a log can always be replayed.
 * FULL_TRANSITIVE: each version also reads all newer ones, so that subscribers may upgrade when they like.
 */
export const COMPATIBILITY_MODES = ['BACKWARD_TRANSITIVE', 'FULL_TRANSITIVE'] as const
export type CompatibilityMode = (typeof COMPATIBILITY_MODES)[number]

export type CompatibilityModes = Readonly<Record<Subject, CompatibilityMode>>

/** A pair that must be readable and is not. */
export interface Incompatibility {
  readonly subject: Subject
  readonly readerVersion: number
  readonly writerVersion: number
  /** avsc's reason, as a sentence. */
  readonly problem: string
}

/**
 * Checks the parsed compatibility.json.
 * @throws SluiceError SLUICE_CONFIG_INVALID naming the subject, its value and what to do.
 */
export function parseCompatibilityModes(json: unknown): CompatibilityModes {
  const given = typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {}
  const stranger = Object.keys(given).find((name) => !SUBJECTS.some((subject) => subject === name))
  if (stranger !== undefined) throw invalid(stranger, 'is no subject')
  const modes = SUBJECTS.map((subject) => {
    const mode = COMPATIBILITY_MODES.find((name) => name === given[subject])
    if (mode === undefined) throw invalid(subject, `has mode "${String(given[subject])}"`)
    return [subject, mode] as const
  })
  return Object.fromEntries(modes) as CompatibilityModes
}

/** Every pair of versions of a subject that its mode asks for and that cannot be read. */
export function findIncompatibilities(
  schemas: readonly RegisteredSchema[],
  modes: CompatibilityModes,
): readonly Incompatibility[] {
  return schemas.flatMap((reader) =>
    schemas
      .filter((writer) => mustRead(reader, writer, modes[reader.subject]))
      .flatMap((writer) => {
        const problem = problemOf(reader, writer)
        return problem === null
          ? []
          : {
              subject: reader.subject,
              readerVersion: reader.version,
              writerVersion: writer.version,
              problem,
            }
      }),
  )
}

function mustRead(
  reader: RegisteredSchema,
  writer: RegisteredSchema,
  mode: CompatibilityMode,
): boolean {
  if (reader.subject !== writer.subject) return false
  return mode === 'FULL_TRANSITIVE' || writer.version <= reader.version
}

function problemOf(reader: RegisteredSchema, writer: RegisteredSchema): string | null {
  const name = `${writer.subject} v${writer.version}`
  try {
    resolverFor(parseAvroType(reader.schema, name), writer.schema, name)
    return null
  } catch (error) {
    if (error instanceof SluiceError) return error.message
    throw error
  }
}

function invalid(subject: string, what: string): SluiceError {
  return new SluiceError(
    'SLUICE_CONFIG_INVALID',
    `schemas/compatibility.json: "${subject}" ${what}; give each of ${SUBJECTS.join(', ')} one of ` +
      `${COMPATIBILITY_MODES.join(', ')}.`,
  )
}
