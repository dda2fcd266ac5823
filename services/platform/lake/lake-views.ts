// Reads a lake through DuckDB views over exactly the files that its log lists at one commit.

import { join } from 'node:path'
import { SluiceError } from '../../core/errors.ts'
import type { LakeState } from '../../core/lake/lake-log.ts'
import { LAKE_COLUMNS, LAKE_TABLES, type LakeTable } from '../../core/lake/lake-tables.ts'
import { noLake, readLakeState } from './commit-log.ts'
import {
  duckDbProblem,
  openDuckDb,
  sqlName,
  sqlText,
  temporaryFolder,
  type DuckDbSession,
} from './duckdb.ts'

const GONE = /No files found|Cannot open file|No such file/
const BROKEN = /parquet|snappy|zstd|thrift|Serialization Error|Invalid Input Error: File/i

/** A lake as of one commit. */
export interface LakeReader {
  readonly folder: string
  readonly state: LakeState
  readonly session: DuckDbSession
  close(): Promise<void>
}

export interface ReaderOptions {
  /** For sorts that do not fit in memory; null disables spilling. */
  readonly temporaryFolder: string | null
  /** For statements of users: only the lake's files can be read, and no setting can be changed. */
  readonly isLocked: boolean
}

/**
 * Opens the lake for reading.
 * @throws SluiceError SLUICE_USAGE when there is no lake, SLUICE_LAKE_DAMAGED, SLUICE_LAKE_BUSY when a listed file is
 * gone, SLUICE_PREREQUISITE_MISSING.
 */
export async function openLakeReader(
  folder: string,
  options: ReaderOptions = { temporaryFolder: temporaryFolder(), isLocked: false },
): Promise<LakeReader> {
  const state = await readLakeState(folder)
  if (state.sequence < 0) throw noLake(folder)
  const session = await openDuckDb(options.temporaryFolder)
  try {
    for (const table of LAKE_TABLES) await session.run(viewOf(folder, state, table))
    if (options.isLocked) await lock(session, folder, state)
  } catch (error) {
    await session.close()
    throw readFailure(error) ?? error
  }
  return { folder, state, session, close: () => session.close() }
}

/** The error for a file that was removed (SLUICE_LAKE_BUSY) or is corrupt (SLUICE_LAKE_DAMAGED); null for any other. */
export function readFailure(error: unknown): SluiceError | null {
  const problem = duckDbProblem(error)
  if (problem === null) return null
  if (GONE.test(problem)) {
    return new SluiceError(
      'SLUICE_LAKE_BUSY',
      `A file of the lake is gone (${problem}): a compaction or an erasure replaced it, or it was deleted. Run the ` +
        'command again; if that does not help, run "sluice lake check".',
      { cause: error },
    )
  }
  if (!BROKEN.test(problem)) return null
  return new SluiceError(
    'SLUICE_LAKE_DAMAGED',
    `A file of the lake cannot be read (${problem}); "sluice lake check" names it.`,
    { cause: error },
  )
}

/** Paths of the files of a table, for the days that `isWanted` accepts. */
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
 * A statement that reads the files; columns missing from older files are null. `more` names columns with the origin of
 * a row, added by DuckDB.
 */
export function readFiles(
  table: LakeTable,
  paths: readonly string[],
  more: readonly ('filename' | 'file_row_number')[] = [],
): string {
  // Supplies the columns when there is no file, or none that has them.
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
