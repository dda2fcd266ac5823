// The schema registry that needs no server: schemas/ and its registry.json.

import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { SluiceError } from '../../core/errors.ts'
import type {
  RegisteredSchema,
  RegistryContent,
  SchemaRegistry,
} from '../../core/wire/schema-registry.ts'
import { REGISTRY_FILE, fingerprintOf, parseRegistryFile, schemaFolder } from './registry-file.ts'

/** Reads released schemas and their ids from a folder, and refuses files that were changed since. */
export class FileRegistry implements SchemaRegistry {
  readonly #folder: string

  /** `folder` is schemas/ of this installation unless given. */
  constructor(folder: string = schemaFolder()) {
    this.#folder = folder
  }

  /**
   * @throws SluiceError SLUICE_CONFIG_INVALID when registry.json is wrong, SLUICE_SCHEMA_UNKNOWN when a
   * file is missing, SLUICE_SCHEMA_INCOMPATIBLE when a released file was changed.
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

  /** Always null: what the folder has, `load` has given. */
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
    `schemas/${file} was changed after its release; restore it and make a new version instead.`,
    { details: { file, expected, found } },
  )
}
