// Rows of tables in files as text cells, the header first: CSV unchanged, Parquet with every value as DuckDB casts it to
// text.

import { SluiceError } from '../../core/errors.ts'
import { duckDbProblem, type DuckDbSession, sqlText } from '../lake/duckdb.ts'
import { type CsvRow, readCsvRows } from './csv-files.ts'

const TABLE_NAMES = /\.(csv|csv\.gz|csv\.gzip|parquet)$/i
const PARQUET_NAME = /\.parquet$/i

/** @throws SluiceError SLUICE_INPUT_INVALID for a file whose name is neither CSV nor Parquet. */
export function refuseOtherNames(file: string): void {
  if (TABLE_NAMES.test(file)) return
  throw new SluiceError(
    'SLUICE_INPUT_INVALID',
    `${file} is not a .csv, .csv.gz or .parquet file; give files of these types.`,
  )
}

/** The error for a file that is missing or not readable. */
export function unreadable(file: string, cause: unknown): SluiceError {
  return new SluiceError('SLUICE_INPUT_INVALID', `${file} cannot be read; correct its path.`, {
    cause,
  })
}

/** True when DuckDB is needed to read the file. */
export function isParquet(file: string): boolean {
  return PARQUET_NAME.test(file)
}

/** `line` counts from 1, the header included, in both kinds. @param session for Parquet only. */
export async function* readTableRows(
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
      `${file} cannot be read as Parquet (${problem}); download it again, or convert it to CSV.`,
      { cause: error },
    )
  } finally {
    connection.closeSync()
  }
}

/** A whole float is cast to `12.0`; the suffix is removed so that currencies without decimals are accepted. */
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
