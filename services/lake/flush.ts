// One flush: rows to checked files, the results of the checks to one more, and all of it into one commit.

import type { Clock } from '../core/clock.ts'
import { SluiceError } from '../core/errors.ts'
import { checkRow, offsetsResult, type CheckResult } from '../core/lake/lake-checks.ts'
import { totalRows, rowsBy, type TableRows } from '../core/lake/erasure.ts'
import { placeOf } from '../core/lake/lake-log.ts'
import { TOPIC_TABLES } from '../core/lake/lake-tables.ts'
import type { DuckDbSession } from '../platform/lake/duckdb.ts'
import type { LakeWriter, StagedFile } from '../platform/lake/lake-writer.ts'
import { RowBuffer } from '../platform/lake/row-buffer.ts'
import { stageBuffer } from '../platform/lake/stage-files.ts'
import type { Intake } from './intake.ts'

/** What one flush has written. */
export interface FlushReport {
  readonly commit: number
  readonly rows: TableRows
  readonly files: number
  readonly bytes: number
  readonly bytesOf: TableRows
  /** Messages that could not be decoded. */
  readonly unreadable: number
  readonly unreadableOf: TableRows
  /** First offset that is not taken, by table and partition; those that moved. */
  readonly next: Readonly<Record<string, number>>
  readonly tookMs: number
}

export interface FlushOptions {
  readonly clock: Clock
  /** Results that are kept with those of the files. */
  readonly results: readonly CheckResult[]
  /** Called with all results, also when one of them then keeps the batch out. */
  readonly onChecked?: (results: readonly CheckResult[]) => void
}

/** @throws SluiceError SLUICE_LAKE_DAMAGED when a check fails, before anything is committed; SLUICE_LAKE_BUSY. */
export async function flushIntake(
  session: DuckDbSession,
  writer: LakeWriter,
  intake: Intake,
  { clock, results: given, onChecked }: FlushOptions,
): Promise<FlushReport> {
  const startMs = clock.monotonicMs()
  const { ranges } = intake
  const commit = writer.state.sequence + 1
  const staged: StagedFile[] = []
  const results = [...given]
  for (const table of TOPIC_TABLES) {
    if (intake.buffers[table].rows === 0) continue
    const made = await stageBuffer(session, writer.staging, intake.buffers[table], commit)
    staged.push(...made.staged)
    results.push(...made.results)
  }
  for (const range of ranges) results.push(offsetsResult(range.table, range.partition, range))
  onChecked?.(results)
  refuseFailed(results)
  const bytesOf = rowsBy((table) =>
    staged.reduce((sum, { file }) => sum + (file.table === table ? file.bytes : 0), 0),
  )
  const files = staged.length
  staged.push(...(await stageResults(session, writer.staging, results, commit, clock.nowMs())))
  const next = Object.fromEntries(
    ranges.map((range) => [placeOf(range.table, range.partition), range.next]),
  )
  await writer.commit({ kind: 'ingest', staged, next })
  const unreadableOf = rowsBy((table) =>
    ranges.reduce((sum, range) => sum + (range.table === table ? range.unreadable : 0), 0),
  )
  const report: FlushReport = {
    commit,
    rows: rowsBy((table) => intake.buffers[table].rows),
    files,
    bytes: totalRows(bytesOf),
    bytesOf,
    unreadable: totalRows(unreadableOf),
    unreadableOf,
    next,
    tookMs: clock.monotonicMs() - startMs,
  }
  await intake.close()
  return report
}

/** The results as a file of the table of checks. */
export async function stageResults(
  session: DuckDbSession,
  staging: string,
  results: readonly CheckResult[],
  commit: number,
  nowMs: number,
): Promise<readonly StagedFile[]> {
  if (results.length === 0) return []
  const buffer = await RowBuffer.open(session, 'checks', `checks_${commit}`)
  for (const [index, result] of results.entries()) {
    buffer.add(0, index, nowMs, checkRow(nowMs, commit, result))
  }
  const { staged } = await stageBuffer(session, staging, buffer, commit)
  await buffer.close()
  return staged
}

/** @throws SluiceError SLUICE_LAKE_DAMAGED naming the first result that failed. */
export function refuseFailed(results: readonly CheckResult[]): void {
  const failed = results.filter(({ status }) => status === 'failed')
  const [first] = failed
  if (first === undefined) return
  throw new SluiceError(
    'SLUICE_LAKE_DAMAGED',
    `A batch failed its checks and was not committed: ${first.name} of ${first.file ?? first.table}: found ` +
      `${first.found}, expected ${first.expected} (${first.detail}); ${failed.length} checks failed in all.`,
    { details: { failed: failed.slice(0, 20) } },
  )
}
