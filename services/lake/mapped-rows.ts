// Rows of CSV and Parquet files through a mapping of columns: transactions in event-time order, with the verdict of a
// label column and the score of a score column. Rows are streamed, not stored.

import { access } from 'node:fs/promises'
import { basename } from 'node:path'
import { isScore } from '../core/decision/decide.ts'
import { SluiceError } from '../core/errors.ts'
import { type ColumnMapping, findMapping, type ReplayField } from '../core/files/column-mapping.ts'
import {
  BadRow,
  badRowError,
  type BadRowReason,
  compileRowReader,
  type ReadRow,
  type ReplayRow,
} from '../core/files/row-reader.ts'
import { cellReader, type ImportMapping } from '../core/lake/import-mapping.ts'
import {
  isParquet,
  readTableRows,
  refuseOtherNames,
  unreadable,
} from '../platform/files/table-files.ts'
import { openDuckDb, temporaryFolder } from '../platform/lake/duckdb.ts'

/** Rows between two checks of the signal. */
const SIGNAL_ROWS = 4_096
/** Limit on the rows of one file for sorting in memory. */
const SORT_ROWS_MAX = 5_000_000

export interface MappedRow extends ReplayRow {
  /** NaN when the cell is empty; null when the file has no such column. */
  readonly score: number | null
  readonly line: number
}

export interface MappedRowsOptions extends MappedReaderOptions {
  readonly files: readonly string[]
  readonly delimiter: string
  /** Name of an optional column with scores from 0 to 1. */
  readonly scoreColumn: string
  /** Sort the rows of each file by time, instead of refusing files out of order. */
  readonly sort: boolean
  /** Count and skip rows that cannot be read, instead of stopping at the first. */
  readonly skipBad: boolean
  readonly onBad: (reason: BadRowReason) => void
}

/**
 * Reads the files in the order given.
 * @throws SluiceError SLUICE_INPUT_INVALID naming file, line and column of a row that cannot be read or is out of order;
 * or the signal's reason.
 */
export async function* readMappedRows(
  options: MappedRowsOptions,
  signal: AbortSignal,
): AsyncGenerator<MappedRow, void, undefined> {
  const { files, sort } = options
  for (const file of files) {
    refuseOtherNames(file)
    await access(file).catch((error: unknown) => {
      throw unreadable(file, error)
    })
  }
  const session = files.some(isParquet) ? await openDuckDb(temporaryFolder()) : null
  try {
    const reader = new MappedReader(options)
    let lastMs = -Infinity
    for (const file of files) {
      const rows = rowsOfFile(options, session, reader, file, signal)
      for await (const row of sort ? sorted(file, rows) : rows) {
        const { eventTimeMs } = row.transaction
        if (eventTimeMs < lastMs) {
          refuse(options, file, row.line, disorder(eventTimeMs, lastMs))
          continue
        }
        lastMs = eventTimeMs
        yield row
      }
    }
  } finally {
    await session?.close()
  }
}

async function* rowsOfFile(
  options: MappedRowsOptions,
  session: Parameters<typeof readTableRows>[0],
  reader: MappedReader,
  file: string,
  signal: AbortSignal,
): AsyncGenerator<MappedRow, void, undefined> {
  const { delimiter, scoreColumn, skipBad, onBad } = options
  const onBadCsv = (): void => {
    onBad('not_csv')
  }
  let read: ReturnType<MappedReader['compile']> | null = null
  let scoreAt = -1
  let count = 0
  const rows = readTableRows(session, file, delimiter, skipBad ? onBadCsv : null)
  for await (const { line, cells } of rows) {
    if (read === null) {
      read = reader.compile(file, cells)
      scoreAt = cells.indexOf(scoreColumn)
      continue
    }
    count += 1
    if (count % SIGNAL_ROWS === 0) signal.throwIfAborted()
    try {
      const row = read(cells, `${basename(file)}:${line}`)
      const score = scoreAt < 0 ? null : scoreOf(cells[scoreAt] ?? '', scoreColumn)
      yield { ...row, score, line }
    } catch (error) {
      if (!(error instanceof BadRow)) throw error
      refuse(options, file, line, error)
    }
  }
  if (read !== null) return
  throw new SluiceError(
    'SLUICE_INPUT_INVALID',
    `${file} is empty; it needs a header line and rows.`,
  )
}

/** Counts the row when bad rows are skipped; otherwise throws. */
function refuse(
  { skipBad, onBad }: MappedRowsOptions,
  file: string,
  line: number,
  row: BadRow,
): void {
  if (!skipBad) throw badRowError(file, line, row)
  onBad(row.reason)
}

async function* sorted(
  file: string,
  rows: AsyncIterable<MappedRow>,
): AsyncGenerator<MappedRow, void, undefined> {
  const all: MappedRow[] = []
  for await (const row of rows) {
    if (all.length === SORT_ROWS_MAX) {
      throw new SluiceError(
        'SLUICE_INPUT_INVALID',
        `${file} has more than ${SORT_ROWS_MAX} rows, too many for --sort; split it by time.`,
      )
    }
    all.push(row)
  }
  yield* all.sort((a, b) => a.transaction.eventTimeMs - b.transaction.eventTimeMs)
}

/** Rows must be in time order, since features are computed from earlier rows. */
function disorder(eventTimeMs: number, lastMs: number): BadRow {
  const before = new Date(lastMs).toISOString()
  const value = new Date(eventTimeMs).toISOString()
  return new BadRow('out_of_order', null, value, `is before ${before}, which came first`)
}

function scoreOf(cell: string, column: string): number {
  const text = cell.trim()
  if (text === '') return NaN
  const score = Number(text)
  if (!isScore(score)) throw new BadRow('bad_number', column, text, 'is not a score from 0 to 1')
  return score
}

export interface MappedReaderOptions {
  readonly mapping: ImportMapping
  /** Called once for each different mapping; `file` is the first with it. */
  readonly onMapping: (file: string, mapping: ColumnMapping) => void
}

/** Compiles row readers for files, and reports the mapping of their columns. */
export class MappedReader {
  readonly #options: MappedReaderOptions
  #mappingShown = ''

  constructor(options: MappedReaderOptions) {
    this.#options = options
  }

  /** The reader for files with this header. @throws SluiceError SLUICE_INPUT_INVALID when a column is missing. */
  compile(file: string, header: readonly string[]): ReadRow {
    const { mapping: given, onMapping } = this.#options
    const mapping = findMapping(file, header, given.columns, given.constants)
    const shown = JSON.stringify(mapping)
    if (shown !== this.#mappingShown) {
      this.#mappingShown = shown
      onMapping(file, mapping)
    }
    const read = compileRowReader(header, mapping, given.constants, given.amountUnit)
    const changes = (Object.entries(mapping) as [ReplayField, string][]).flatMap(
      ([field, column]) => {
        const change = cellReader(given, field)
        return change === null ? [] : [[header.indexOf(column), change] as const]
      },
    )
    if (changes.length === 0) return read
    return (cells, rowId) => {
      const changed = [...cells]
      for (const [index, change] of changes) changed[index] = change((cells[index] ?? '').trim())
      return read(changed, rowId)
    }
  }
}
