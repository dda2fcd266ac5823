// All checks of a lake: the results recorded at ingestion, and the current state of its files and tables.

import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { type CheckName, type CheckResult, comparison } from '../core/lake/lake-checks.ts'
import {
  type LakeErasure,
  type LakeFile,
  type LakeState,
  partitionKey,
} from '../core/lake/lake-log.ts'
import {
  KEY_COLUMNS,
  type LakeTable,
  TOPIC_TABLES,
  type TopicTable,
} from '../core/lake/lake-tables.ts'
import { noLake, readLakeState } from '../platform/lake/commit-log.ts'
import {
  duckDbProblem,
  type DuckDbSession,
  openDuckDb,
  temporaryFolder,
} from '../platform/lake/duckdb.ts'
import { digestOf, errorCodeOf } from '../platform/lake/durable-files.ts'
import { type LakeReader, openLakeReader, readFailure } from '../platform/lake/lake-views.ts'
import { withLakeWriter } from '../platform/lake/lake-writer.ts'
import { checkFile, stageResults } from '../platform/lake/stage-files.ts'

/** Files between two lines of progress. */
const PROGRESS_FILES = 200

export interface CheckOptions {
  readonly folder: string
  /** Restricts the check to files of this table or day; checks of whole tables are then skipped. */
  readonly table: LakeTable | null
  readonly day: string | null
  readonly onProgress: (line: string) => void
}

/** The number of recorded results of a check with one status. */
export interface RecordedChecks {
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
  readonly recorded: readonly RecordedChecks[]
  readonly results: readonly CheckResult[]
  /** Erasures, oldest first. */
  readonly erasures: readonly LakeErasure[]
}

/**
 * Reads every file in full.
 * @throws SluiceError SLUICE_USAGE when there is no lake, SLUICE_LAKE_DAMAGED when its log is inconsistent.
 */
export async function checkLake(options: CheckOptions, signal: AbortSignal): Promise<LakeReport> {
  const { folder, table, day } = options
  const state = await readLakeState(folder)
  if (state.sequence < 0) throw noLake(folder)
  const files = [...state.files.values()].filter(
    (file) => (table === null || file.table === table) && (day === null || file.day === day),
  )
  const results = [...(await checkFiles(options, files, signal))]
  // With an unreadable file neither the tables nor the recorded results can be queried.
  const isReadable = results.every(
    ({ name, status }) => status === 'ok' || (name !== 'bytes' && name !== 'readable'),
  )
  const isWhole = table === null && day === null
  let recorded: readonly RecordedChecks[] = []
  if (isReadable) {
    const reader = await openLakeReader(folder)
    try {
      if (isWhole) results.push(...(await checkTables(reader)))
      recorded = await recordedChecks((sql) => reader.session.rows(sql))
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
    recorded,
    results,
    erasures: state.erasures,
  }
}

/** Works without views, since one bad file would prevent the check of all others. */
async function checkFiles(
  { folder, onProgress }: CheckOptions,
  files: readonly LakeFile[],
  signal: AbortSignal,
): Promise<readonly CheckResult[]> {
  const session = await openDuckDb(temporaryFolder())
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

/** Records the results in the table `checks`. @throws SluiceError SLUICE_LAKE_BUSY when another writer is active. */
export async function recordResults(
  folder: string,
  clock: Clock,
  results: readonly CheckResult[],
): Promise<void> {
  await withLakeWriter({ folder, writer: 'sluice lake check', clock }, async (session, writer) => {
    const commit = writer.state.sequence + 1
    const staged = await stageResults(session, writer.staging, results, commit, clock.nowMs())
    await writer.commit({ kind: 'check', staged })
  })
}

async function recordedChecks(
  ask: (sql: string) => Promise<readonly (readonly unknown[])[]>,
): Promise<readonly RecordedChecks[]> {
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

/** Compares a file with its entry in the log (present, size, digest, readable) and checks its rows. */
export async function checkLakeFile(
  session: DuckDbSession,
  folder: string,
  file: LakeFile,
): Promise<readonly CheckResult[]> {
  const path = join(folder, file.path)
  try {
    const { bytes, sha256 } = await digestOf(path)
    if (bytes !== file.bytes) {
      return [fileResult(file, 'bytes', bytes, file.bytes, 'the file was truncated or extended')]
    }
    if (sha256 !== file.sha256) {
      return [fileResult(file, 'bytes', -1, file.bytes, 'the file was altered: its digest differs')]
    }
  } catch (error) {
    if (errorCodeOf(error) !== 'ENOENT') throw error
    return [fileResult(file, 'bytes', 0, file.bytes, 'the file is missing')]
  }
  const sound = fileResult(file, 'bytes', file.bytes, file.bytes, '')
  try {
    return [sound, ...(await checkFile(session, path, file))]
  } catch (error) {
    const problem = duckDbProblem(error)
    if (problem === null) throw error
    return [sound, fileResult(file, 'readable', 0, 1, problem)]
  }
}

function fileResult(
  { table, path }: LakeFile,
  name: CheckName,
  found: number,
  expected: number,
  detail: string,
): CheckResult {
  return comparison({ table, file: path, range: null, name }, found, expected, detail)
}

/**
 * Invariants of whole tables: no duplicate row, no missing offset between ingested ranges, as many rows as messages, and
 * a decision or dead letter for every transaction that the scorer has passed.
 */
export async function checkTables({ session, state }: LakeReader): Promise<readonly CheckResult[]> {
  const ask = async (sql: string): Promise<readonly (readonly unknown[])[]> => session.rows(sql)
  const results: CheckResult[] = []
  for (const table of TOPIC_TABLES) {
    const keys = KEY_COLUMNS[table].join(', ')
    const [repeats] = await ask(
      `SELECT coalesce(sum(copies - 1), 0) FROM (SELECT count(*) AS copies FROM ${table} GROUP BY ${keys} HAVING copies > 1)`,
    )
    results.push(
      comparison(
        { table, file: null, range: null, name: 'repeated_in_table' },
        Number(repeats?.[0]),
        0,
        'duplicate rows',
      ),
    )
    results.push(...(await checkRanges(ask, state, table)))
  }
  results.push(...(await checkAnswers(ask)))
  return results
}

type Ask = (sql: string) => Promise<readonly (readonly unknown[])[]>

/** Ingested ranges are contiguous up to the lake's position, and every message in them has a row. */
async function checkRanges(
  ask: Ask,
  state: LakeState,
  table: TopicTable,
): Promise<readonly CheckResult[]> {
  const ranges = await ask(
    'SELECT log_partition, count(*), min(first_offset), max(last_offset) + 1, ' +
      "sum(last_offset + 1 - first_offset), sum(found) FILTER (WHERE check_name = 'offsets') FROM checks " +
      `WHERE table_name = '${table}' AND check_name IN ('offsets', 'gap') GROUP BY log_partition ORDER BY log_partition`,
  )
  // An empty batch has no row, so there may be fewer decision batches than messages.
  const counted = await ask(
    table === 'decisions'
      ? `SELECT log_partition, count(DISTINCT batch_offset) FROM ${table} GROUP BY log_partition`
      : `SELECT log_partition, count(*) FROM ${table} GROUP BY log_partition`,
  )
  const rows = countsBy(counted)
  // Erased rows were ingested, so they count with the existing ones.
  const erased = countsBy(
    await ask(
      `SELECT log_partition, sum(found) FROM checks WHERE table_name = '${table}' AND check_name = 'erased' GROUP BY log_partition`,
    ),
  )
  return ranges.flatMap(([partitionCell, , first, next, covered, ingested]) => {
    const partition = Number(partitionCell)
    const end = state.next.get(partitionKey(table, partition)) ?? 0
    const range = { partition, first: Number(first), last: Number(next) - 1 }
    const gone = erased.get(partition) ?? 0
    const found = (rows.get(partition) ?? 0) + (table === 'decisions' ? 0 : gone)
    const messages = Number(ingested ?? 0)
    const isShort = table === 'decisions' ? found > messages : found !== messages
    return [
      comparison(
        { table, file: null, range, name: 'ranges_follow' },
        Number(covered),
        end - range.first,
        'ranges overlap or leave gaps',
      ),
      comparison(
        { table, file: null, range, name: 'rows_of_ranges' },
        isShort ? found : messages,
        messages,
        `the number of rows${gone === 0 ? '' : ` (with ${gone} erased ones)`} differs from the number of ingested messages`,
      ),
    ]
  })
}

function countsBy(rows: readonly (readonly unknown[])[]): ReadonlyMap<number, number> {
  return new Map(rows.map(([partition, count]) => [Number(partition), Number(count)]))
}

/** Every transaction up to the newest decision of its partition has a first decision or is a dead letter. */
async function checkAnswers(ask: Ask): Promise<readonly CheckResult[]> {
  const partitions = await ask(
    `WITH decided AS (
       SELECT log_partition, max(log_offset) AS last, count(*) FILTER (WHERE revision = 0) AS decisions
       FROM decisions GROUP BY log_partition
     ), asked AS (
       SELECT t.log_partition, t.log_offset, d.last FROM transactions t
       JOIN decided d ON d.log_partition = t.log_partition AND t.log_offset <= d.last
     ), missing AS (
       SELECT a.log_partition, count(*) AS transactions FROM asked a
       ANTI JOIN (SELECT log_partition, log_offset FROM decisions WHERE revision = 0) d
         USING (log_partition, log_offset)
       ANTI JOIN (
         SELECT source_partition AS log_partition, source_offset AS log_offset FROM dead_letters
         WHERE source_topic LIKE '%transactions'
       ) l USING (log_partition, log_offset)
       GROUP BY a.log_partition
     )
     SELECT d.log_partition, d.last, coalesce(m.transactions, 0) FROM decided d LEFT JOIN missing m USING (log_partition)
     ORDER BY d.log_partition`,
  )
  return partitions.map(([partition, last, missing]) =>
    comparison(
      {
        table: 'transactions',
        file: null,
        range: { partition: Number(partition), first: 0, last: Number(last) },
        name: 'answered',
      },
      Number(missing),
      0,
      'transactions without a decision and without a dead letter',
    ),
  )
}
