// Finds the files of a replay and streams their rows: plain or gzip, distinguished by their first bytes.

import { createReadStream } from 'node:fs'
import { open, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { pipeline } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { CsvError, parse } from 'csv-parse'
import { SluiceError } from '../../core/errors.ts'
import { BadRow, badRowError } from '../../core/files/row-reader.ts'
import { rangeOfName } from '../../core/files/event-time.ts'
import type { TimeRange } from '../../core/files/event-time.ts'

const FILES_MAX = 100_000
const ROW_BYTES_MAX = 65_536
const GZIP_MAGIC = 0x1f8b
const CSV_NAME = /\.(csv|csv\.gz|csv\.gzip)$/i

/** A row's cells and the line on which it ends, counted from 1 with the header. */
export interface CsvRow {
  readonly line: number
  readonly cells: readonly string[]
}

/**
 * The files to read, in order; a folder contributes its CSV files sorted by name. Files whose name holds a day or month
 * outside the bounds are left out without being opened. @throws SluiceError SLUICE_INPUT_INVALID when a path does not
 * exist or nothing is left to read.
 */
export async function listCsvFiles(
  paths: readonly string[],
  bounds: TimeRange,
): Promise<readonly string[]> {
  const files: string[] = []
  for (const path of paths) {
    const found = await filesAt(path)
    if (files.length + found.length > FILES_MAX) {
      throw invalid(`There are more than ${FILES_MAX} files; replay fewer folders at a time.`)
    }
    files.push(...found)
  }
  const wanted = files.filter((file) => {
    const range = rangeOfName(basename(file))
    return range === null || (range.fromMs < bounds.endMs && range.endMs > bounds.fromMs)
  })
  if (wanted.length > 0) return wanted
  throw invalid(
    files.length === 0
      ? `${paths.join(', ')} holds no CSV file; name files that end in .csv or .csv.gz.`
      : `None of the ${files.length} files is within the dates asked for, by their names; ` +
          'change --from and --to.',
  )
}

/**
 * Streams the rows, the header first. Invalid rows go to `onBadCsv` if it is given. @throws SluiceError
 * SLUICE_INPUT_INVALID when the file cannot be read or a row is not CSV.
 */
export async function* readCsvRows(
  file: string,
  delimiter: string,
  onBadCsv: (() => void) | null,
): AsyncGenerator<CsvRow, void, undefined> {
  const parser = parse({
    bom: true,
    delimiter,
    info: true,
    // The mapping code checks the number of cells, since its message is better.
    relax_column_count: true,
    skip_empty_lines: true,
    skip_records_with_error: onBadCsv !== null,
    max_record_size: ROW_BYTES_MAX,
    on_skip: () => {
      onBadCsv?.()
      return undefined
    },
  })
  // The parser passes its errors, and those of the streams before it, to its reader.
  const done = (): void => undefined
  const bytes = createReadStream(file)
  if (await isGzip(file)) pipeline(bytes, createGunzip(), parser, done)
  else pipeline(bytes, parser, done)
  try {
    for await (const entry of parser as AsyncIterable<ParsedEntry>) {
      yield { line: entry.info.lines, cells: entry.record }
    }
  } catch (error) {
    throw readError(file, error)
  }
}

interface ParsedEntry {
  readonly info: { readonly lines: number }
  readonly record: readonly string[]
}

async function filesAt(path: string): Promise<readonly string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path]
    const names = await readdir(path)
    return names
      .filter((name) => CSV_NAME.test(name))
      .sort()
      .map((name) => join(path, name))
  } catch (error) {
    throw readError(path, error)
  }
}

async function isGzip(file: string): Promise<boolean> {
  try {
    const handle = await open(file)
    try {
      const { bytesRead, buffer } = await handle.read(Buffer.alloc(2), 0, 2, 0)
      return bytesRead === 2 && buffer.readUInt16BE(0) === GZIP_MAGIC
    } finally {
      await handle.close()
    }
  } catch (error) {
    throw readError(file, error)
  }
}

function readError(path: string, error: unknown): unknown {
  if (error instanceof CsvError) {
    const line = typeof error['lines'] === 'number' ? error['lines'] : 0
    // The parser's message may repeat the cell, so only its code is passed on.
    const row = new BadRow('not_csv', null, null, `the row is no CSV (${error.code})`)
    return badRowError(path, line, row)
  }
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  const problem = READ_PROBLEMS[code]
  if (problem === undefined) return error
  return invalid(`${path} ${problem}`, error)
}

const READ_PROBLEMS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist; give a CSV file, or a folder of them.',
  EACCES: 'may not be read; change its permissions.',
  EISDIR: 'is a folder inside a folder; give it by itself.',
  Z_DATA_ERROR: 'is damaged: its gzip data cannot be read; fetch it again.',
  Z_BUF_ERROR: 'is cut short: its gzip data ends too early; fetch it again.',
}

function invalid(message: string, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_INPUT_INVALID', message, { cause })
}
