// Rows of others' files one after the other, for who looks at them without keeping them: transactions in the order of
// event time, with what a label column says and a score where a column has one.

import { access } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename } from 'node:path'
import { BadRow, badRowError, type BadRowReason } from '../core/files/bad-row.ts'
import { SluiceError } from '../core/errors.ts'
import type { ReplayRow } from '../core/files/row-reader.ts'
import { isScore } from '../core/decision/decide.ts'
import { openDuckDb } from '../platform/lake/duckdb.ts'
import { temporaryFolder } from './folders.ts'
import { isParquet, readImportRows, refuseOtherNames, unreadable } from './import-rows.ts'
import { MappedReader, type MappedReaderOptions } from './mapped-reader.ts'

/** Rows between two looks at the signal. */
const SIGNAL_ROWS = 4_096
/** Rows of one file that are sorted in memory. */
const SORT_ROWS_MAX = 5_000_000

export interface MappedRow extends ReplayRow {
  /** NaN where the cell is empty; null where the file has no such column. */
  readonly score: number | null
  readonly line: number
}

export interface MappedRowsOptions extends MappedReaderOptions {
  readonly files: readonly string[]
  readonly delimiter: string
  /** Column with scores, 0 to 1, where a file has it. */
  readonly scoreColumn: string
  /** Order the rows of each file by time instead of refusing files that are not in order. */
  readonly sort: boolean
  /** Count rows that cannot be read and leave them out, instead of stopping at the first. */
  readonly skipBad: boolean
  readonly onBad: (reason: BadRowReason) => void
}

/**
 * Reads the files in the order given.
 * @throws SluiceError SLUICE_INPUT_INVALID naming file, line and column of a row that cannot be read or comes before
 * the one before it in time; or the signal's reason.
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
  const session = files.some(isParquet) ? await openDuckDb(temporaryFolder(tmpdir())) : null
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
  session: Parameters<typeof readImportRows>[0],
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
  const rows = readImportRows(session, file, delimiter, skipBad ? onBadCsv : null)
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

/** Counts the row when such rows are left out; else throws. */
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

/** Features are what was known before a row, so rows must come as time went. */
function disorder(eventTimeMs: number, lastMs: number): BadRow {
  const before = new Date(lastMs).toISOString()
  const value = new Date(eventTimeMs).toISOString()
  return new BadRow('out_of_order', null, value, `is before ${before}, which came first`)
}

function scoreOf(cell: string, column: string): number {
  const text = cell.trim()
  if (text === '') return NaN
  const score = Number(text)
  if (!isScore(score)) throw new BadRow('bad_number', column, text, 'is no score from 0 to 1')
  return score
}
