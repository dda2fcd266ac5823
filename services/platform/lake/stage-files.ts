// From a buffer to finished files in the staging folder: written, checked by reading them back, on the disk, digested.

import { join } from 'node:path'
import {
  fileCheckSql,
  fileCountsOf,
  fileResults,
  schemaFaults,
  type CheckResult,
} from '../../core/lake/lake-checks.ts'
import type { LakeFile } from '../../core/lake/lake-log.ts'
import { DAY_COLUMN, KEY_COLUMNS } from '../../core/lake/lake-tables.ts'
import { mergedPath, partPath } from '../../core/lake/lake-names.ts'
import { sqlText, type DuckDbSession } from './duckdb.ts'
import { digestOf, syncPath } from './durable-files.ts'
import type { StagedFile } from './lake-writer.ts'
import type { RowBuffer } from './row-buffer.ts'

export interface StagedFiles {
  readonly staged: readonly StagedFile[]
  readonly results: readonly CheckResult[]
}

/** Writes and checks all that the buffer holds; `commit` is the number of the commit to be, for names. */
export async function stageBuffer(
  session: DuckDbSession,
  staging: string,
  buffer: RowBuffer,
  commit: number,
): Promise<StagedFiles> {
  const { table } = buffer
  const staged: StagedFile[] = []
  const results: CheckResult[] = []
  for (const [index, group] of (await buffer.groups()).entries()) {
    const stagedPath = join(staging, `${buffer.name}-${index}.parquet`)
    await buffer.write(group, stagedPath)
    const hasOffsets = KEY_COLUMNS[table].length > 0
    const file = {
      table,
      path: hasOffsets
        ? partPath(table, group.day, group)
        : mergedPath(table, group.day, commit, index),
      day: group.day,
      rows: group.rows,
      ranges: hasOffsets ? [group].map(rangeOf) : [],
    }
    results.push(...(await checkFile(session, stagedPath, file)))
    staged.push(await finished(stagedPath, file))
  }
  return { staged, results }
}

/** Waits until the disk has the file, and adds what identifies its bytes. */
export async function finished(
  stagedPath: string,
  file: Omit<LakeFile, 'sha256' | 'bytes'>,
): Promise<StagedFile> {
  await syncPath(stagedPath)
  return { stagedPath, file: { ...file, ...(await digestOf(stagedPath)) } }
}

/** Reads the file back and counts. @throws Error of DuckDB when it cannot be read as Parquet. */
export async function checkFile(
  session: DuckDbSession,
  path: string,
  file: Pick<LakeFile, 'table' | 'path' | 'day' | 'rows' | 'ranges'>,
): Promise<readonly CheckResult[]> {
  // The day is not in the file; a reader takes it from the folder.
  const from = `read_parquet(${sqlText(path)}, hive_partitioning = false)`
  const described = await session.rows(`DESCRIBE SELECT * FROM ${from}`)
  const faults = schemaFaults(
    file.table,
    described.map(([name, type]) => [String(name), String(type)]),
  )
  if (faults.some((fault) => fault.includes(' is missing, '))) {
    // Nothing can be counted by columns that are not there.
    const [row] = await session.rows(`SELECT count(*) FROM ${from}`)
    return fileResults(file, faults, fileCountsOf([row?.[0] ?? 0]))
  }
  const [row] = await session.rows(fileCheckSql(file.table, from, file.day))
  return fileResults(file, faults, fileCountsOf(row ?? []))
}

/** How the rows of a merged file are ordered: by time, so that groups of rows can be skipped by it. */
export function mergedOrder(table: LakeFile['table']): string {
  return [DAY_COLUMN[table], ...KEY_COLUMNS[table]].map((name) => `"${name}"`).join(', ')
}

function rangeOf({
  partition,
  first,
  last,
  rows,
}: LakeFile['ranges'][number]): LakeFile['ranges'][number] {
  return { partition, first, last, rows }
}
