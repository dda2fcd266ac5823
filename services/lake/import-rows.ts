// Rows of others' files as text cells, the header first: CSV as it is, Parquet with every value as DuckDB writes it.

import { SluiceError } from '../core/errors.ts'
import { sqlText, type DuckDbSession } from '../platform/lake/duckdb.ts'
import { readCsvRows, type CsvRow } from '../platform/files/csv-files.ts'
import { duckDbProblem } from './read-failure.ts'

const IMPORTED_NAMES = /\.(csv|csv\.gz|csv\.gzip|parquet)$/i
const PARQUET_NAME = /\.parquet$/i

/** @throws SluiceError SLUICE_INPUT_INVALID for a file that is neither CSV nor Parquet by its name. */
export function refuseOtherNames(file: string): void {
  if (IMPORTED_NAMES.test(file)) return
  throw new SluiceError(
    'SLUICE_INPUT_INVALID',
    `${file} ends in neither .csv, .csv.gz nor .parquet; give such files.`,
  )
}

/** The error for a file that is not there, or may not be read. */
export function unreadable(file: string, cause: unknown): SluiceError {
  return new SluiceError('SLUICE_INPUT_INVALID', `${file} cannot be read; correct its path.`, {
    cause,
  })
}

/** True where DuckDB is needed to read it. */
export function isParquet(file: string): boolean {
  return PARQUET_NAME.test(file)
}

/** `line` counts from 1, the header included, in both kinds. @param session for Parquet only. */
export async function* readImportRows(
  session: DuckDbSession | null,
  file: string,
  delimiter: string,
  onBadCsv: (() => void) | null,
): AsyncGenerator<CsvRow, void, undefined> {
  if (session === null || !isParquet(file)) {
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
