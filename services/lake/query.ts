// Queries of the lake in SQL: one read-only statement over the views of its tables.

import type { DuckDBPreparedStatement, DuckDBResult, DuckDBValue } from '@duckdb/node-api'
import { SluiceError } from '../core/errors.ts'
import { LAKE_TABLES } from '../core/lake/lake-tables.ts'
import { type DuckDb, duckDbProblem, type DuckDbSession } from '../platform/lake/duckdb.ts'
import { openLakeReader, readFailure } from '../platform/lake/lake-views.ts'

export interface QueryAnswer {
  readonly columns: readonly string[]
  /** Rows as a stream, to be consumed once. */
  readonly rows: AsyncIterable<readonly PlainValue[]>
}

/**
 * Runs the statement, and passes the answer to `use`. @throws SluiceError SLUICE_USAGE when there is no lake or the
 * statement cannot be run; SLUICE_LAKE_DAMAGED or SLUICE_LAKE_BUSY when a file has changed or is gone.
 */
export async function queryLake(
  folder: string,
  sql: string,
  use: (answer: QueryAnswer) => Promise<void>,
): Promise<void> {
  // Without a folder for temporary files, since a user's query must not fill the disk.
  const reader = await openLakeReader(folder, { temporaryFolder: null, isLocked: true })
  try {
    const result = await start(reader.session, sql)
    await use({ columns: result.deduplicatedColumnNames(), rows: rowsOf(reader.session, result) })
  } catch (error) {
    throw explained(error)
  } finally {
    await reader.close()
  }
}

/**
 * EXPLAIN with its options. Only these forms pass, without comments, so that the rest is exactly the explained
 * statement: no read-only statement begins with ANALYZE or with a list of options.
 */
const EXPLAIN =
  /^\s*EXPLAIN\b(?:\s+ANALYZE\b|\s*\(\s*(?:ANALYZE|FORMAT)\b[A-Z_,\s]{0,100}\))?(?=[\s(])/i

async function start(session: DuckDbSession, sql: string): Promise<DuckDBResult> {
  const { StatementType } = session.api
  const prepared = await prepareOne(session, sql)
  let readType = prepared.statementType
  if (readType === StatementType.EXPLAIN) {
    // EXPLAIN ANALYZE runs the statement, which could write to the lake's files. So the explained statement is judged
    // by its own type.
    const prefix = EXPLAIN.exec(sql)?.[0]
    if (prefix === undefined) {
      throw usage(
        'write EXPLAIN, EXPLAIN ANALYZE or EXPLAIN (FORMAT name), then the statement, without comments',
      )
    }
    readType = (await prepareOne(session, sql.slice(prefix.length))).statementType
  }
  if (readType !== StatementType.SELECT) {
    throw usage(
      'only statements that read are run: SELECT, WITH, FROM, DESCRIBE, SUMMARIZE, and EXPLAIN of these',
    )
  }
  if (prepared.parameterCount > 0) throw usage('the statement has parameters; write their values')
  return prepared.stream()
}

/** Parses and binds the statement; runs nothing. */
async function prepareOne(
  { connection }: DuckDbSession,
  sql: string,
): Promise<DuckDBPreparedStatement> {
  if (sql.trim() === '') throw usage('the statement is empty')
  const statements = await connection.extractStatements(sql)
  if (statements.count !== 1) throw usage(`give one statement, not ${statements.count}`)
  return statements.prepare(0)
}

async function* rowsOf(
  { api }: DuckDbSession,
  result: DuckDBResult,
): AsyncGenerator<readonly PlainValue[], void, undefined> {
  const plain = plainValues(api)
  for await (const rows of result.yieldRows()) {
    for (const row of rows) yield row.map(plain)
  }
}

function explained(error: unknown): unknown {
  const problem = duckDbProblem(error)
  if (problem === null) return error
  return readFailure(error) ?? usage(problem, error)
}

function usage(problem: string, cause?: unknown): SluiceError {
  return new SluiceError(
    'SLUICE_USAGE',
    `sluice lake query: ${problem.replace(/\.$/, '')}. The tables are ${LAKE_TABLES.join(', ')}; DESCRIBE shows columns.`,
    { cause },
  )
}

// DuckDB values as JSON: times in ISO 8601, and integers as numbers where these are exact.

export type PlainValue =
  string | number | boolean | null | readonly PlainValue[] | { readonly [name: string]: PlainValue }

const MICROS_PER_MS = 1_000n

/** Creates the conversion; values that JSON cannot represent become text. */
export function plainValues(api: DuckDb): (value: DuckDBValue) => PlainValue {
  const { DuckDBDecimalValue, DuckDBListValue, DuckDBStructValue } = api
  const { DuckDBTimestampTZValue, DuckDBTimestampValue } = api
  const plain = (value: DuckDBValue): PlainValue => {
    if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
    if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
    if (typeof value === 'bigint') return integerOf(value)
    if (value instanceof DuckDBTimestampTZValue || value instanceof DuckDBTimestampValue) {
      const ms = Number(value.micros / MICROS_PER_MS)
      return Number.isNaN(new Date(ms).getTime()) ? value.toString() : new Date(ms).toISOString()
    }
    if (value instanceof DuckDBDecimalValue) return value.toDouble()
    if (value instanceof DuckDBListValue) return value.items.map(plain)
    if (value instanceof DuckDBStructValue) {
      const entries = Object.entries(value.entries)
      return Object.fromEntries(entries.map(([name, entry]) => [name, plain(entry)]))
    }
    return String(value)
  }
  return plain
}

function integerOf(value: bigint): number | string {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value.toString()
}
