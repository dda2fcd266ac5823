// What a lake holds, as views of DuckDB over exactly the files that its log lists at one moment, and nothing else of
// the file system.

import { join } from 'node:path'
import type { LakeState } from '../../core/lake/lake-log.ts'
import { LAKE_COLUMNS, LAKE_TABLES, type LakeTable } from '../../core/lake/lake-tables.ts'
import { noLake, readLakeState } from './commit-log.ts'
import { openDuckDb, sqlName, sqlText, type DuckDbSession } from './duckdb.ts'

/** A lake as of one commit. */
export interface LakeReader {
  readonly folder: string
  readonly state: LakeState
  readonly session: DuckDbSession
  close(): Promise<void>
}

export interface ReaderOptions {
  /** For sorts that do not fit in memory; null for none. */
  readonly temporaryFolder: string | null
  /** Statements come from a person: nothing but the lake's files can be read, and no setting changed. */
  readonly isLocked: boolean
}

/** @throws SluiceError SLUICE_USAGE when there is no lake, SLUICE_LAKE_DAMAGED, SLUICE_PREREQUISITE_MISSING. */
export async function openLakeReader(folder: string, options: ReaderOptions): Promise<LakeReader> {
  const state = await readLakeState(folder)
  if (state.sequence < 0) throw noLake(folder)
  const session = await openDuckDb(options.temporaryFolder)
  try {
    for (const table of LAKE_TABLES) await session.run(viewOf(folder, state, table))
    if (options.isLocked) await lock(session, folder, state)
  } catch (error) {
    await session.close()
    throw error
  }
  return { folder, state, session, close: () => session.close() }
}

/** Paths of the files of a table, of all days or of those that `isWanted`. */
export function pathsOf(
  folder: string,
  state: LakeState,
  table: LakeTable,
  isWanted: (day: string) => boolean = () => true,
): readonly string[] {
  return [...state.files.values()]
    .filter((file) => file.table === table && isWanted(file.day))
    .map(({ path }) => join(folder, path))
}

/**
 * Reads the files; a column that older files lack is null there. `more` names columns that DuckDB adds: where a row
 * comes from.
 */
export function readFiles(
  table: LakeTable,
  paths: readonly string[],
  more: readonly ('filename' | 'file_row_number')[] = [],
): string {
  // Also gives the columns where there is no file, or none that has them.
  const empty = LAKE_COLUMNS[table].map(
    ({ name, type }) => `CAST(NULL AS ${type}) AS ${sqlName(name)}`,
  )
  const none = `SELECT ${empty.join(', ')}, CAST(NULL AS DATE) AS day WHERE false`
  if (paths.length === 0) return none
  const list = paths.map(sqlText).join(', ')
  const added = more.map((name) => `, ${name} = true`).join('')
  return (
    `${none} UNION ALL BY NAME SELECT * FROM read_parquet([${list}], hive_partitioning = true, ` +
    `hive_types = {'day': DATE}, union_by_name = true${added})`
  )
}

function viewOf(folder: string, state: LakeState, table: LakeTable): string {
  return `CREATE VIEW ${table} AS ${readFiles(table, pathsOf(folder, state, table))}`
}

async function lock(session: DuckDbSession, folder: string, state: LakeState): Promise<void> {
  const paths = [...state.files.keys()].map((path) => sqlText(join(folder, path)))
  await session.run(`SET allowed_paths = [${paths.join(', ')}]`)
  await session.run('SET enable_external_access = false')
  await session.run('SET lock_configuration = true')
}
