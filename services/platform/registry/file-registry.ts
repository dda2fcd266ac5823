// The schema registry without a server: the folder schemas/ and its registry.json, which holds the id of each released
// schema file and a fingerprint that detects changes.

import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { SluiceError } from '../../core/errors.ts'
import {
  type RegisteredSchema,
  type RegistryContent,
  type SchemaRegistry,
  type Subject,
  SUBJECTS,
} from '../../core/wire/schema-registry.ts'

/** Reads released schemas and their ids from a folder, and refuses files changed after their release. */
export class FileRegistry implements SchemaRegistry {
  readonly #folder: string

  /** @param folder schemas/ of this installation by default. */
  constructor(folder: string = schemaFolder()) {
    this.#folder = folder
  }

  /**
   * @throws SluiceError SLUICE_CONFIG_INVALID when registry.json is invalid, SLUICE_SCHEMA_UNKNOWN when a file is
   * missing, SLUICE_SCHEMA_INCOMPATIBLE when a released file was changed.
   */
  async load(): Promise<RegistryContent> {
    const entries = parseRegistryFile(await readJson(join(this.#folder, REGISTRY_FILE)))
    const schemas = await Promise.all(
      entries.map(async (entry): Promise<RegisteredSchema> => {
        const schema = await readJson(join(this.#folder, entry.file))
        const found = fingerprintOf(schema)
        if (found !== entry.fingerprint) throw changed(entry.file, entry.fingerprint, found)
        return { id: entry.id, subject: entry.subject, version: entry.version, schema }
      }),
    )
    return { schemas }
  }

  /** Always null: `load` returns every schema of the folder. */
  fetchSchema(): Promise<unknown> {
    return Promise.resolve(null)
  }
}

async function readJson(path: string): Promise<unknown> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new SluiceError(
      'SLUICE_SCHEMA_UNKNOWN',
      `Cannot read ${path}; restore it, or correct schemas/${REGISTRY_FILE}.`,
      { cause: error },
    )
  }
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new SluiceError('SLUICE_CONFIG_INVALID', `${path} is not valid JSON; restore it.`, {
      cause: error,
    })
  }
}

function changed(file: string, expected: string, found: string): SluiceError {
  return new SluiceError(
    'SLUICE_SCHEMA_INCOMPATIBLE',
    `schemas/${file} was changed after its release; restore it, and add a new version instead.`,
    { details: { file, expected, found } },
  )
}

/** One line of registry.json. */
export interface RegistryEntry {
  readonly id: number
  readonly subject: Subject
  readonly version: number
  /** Path within schemas/, with forward slashes. */
  readonly file: string
  /** SHA-256 of the canonical form, hex. */
  readonly fingerprint: string
}

export const REGISTRY_FILE = 'registry.json'

const FOLDERS_UP_MAX = 8
const SCHEMA_ID_MAX = 2 ** 31 - 1

/**
 * SHA-256, hex, of a schema's canonical form: its JSON without white space and with sorted keys. Unlike Avro's parsing
 * canonical form it includes defaults and docs: defaults determine how old messages are read, and docs define the
 * meaning of a field. So any change to a released file is detected.
 */
export function fingerprintOf(schema: unknown): string {
  return createHash('sha256')
    .update(JSON.stringify(sortKeys(schema)))
    .digest('hex')
}

/**
 * Checks the parsed registry.json.
 * @throws SluiceError SLUICE_CONFIG_INVALID naming the entry, its value and what to do.
 */
export function parseRegistryFile(json: unknown): readonly RegistryEntry[] {
  const entries = isObject(json) ? json['schemas'] : undefined
  if (!Array.isArray(entries)) throw invalid('"schemas" is not a list')
  const parsed = entries.map((entry: unknown, index) => parseEntry(entry, index))
  const ids = new Set<number>()
  const versions = new Set<string>()
  for (const { id, subject, version } of parsed) {
    if (ids.has(id)) throw invalid(`id ${id} is given twice`)
    ids.add(id)
    const name = `${subject} v${version}`
    if (versions.has(name)) throw invalid(`${name} is listed twice`)
    versions.add(name)
  }
  return parsed
}

/**
 * The schemas/ folder of this installation, found upwards from this file, which runs from the sources and from dist/.
 * @throws SluiceError SLUICE_SCHEMA_UNKNOWN when there is none.
 */
export function schemaFolder(): string {
  let folder = import.meta.dirname
  for (let level = 0; level < FOLDERS_UP_MAX; level += 1) {
    const candidate = join(folder, 'schemas')
    if (existsSync(join(candidate, REGISTRY_FILE))) return candidate
    folder = dirname(folder)
  }
  throw new SluiceError(
    'SLUICE_SCHEMA_UNKNOWN',
    `No schemas/${REGISTRY_FILE} above ${import.meta.dirname}; restore the schemas folder.`,
  )
}

function parseEntry(entry: unknown, index: number): RegistryEntry {
  if (!isObject(entry)) throw invalid(`entry ${index} is not an object`)
  const subject = SUBJECTS.find((name) => name === entry['subject'])
  if (subject === undefined)
    throw invalid(`entry ${index} has subject "${String(entry['subject'])}"`)
  const { id, version, file, fingerprint } = entry
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 1 || id > SCHEMA_ID_MAX)
    throw invalid(`entry ${index} has id "${String(id)}", not 1 to ${SCHEMA_ID_MAX}`)
  if (typeof version !== 'number' || !Number.isInteger(version) || version < 1)
    throw invalid(`entry ${index} has version "${String(version)}", not 1, 2, 3...`)
  if (file !== `${subject}/v${version}.avsc`)
    throw invalid(`entry ${index} has file "${String(file)}", not ${subject}/v${version}.avsc`)
  if (typeof fingerprint !== 'string') throw invalid(`entry ${index} has no fingerprint`)
  return { id, subject, version, file, fingerprint }
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.keys(value)
      .toSorted()
      .map((key) => [key, sortKeys(value[key])]),
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(what: string): SluiceError {
  return new SluiceError(
    'SLUICE_CONFIG_INVALID',
    `schemas/${REGISTRY_FILE}: ${what}; rewrite it with "sluice schemas write".`,
  )
}
