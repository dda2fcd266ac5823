// Rows of others' files as text cells, the header first: CSV as it is, Parquet with every value as DuckDB writes it.

import { SluiceError } from '../core/errors.ts'
import { sqlText, type DuckDbSession } from '../platform/lake/duckdb.ts'
import { readCsvRows, type CsvRow } from '../platform/files/csv-files.ts'
import { duckDbProblem } from './read-failure.ts'

export const IMPORTED_NAMES = /\.(csv|csv\.gz|csv\.gzip|parquet)$/i

/** `line` counts from 1, the header included, in both kinds. */
export async function* readImportRows(
  session: DuckDbSession,
  file: string,
  delimiter: string,
  onBadCsv: (() => void) | null,
): AsyncGenerator<CsvRow, void, undefined> {
  if (!/\.parquet$/i.test(file)) {
    yield* readCsvRows(file, delimiter, onBadCsv)
    return
  }
  const connection = await session.connect()
  try {
    await connection.run("SET TimeZone = 'UTC'")
    const result = await connection.stream(
      `SELECT CAST(COLUMNS(*) AS VARCHAR) FROM read_parquet(${sqlText(file)}, hive_partitioning = false)`,
    )
    yield { line: 1, cells: result.columnNames() }
    const isFloat = result.columnCount > 0 ? await floatsOf(session, file) : []
    let line = 1
    for await (const rows of result.yieldRows()) {
      for (const row of rows) {
        line += 1
        yield { line, cells: row.map((cell, index) => cellOf(cell, isFloat[index] === true)) }
      }
    }
  } catch (error) {
    const problem = duckDbProblem(error)
    if (problem === null) throw error
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `${file} cannot be read as Parquet (${problem}); fetch it again, or convert it to CSV.`,
      { cause: error },
    )
  } finally {
    connection.closeSync()
  }
}

/** A float that is whole is `12.0`; without that an amount without decimals could not be one. */
function cellOf(cell: unknown, isFloat: boolean): string {
  if (cell === null || cell === undefined) return ''
  const text = typeof cell === 'string' ? cell : JSON.stringify(cell)
  return isFloat ? text.replace(/\.0$/, '') : text
}

async function floatsOf(session: DuckDbSession, file: string): Promise<readonly boolean[]> {
  const columns = await session.rows(
    `DESCRIBE SELECT * FROM read_parquet(${sqlText(file)}, hive_partitioning = false)`,
  )
  return columns.map(([, type]) => type === 'DOUBLE' || type === 'FLOAT')
}
