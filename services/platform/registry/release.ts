// Releases schemas: assigns ids in registry.json to new files of schemas/, and refuses incompatible or changed ones.

import { readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SluiceError } from '../../core/errors.ts'
import { parseAvroType, resolverFor } from '../../core/wire/codec.ts'
import { type RegisteredSchema, type Subject, SUBJECTS } from '../../core/wire/schema-registry.ts'
import {
  fingerprintOf,
  parseRegistryFile,
  REGISTRY_FILE,
  type RegistryEntry,
} from './file-registry.ts'

/** The released schemas, and those new in the folder. */
export interface Release {
  readonly entries: readonly RegistryEntry[]
  /** Entries not yet in registry.json. */
  readonly added: readonly RegistryEntry[]
}

const VERSION_FILE = /^v([1-9]\d{0,3})\.avsc$/

/**
 * Reads schemas/, assigns the next ids to new versions, and checks that no released file was changed or removed and that
 * all versions are compatible. Writes nothing.
 * @throws SluiceError SLUICE_SCHEMA_INCOMPATIBLE, SLUICE_SCHEMA_UNKNOWN or SLUICE_CONFIG_INVALID.
 */
export async function planRelease(folder: string): Promise<Release> {
  const released = parseRegistryFile(await readJson(folder, REGISTRY_FILE))
  const modes = parseCompatibilityModes(await readJson(folder, 'compatibility.json'))
  const entries: RegistryEntry[] = []
  const schemas: RegisteredSchema[] = []
  let nextId = Math.max(0, ...released.map((entry) => entry.id)) + 1
  for (const { subject, version } of await listVersions(folder)) {
    const file = `${subject}/v${version}.avsc`
    const schema = await readJson(folder, file)
    const fingerprint = fingerprintOf(schema)
    const known = released.find((entry) => entry.file === file)
    if (known !== undefined && known.fingerprint !== fingerprint) throw changed(file, version)
    const entry = known ?? { id: nextId++, subject, version, file, fingerprint }
    entries.push(entry)
    schemas.push({ id: entry.id, subject, version, schema })
  }
  const lost = released.find((entry) => !entries.includes(entry))
  if (lost !== undefined) throw missing(lost.file)
  const [broken] = findIncompatibilities(schemas, modes)
  if (broken !== undefined)
    throw new SluiceError(
      'SLUICE_SCHEMA_INCOMPATIBLE',
      `${broken.subject} v${broken.readerVersion} must read v${broken.writerVersion} ` +
        `(${modes[broken.subject]}). ${broken.problem}`,
    )
  return { entries, added: entries.filter((entry) => !released.includes(entry)) }
}

/** Writes registry.json with the entries of a release, atomically. */
export async function writeRelease(folder: string, release: Release): Promise<void> {
  const schemas = release.entries.toSorted((a, b) => a.id - b.id)
  const path = join(folder, REGISTRY_FILE)
  await writeFile(`${path}.new`, `${JSON.stringify({ schemas }, null, 2)}\n`)
  await rename(`${path}.new`, path)
}

async function listVersions(
  folder: string,
): Promise<readonly { readonly subject: Subject; readonly version: number }[]> {
  const found = await Promise.all(
    SUBJECTS.map(async (subject) => {
      const names = await readdir(join(folder, subject)).catch(() => [])
      return names
        .map((name) => Number(VERSION_FILE.exec(name)?.[1]))
        .filter((version) => !Number.isNaN(version))
        .toSorted((a, b) => a - b)
        .map((version) => ({ subject, version }))
    }),
  )
  return found.flat()
}

async function readJson(folder: string, file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(join(folder, file), 'utf8'))
  } catch (error) {
    throw new SluiceError(
      'SLUICE_SCHEMA_UNKNOWN',
      `Cannot read schemas/${file} as JSON; restore or correct it.`,
      { cause: error },
    )
  }
}

function changed(file: string, version: number): SluiceError {
  return new SluiceError(
    'SLUICE_SCHEMA_INCOMPATIBLE',
    `schemas/${file} was changed after its release; restore it, and put the change into ` +
      `v${version + 1}.avsc.`,
  )
}

function missing(file: string): SluiceError {
  return new SluiceError(
    'SLUICE_SCHEMA_UNKNOWN',
    `schemas/${file} was released but is missing; restore it, since old messages need it.`,
  )
}

// Compatibility: the pairs of versions that must be readable, and those that are not.

/**
 * BACKWARD_TRANSITIVE: each version reads all older ones, so a log can always be replayed.
 * FULL_TRANSITIVE: each version also reads all newer ones, so subscribers can upgrade at any time.
 */
export const COMPATIBILITY_MODES = ['BACKWARD_TRANSITIVE', 'FULL_TRANSITIVE'] as const
export type CompatibilityMode = (typeof COMPATIBILITY_MODES)[number]

export type CompatibilityModes = Readonly<Record<Subject, CompatibilityMode>>

/** A pair of versions that must be readable and is not. */
export interface Incompatibility {
  readonly subject: Subject
  readonly readerVersion: number
  readonly writerVersion: number
  /** The reason given by avsc, as a sentence. */
  readonly problem: string
}

/**
 * Checks the parsed compatibility.json.
 * @throws SluiceError SLUICE_CONFIG_INVALID naming the subject, its value and the remedy.
 */
export function parseCompatibilityModes(json: unknown): CompatibilityModes {
  const given = typeof json === 'object' && json !== null ? (json as Record<string, unknown>) : {}
  const unknown = Object.keys(given).find((name) => !SUBJECTS.some((subject) => subject === name))
  if (unknown !== undefined) throw invalid(unknown, 'is not a subject')
  const modes = SUBJECTS.map((subject) => {
    const mode = COMPATIBILITY_MODES.find((name) => name === given[subject])
    if (mode === undefined) throw invalid(subject, `has mode "${String(given[subject])}"`)
    return [subject, mode] as const
  })
  return Object.fromEntries(modes) as CompatibilityModes
}

/** All pairs of versions of a subject that its mode requires to be readable and that are not. */
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
