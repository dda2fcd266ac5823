// History from the lake as the trainer takes it: what the topics would give, in the same order, up to a moment. A label
// counts when it was known by then, however early its transaction was.

import { DAY_MS } from '../core/features/catalogue/time.ts'
import {
  labelOfRow,
  LAKE_COLUMNS,
  type LakeRow,
  type LakeTable,
  type LakeValue,
  transactionOfRow,
} from '../core/lake/lake-tables.ts'
import type { Label, Transaction } from '../core/transaction.ts'
import { type DuckDb } from '../platform/lake/duckdb.ts'
import {
  type LakeReader,
  openLakeReader,
  pathsOf,
  readFailure,
  readFiles,
} from '../platform/lake/lake-views.ts'

/** One thing of the history. */
export type LakeEvent =
  | { readonly kind: 'transaction'; readonly transaction: Transaction }
  | { readonly kind: 'label'; readonly label: Label }

export interface LakeHistoryOptions {
  readonly folder: string
  /** Event times of transactions from `fromMs` on. */
  readonly fromMs: number
  /** Event times of transactions, and known-at times of labels, up to but without this moment. */
  readonly endMs: number
}

/** Microseconds of the earliest and latest times that messages have. */
const NO_BEGIN_MS = 0
const NO_END_MS = 253_402_300_799_000

/**
 * Merged by event time and known-at time, labels first at the same moment, then in the order of the log. The whole is
 * sorted by DuckDB, on disk where memory does not hold it.
 * @throws SluiceError as openLakeReader, while it is taken.
 */
export async function* readLakeHistory(
  options: LakeHistoryOptions,
): AsyncGenerator<LakeEvent, void, undefined> {
  const reader = await openLakeReader(options.folder)
  try {
    const labels = sortedRows(reader, 'labels', 'known_at', NO_BEGIN_MS, options.endMs)
    let label = await nextLabel(labels)
    const { fromMs, endMs } = options
    for await (const row of sortedRows(reader, 'transactions', 'event_time', fromMs, endMs)) {
      const transaction = transactionOfRow(row)
      while (label !== null && label.knownAtMs <= transaction.eventTimeMs) {
        yield { kind: 'label', label }
        label = await nextLabel(labels)
      }
      yield { kind: 'transaction', transaction }
    }
    for (; label !== null; label = await nextLabel(labels)) yield { kind: 'label', label }
  } catch (error) {
    throw readFailure(error) ?? error
  } finally {
    await reader.close()
  }
}

async function nextLabel(rows: AsyncGenerator<LakeRow, void, undefined>): Promise<Label | null> {
  const next = await rows.next()
  return next.done === true ? null : labelOfRow(next.value)
}

async function* sortedRows(
  { folder, state, session }: LakeReader,
  table: LakeTable,
  timeColumn: string,
  fromMs: number,
  endMs: number,
): AsyncGenerator<LakeRow, void, undefined> {
  const names = LAKE_COLUMNS[table].map(({ name }) => name)
  // Days are those of event times; when a label was known its file does not say.
  const isWanted = (day: string): boolean =>
    timeColumn !== 'event_time' || (dayMs(day) < endMs && dayMs(day) + DAY_MS > fromMs)
  // A connection of its own: both tables are read at the same time.
  const connection = await session.connect()
  try {
    await connection.run("SET TimeZone = 'UTC'")
    const result = await connection.stream(
      `SELECT ${names.join(', ')} FROM (${readFiles(table, pathsOf(folder, state, table, isWanted))}) ` +
        `WHERE ${timeColumn} >= ${instant(fromMs, NO_BEGIN_MS)} AND ${timeColumn} < ${instant(endMs, NO_END_MS)} ` +
        `ORDER BY ${timeColumn}, log_partition, log_offset`,
    )
    const plain = cellOf(session.api)
    for await (const rows of result.yieldRows()) for (const row of rows) yield row.map(plain)
  } finally {
    connection.closeSync()
  }
}

function dayMs(day: string): number {
  return Date.parse(`${day}T00:00:00Z`)
}

function instant(timeMs: number, without: number): string {
  return `make_timestamptz(${BigInt(Number.isFinite(timeMs) ? timeMs : without) * 1_000n})`
}

function cellOf({ DuckDBTimestampTZValue }: DuckDb): (value: unknown) => LakeValue {
  return (value) => {
    if (value === null || typeof value === 'string' || typeof value === 'number') return value
    if (typeof value === 'bigint') return Number(value)
    if (value instanceof DuckDBTimestampTZValue) return Number(value.micros / 1_000n)
    throw new TypeError('A column of the lake has a type that history does not have.')
  }
}
