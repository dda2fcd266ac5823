// History from the lake for the trainer: the content of the topics in the same order, up to a point in time. A label
// counts when it was known by then, however early its transaction.

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

/** One event of the history. */
export type LakeEvent =
  | { readonly kind: 'transaction'; readonly transaction: Transaction }
  | { readonly kind: 'label'; readonly label: Label }

export interface LakeHistoryOptions {
  readonly folder: string
  /** First event time of transactions. */
  readonly fromMs: number
  /** End (exclusive) of event times of transactions and known-at times of labels. */
  readonly endMs: number
}

/** Bounds beyond the earliest and latest times of messages, for open ranges. */
const NO_BEGIN_MS = 0
const NO_END_MS = 253_402_300_799_000

/**
 * Transactions by event time merged with labels by known-at time; at equal times labels first, then log order. DuckDB
 * sorts, and spills to disk.
 * @throws SluiceError as openLakeReader, during iteration.
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
  // Days are those of event times, so files cannot be selected by known-at time.
  const isWanted = (day: string): boolean =>
    timeColumn !== 'event_time' || (dayMs(day) < endMs && dayMs(day) + DAY_MS > fromMs)
  // A separate connection, since both tables are read concurrently.
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
    throw new TypeError('A column of the lake has a type that the history cannot read.')
  }
}
