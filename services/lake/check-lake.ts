// All checks of a lake: what was kept when its batches were taken, and what its files and tables are now.

import { tmpdir } from 'node:os'
import type { Clock } from '../core/clock.ts'
import type { LakeErasure } from '../core/lake/erasure.ts'
import type { CheckResult } from '../core/lake/lake-checks.ts'
import type { LakeFile } from '../core/lake/lake-log.ts'
import type { LakeTable } from '../core/lake/lake-tables.ts'
import { noLake, readLakeState } from '../platform/lake/commit-log.ts'
import { openDuckDb } from '../platform/lake/duckdb.ts'
import { checkLakeFile } from './check-files.ts'
import { checkTables } from './check-tables.ts'
import { stageResults } from './flush.ts'
import { temporaryFolder } from './folders.ts'
import { openReader, readFailure } from './read-failure.ts'
import { writingTo } from './writing.ts'

/** Files between two lines of progress. */
const PROGRESS_FILES = 200

export interface CheckOptions {
  readonly folder: string
  /** Only files of this table or day; then the tables as a whole are not looked at. */
  readonly table: LakeTable | null
  readonly day: string | null
  readonly onProgress: (line: string) => void
}

/** How often each check came out how, of those that were kept. */
export interface KeptChecks {
  readonly table: string
  readonly check: string
  readonly status: string
  readonly count: number
}

export interface LakeReport {
  readonly commit: number
  readonly files: number
  readonly rows: number
  readonly bytes: number
  readonly kept: readonly KeptChecks[]
  readonly results: readonly CheckResult[]
  /** What was erased, oldest first. */
  readonly erasures: readonly LakeErasure[]
}

/**
 * Reads every file, so it takes as long as that takes.
 * @throws SluiceError SLUICE_USAGE when there is no lake, SLUICE_LAKE_DAMAGED when its log does not fold.
 */
export async function checkLake(options: CheckOptions, signal: AbortSignal): Promise<LakeReport> {
  const { folder, table, day } = options
  const state = await readLakeState(folder)
  if (state.sequence < 0) throw noLake(folder)
  const files = [...state.files.values()].filter(
    (file) => (table === null || file.table === table) && (day === null || file.day === day),
  )
  const results = [...(await checkFiles(options, files, signal))]
  // A table with a file that cannot be read cannot be counted, nor asked for what was kept.
  const isReadable = results.every(
    ({ name, status }) => status === 'ok' || (name !== 'bytes' && name !== 'readable'),
  )
  const isWhole = table === null && day === null
  let kept: readonly KeptChecks[] = []
  if (isReadable) {
    const reader = await openReader(folder, {
      temporaryFolder: temporaryFolder(tmpdir()),
      isLocked: false,
    })
    try {
      if (isWhole) results.push(...(await checkTables(reader)))
      kept = await keptChecks((sql) => reader.session.rows(sql))
    } catch (error) {
      throw readFailure(error) ?? error
    } finally {
      await reader.close()
    }
  }
  return {
    commit: state.sequence,
    files: files.length,
    rows: files.reduce((sum, { rows }) => sum + rows, 0),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    kept,
    results,
    erasures: state.erasures,
  }
}

/** Without views, since one bad file would keep all others from being looked at. */
async function checkFiles(
  { folder, onProgress }: CheckOptions,
  files: readonly LakeFile[],
  signal: AbortSignal,
): Promise<readonly CheckResult[]> {
  const session = await openDuckDb(temporaryFolder(tmpdir()))
  try {
    const results: CheckResult[] = []
    for (const [index, file] of files.entries()) {
      signal.throwIfAborted()
      results.push(...(await checkLakeFile(session, folder, file)))
      if ((index + 1) % PROGRESS_FILES === 0) onProgress(`${index + 1} of ${files.length} files`)
    }
    return results
  } finally {
    await session.close()
  }
}

/** Keeps the results in the table of checks. @throws SluiceError SLUICE_LAKE_BUSY when somebody else writes. */
export async function keepResults(
  folder: string,
  clock: Clock,
  results: readonly CheckResult[],
): Promise<void> {
  await writingTo({ folder, writer: 'sluice lake check', clock }, async (session, writer) => {
    const commit = writer.state.sequence + 1
    const staged = await stageResults(session, writer.staging, results, commit, clock.nowMs())
    await writer.commit({ kind: 'check', staged })
  })
}

async function keptChecks(
  ask: (sql: string) => Promise<readonly (readonly unknown[])[]>,
): Promise<readonly KeptChecks[]> {
  const rows = await ask(
    'SELECT table_name, check_name, status, count(*) FROM checks GROUP BY ALL ORDER BY ALL',
  )
  return rows.map(([table, check, status, count]) => ({
    table: String(table),
    check: String(check),
    status: String(status),
    count: Number(count),
  }))
}
