// Merges the small files of a day into one. One commit adds the new file and removes the old ones, so a reader of the log
// sees either. A tool that reads the folders directly may see rows twice until the old files are deleted.

import { join } from 'node:path'
import type { Clock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import {
  mergeRanges,
  planCompaction,
  type CompactionRule,
  type Merge,
} from '../core/lake/compaction.ts'
import { mergedPath } from '../core/lake/lake-log.ts'
import { LAKE_COLUMNS, type LakeTable } from '../core/lake/lake-tables.ts'
import { sqlText, type DuckDbSession } from '../platform/lake/duckdb.ts'
import { readFailure, readFiles } from '../platform/lake/lake-views.ts'
import { type LakeWriter, withLakeWriter } from '../platform/lake/lake-writer.ts'
import {
  checkFile,
  contentOf,
  finished,
  mergedOrder,
  PARQUET_OPTIONS,
  refuseFailed,
} from '../platform/lake/stage-files.ts'

/** Default rule. 4 million decisions are about 600 MB. */
export const COMPACTION_DEFAULTS: CompactionRule = Object.freeze({
  filesMin: 2,
  rowsMax: 4_000_000,
})

/** One merge of files of a table and day. */
export interface MergeReport {
  readonly table: LakeTable
  readonly day: string
  readonly filesBefore: number
  readonly rows: number
  readonly bytesBefore: number
  readonly bytes: number
}

export interface CompactOptions {
  readonly folder: string
  readonly rule: CompactionRule
  readonly clock: Clock
  readonly onMerge: (report: MergeReport) => void
}

/**
 * Merges files until the rule finds none. Each merge is a commit, so an interrupted run can be repeated.
 * @throws SluiceError SLUICE_LAKE_BUSY, SLUICE_LAKE_DAMAGED, SLUICE_USAGE when there is no lake, or the signal's reason.
 */
export async function compactLake(
  { folder, rule, clock, onMerge }: CompactOptions,
  signal: AbortSignal,
): Promise<readonly MergeReport[]> {
  return withLakeWriter(
    { folder, writer: 'sluice lake compact', clock },
    async (session, writer) => {
      try {
        const reports: MergeReport[] = []
        for (;;) {
          // A merged file may have other neighbours than its parts, so the plan is made again.
          const merges = planCompaction(writer.state, rule)
          if (merges.length === 0) return reports
          for (const merge of merges) {
            signal.throwIfAborted()
            const report = await runMerge(session, writer, merge)
            onMerge(report)
            reports.push(report)
          }
        }
      } catch (error) {
        throw readFailure(error) ?? error
      }
    },
  )
}

/** @throws SluiceError SLUICE_LAKE_DAMAGED when the new file would not contain exactly the rows of the old ones. */
export async function runMerge(
  session: DuckDbSession,
  writer: LakeWriter,
  { table, day, files }: Merge,
): Promise<MergeReport> {
  const columns = LAKE_COLUMNS[table].map(({ name }) => `"${name}"`).join(', ')
  const old = `(SELECT ${columns} FROM (${readFiles(
    table,
    files.map(({ path }) => join(writer.folder, path)),
  )}))`
  const commit = writer.state.sequence + 1
  const stagedPath = join(writer.staging, `merge-${commit}.parquet`)
  await session.run(
    `COPY (SELECT * FROM ${old} ORDER BY ${mergedOrder(table)}) TO ${sqlText(stagedPath)} (${PARQUET_OPTIONS})`,
  )
  const before = await contentOf(session, old, columns)
  const made = `read_parquet(${sqlText(stagedPath)}, hive_partitioning = false)`
  const after = await contentOf(session, made, columns)
  const rows = files.reduce((sum, file) => sum + file.rows, 0)
  if (before !== after || !before.startsWith(`${rows}/`)) {
    throw new SluiceError(
      'SLUICE_LAKE_DAMAGED',
      `The files of ${table} on ${day} were not merged: the rows of the merged file differ from those of its parts or ` +
        'from the log. Run "sluice lake check" to find the fault.',
    )
  }
  const file = {
    table,
    path: mergedPath(table, day, commit, 0),
    day,
    rows,
    ranges: mergeRanges(files),
  }
  refuseFailed(await checkFile(session, stagedPath, file))
  const staged = await finished(stagedPath, file)
  const removed = files.map(({ path }) => path)
  await writer.commit({ kind: 'compact', staged: [staged], removed })
  return {
    table,
    day,
    filesBefore: files.length,
    rows,
    bytesBefore: files.reduce((sum, { bytes }) => sum + bytes, 0),
    bytes: staged.file.bytes,
  }
}
