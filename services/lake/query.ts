// Questions of people to the lake, in SQL: one statement that reads, over the views of its tables.

import type { DuckDBPreparedStatement, DuckDBResult } from '@duckdb/node-api'
import { SluiceError } from '../core/errors.ts'
import { LAKE_TABLES } from '../core/lake/lake-tables.ts'
import type { DuckDb, DuckDbSession } from '../platform/lake/duckdb.ts'
import { duckDbProblem, openReader, readFailure } from './read-failure.ts'
import { plainValues, type PlainValue } from './plain-value.ts'

export interface QueryAnswer {
  readonly columns: readonly string[]
  /** Rows as they come; taken once. */
  readonly rows: AsyncIterable<readonly PlainValue[]>
}

/**
 * Asks, and hands the answer to `use`.
 * @throws SluiceError SLUICE_USAGE when there is no lake or the statement cannot be run; SLUICE_LAKE_DAMAGED or
 * SLUICE_LAKE_BUSY when a file is not as it was.
 */
export async function queryLake(
  folder: string,
  sql: string,
  use: (answer: QueryAnswer) => Promise<void>,
): Promise<void> {
  // Without a folder for temporary files: what people ask must not fill the disk.
  const reader = await openReader(folder, { temporaryFolder: null, isLocked: true })
  try {
    const result = await start(reader.session, sql)
    await use({ columns: result.deduplicatedColumnNames(), rows: rowsOf(reader.session, result) })
  } catch (error) {
    throw explained(error)
  } finally {
    await reader.close()
  }
}

async function start({ api, connection }: DuckDbSession, sql: string): Promise<DuckDBResult> {
  if (sql.trim() === '') throw usage('the statement is empty')
  const statements = await connection.extractStatements(sql)
  if (statements.count !== 1) throw usage(`give one statement, not ${statements.count}`)
  const prepared = await statements.prepare(0)
  if (!readsOnly(api, prepared.statementType)) {
    throw usage(
      'only statements that read are run: SELECT, WITH, FROM, DESCRIBE, SUMMARIZE, EXPLAIN',
    )
  }
  if (prepared.parameterCount > 0) throw usage('the statement has parameters; write their values')
  return prepared.stream()
}

function readsOnly(
  { StatementType }: DuckDb,
  type: DuckDBPreparedStatement['statementType'],
): boolean {
  return type === StatementType.SELECT || type === StatementType.EXPLAIN
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
