// DuckDB, an optional dependency: loaded when a lake is used, with limits on memory and threads.

import { randomUUID } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { DuckDBConnection, DuckDBResult } from '@duckdb/node-api'
import { SluiceError } from '../../core/errors.ts'

export type DuckDb = typeof import('@duckdb/node-api')

const MIB = 1024 * 1024
/** Memory limit of DuckDB; larger operators spill to the temporary folder, if there is one. */
export const MEMORY_BYTES_MAX = 1024 * MIB
const TEMPORARY_BYTES_MAX = 64 * 1024 * MIB
const THREADS = 2

export interface DuckDbSession {
  readonly api: DuckDb
  readonly connection: DuckDBConnection
  /** A further connection, for statements that run concurrently with those of the first. */
  connect(): Promise<DuckDBConnection>
  /** All rows of a statement at once, for small results. */
  rows(sql: string): Promise<readonly (readonly unknown[])[]>
  run(sql: string): Promise<void>
  /** Rows of a statement as a stream. */
  stream(sql: string): Promise<DuckDBResult>
  close(): Promise<void>
}

/** @throws SluiceError SLUICE_PREREQUISITE_MISSING when the package is missing or does not load. */
export async function loadDuckDb(
  load: () => Promise<DuckDb> = () => import('@duckdb/node-api'),
): Promise<DuckDb> {
  try {
    return await load()
  } catch (error) {
    throw new SluiceError(
      'SLUICE_PREREQUISITE_MISSING',
      `The lake needs DuckDB, which cannot be loaded (${error instanceof Error ? error.message : String(error)}); ` +
        'install it with "npm ci --include=optional". It has libraries for Linux, macOS and Windows on x64 and arm64.',
      { cause: error },
    )
  }
}

/** An in-memory database. `temporaryFolder` is created on demand and removed on close; null disables spilling. */
export async function openDuckDb(temporaryFolder: string | null): Promise<DuckDbSession> {
  const api = await loadDuckDb()
  const instance = await api.DuckDBInstance.create(':memory:', {
    memory_limit: `${MEMORY_BYTES_MAX / MIB}MiB`,
    threads: String(THREADS),
    temp_directory: temporaryFolder ?? '',
    ...(temporaryFolder === null
      ? {}
      : { max_temp_directory_size: `${TEMPORARY_BYTES_MAX / MIB}MiB` }),
    autoinstall_known_extensions: 'false',
    autoload_known_extensions: 'false',
  })
  const connection = await instance.connect()
  await connection.run("SET TimeZone = 'UTC'")
  return {
    api,
    connection,
    connect: () => instance.connect(),
    rows: async (sql) => (await connection.runAndReadAll(sql)).getRows(),
    run: async (sql) => {
      await connection.run(sql)
    },
    stream: (sql) => connection.stream(sql),
    async close() {
      connection.closeSync()
      instance.closeSync()
      if (temporaryFolder !== null) await rm(temporaryFolder, { recursive: true, force: true })
    },
  }
}

/** A unique path for DuckDB's temporary files. */
export function temporaryFolder(parent: string = tmpdir()): string {
  return join(parent, `duckdb-${randomUUID()}`)
}

/** The message of a DuckDB error on one line; null for any other error. */
export function duckDbProblem(error: unknown): string | null {
  if (error instanceof SluiceError || !(error instanceof Error)) return null
  const [line = ''] = error.message.split('\n\n')
  const problem = line.replace('Failed to extract statements: ', '').replaceAll(/\s+/g, ' ').trim()
  return /^(?:[A-Za-z-]+ )*[A-Za-z-]+ (?:Error|Exception):/.test(problem) ? problem : null
}

/** A text as an SQL literal. */
export function sqlText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}

/** A name as an SQL identifier. */
export function sqlName(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}
