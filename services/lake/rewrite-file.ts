// One file of the lake, written anew without the rows of a card: every other row is there as it was, in the same order.

import { join } from 'node:path'
import { SluiceError } from '../core/errors.ts'
import { OFFSET_COLUMN, erasedResult, type CheckResult } from '../core/lake/lake-checks.ts'
import type { FileRange } from '../core/lake/lake-log.ts'
import { mergedPath } from '../core/lake/lake-names.ts'
import { LAKE_COLUMNS, type TopicTable } from '../core/lake/lake-tables.ts'
import { sqlName, sqlText, type DuckDbSession } from '../platform/lake/duckdb.ts'
import type { LakeWriter, StagedFile } from '../platform/lake/lake-writer.ts'
import { readFiles } from '../platform/lake/lake-views.ts'
import { PARQUET_OPTIONS } from '../platform/lake/row-buffer.ts'
import { checkFile, finished } from '../platform/lake/stage-files.ts'
import { isOfCard, type HoldingFile } from './card-rows.ts'
import { contentOf } from './content.ts'
import { refuseFailed } from './flush.ts'

export interface Rewritten {
  /** Null when all rows were the card's. */
  readonly staged: StagedFile | null
  /** Checks of the new file, and how many rows are gone. */
  readonly results: readonly CheckResult[]
}

/**
 * Makes the new file in the staging folder; `index` tells it from others of its commit.
 * @throws SluiceError SLUICE_LAKE_DAMAGED when it would hold anything else than the other cards' rows.
 */
export async function rewriteWithout(
  session: DuckDbSession,
  writer: LakeWriter,
  { table, file, rows }: HoldingFile,
  card: string,
  index: number,
): Promise<Rewritten> {
  const columns = LAKE_COLUMNS[table].map(({ name }) => sqlName(name)).join(', ')
  const isCards = isOfCard(table, card)
  const old = `(${readFiles(table, [join(writer.folder, file.path)], ['file_row_number'])})`
  const gone = await rangesOf(session, `${old} WHERE ${isCards}`, table)
  const results = gone.map((range) =>
    erasedResult(table, wholeRange(file.ranges, range), range.rows),
  )
  if (rows === file.rows) return { staged: null, results }

  const commit = writer.state.sequence + 1
  const stagedPath = join(writer.staging, `erase-${commit}-${index}.parquet`)
  await session.run(
    `COPY (SELECT ${columns} FROM ${old} WHERE NOT ${isCards} ORDER BY file_row_number) ` +
      `TO ${sqlText(stagedPath)} (${PARQUET_OPTIONS})`,
  )
  const made = `read_parquet(${sqlText(stagedPath)}, hive_partitioning = false)`
  const others = await contentOf(session, `${old} WHERE NOT ${isCards}`, columns)
  const after = await contentOf(session, made, columns)
  if (others !== after || !after.startsWith(`${file.rows - rows}/`)) {
    throw new SluiceError(
      'SLUICE_LAKE_DAMAGED',
      `${file.path} was not written anew: it would hold other rows of other cards than before, or other than the log ` +
        'says. "sluice lake check" names what is wrong.',
    )
  }
  const described = {
    table,
    path: mergedPath(table, file.day, commit, index),
    day: file.day,
    rows: file.rows - rows,
    ranges: file.ranges.length === 0 ? [] : await rangesOf(session, made, table),
  }
  const checks = await checkFile(session, stagedPath, described)
  refuseFailed(checks)
  return { staged: await finished(stagedPath, described), results: [...results, ...checks] }
}

/** First and last offsets, and how many rows, by partition. */
async function rangesOf(
  session: DuckDbSession,
  from: string,
  table: TopicTable,
): Promise<readonly FileRange[]> {
  const offset = OFFSET_COLUMN[table] ?? 'log_offset'
  const rows = await session.rows(
    `SELECT log_partition, min(${offset}), max(${offset}), count(*) FROM ${from} ` +
      'GROUP BY log_partition ORDER BY log_partition',
  )
  return rows.map(([partition, first, last, count]) => ({
    partition: Number(partition),
    first: Number(first),
    last: Number(last),
    rows: Number(count),
  }))
}

/** That of the file: offsets of the card's own rows would tell where its messages stand in the topic. */
function wholeRange(ranges: readonly FileRange[], of: FileRange): FileRange {
  return ranges.find(({ partition }) => partition === of.partition) ?? of
}
