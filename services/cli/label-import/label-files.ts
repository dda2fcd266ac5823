// Reads the labels of files by a mapping: CSV and Parquet, whose rows have the names of the columns, and lines of JSON.

import { access } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Mapped, MapMessage } from '../../core/mapping/compile-mapping.ts'
import { jsonOf, rowOf } from '../../core/mapping/message-decoder.ts'
import type { MappingInput } from '../../core/mapping/message-path.ts'
import {
  isParquet,
  readTableRows,
  refuseOtherNames,
  unreadable,
} from '../../platform/files/table-files.ts'
import { linesOf } from '../../platform/files/text-lines.ts'
import { openDuckDb, temporaryFolder } from '../../platform/lake/duckdb.ts'

const JSON_LINES = /\.(jsonl|ndjson)$/i
/** Rows between two checks of the signal. */
const SIGNAL_ROWS = 4_096
const NO_HEADERS: Readonly<Record<string, string>> = {}

/** A row as a mapping sees it; the file and the line stand for topic and offset. */
interface FileRow {
  readonly place: string
  readonly mapped: Mapped
}

export interface LabelFilesOptions {
  readonly files: readonly string[]
  readonly delimiter: string
  readonly map: MapMessage
  /** Stands for the time stamp of a message: when a row without `knownAt` became known. */
  readonly nowMs: number
}

/** @throws SluiceError SLUICE_INPUT_INVALID for a file that is missing or of another type, before anything is read */
export async function checkFiles(files: readonly string[]): Promise<void> {
  for (const file of files) {
    if (!JSON_LINES.test(file)) refuseOtherNames(file)
    await access(file).catch((error: unknown) => {
      throw unreadable(file, error)
    })
  }
}

/** Maps every row, in the order of the files. @throws SluiceError SLUICE_INPUT_INVALID, or the signal's reason */
export async function* mapFiles(
  { files, delimiter, map, nowMs }: LabelFilesOptions,
  signal: AbortSignal,
): AsyncGenerator<FileRow, void, undefined> {
  const session = files.some(isParquet) ? await openDuckDb(temporaryFolder()) : null
  try {
    let count = 0
    for (const file of files) {
      const name = basename(file)
      const rows = JSON_LINES.test(file) ? jsonRows(file) : tableRows(session, file, delimiter)
      for await (const { line, message } of rows) {
        const place = `${name}:${line}`
        yield { place, mapped: mappedOf(message, name, line, nowMs, map) }
        count += 1
        if (count % SIGNAL_ROWS === 0) signal.throwIfAborted()
      }
    }
  } finally {
    await session?.close()
  }
}

interface Row {
  readonly line: number
  /** A fault of the form, or the cells by name. */
  readonly message: unknown
}

/** Stands for a row that cannot be read. */
const UNREADABLE = Symbol('unreadable')

function mappedOf(
  message: unknown,
  topic: string,
  offset: number,
  timestampMs: number,
  map: MapMessage,
): Mapped {
  if (message === UNREADABLE) {
    const problem = 'has another number of cells than the header, or is no JSON'
    return { kind: 'refused', reason: 'malformed', field: null, problem, rule: null }
  }
  const envelope = { topic, partition: 0, offset, timestampMs, key: null, headers: NO_HEADERS }
  const input: MappingInput = { message, ...envelope }
  return map(input)
}

async function* jsonRows(file: string): AsyncGenerator<Row, void, undefined> {
  let line = 0
  for await (const text of linesOf(file, Infinity)) {
    line += 1
    if (text.trim() === '') continue
    yield { line, message: messageOf(text) }
  }
}

/** As `jsonOf`, for a line that may be no JSON. */
function messageOf(text: string): unknown {
  try {
    return jsonOf(text)
  } catch {
    return UNREADABLE
  }
}

async function* tableRows(
  session: Parameters<typeof readTableRows>[0],
  file: string,
  delimiter: string,
): AsyncGenerator<Row, void, undefined> {
  let columns: readonly string[] | null = null
  for await (const { line, cells } of readTableRows(session, file, delimiter, null)) {
    if (columns === null) columns = cells
    else if (cells.length !== columns.length) yield { line, message: UNREADABLE }
    else yield { line, message: rowOf(columns, cells) }
  }
}
