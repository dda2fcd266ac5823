// Decoders of messages without schemas from a registry: JSON, and lines of CSV.

import { isUtf8 } from 'node:buffer'
import type { MappingSource } from './mapping-document.ts'
import { MappingRefusal } from './mapping-refusal.ts'

/** Largest message, bytes. */
export const MESSAGE_BYTES_MAX = 1024 * 1024

/** Bytes before a framed message: a zero byte and the id of its schema. */
const FRAME_BYTES = 5

/** Decodes the messages of one topic. */
export interface MessageDecoder {
  /** Waits for what is needed to decode these messages, such as their schemas; null when nothing is missing. */
  prepare(values: readonly (Buffer | null)[], signal: AbortSignal): Promise<void> | null
  /** @throws MappingRefusal */
  decode(value: Buffer): unknown
}

/** @throws MappingRefusal `empty` for a tombstone, `too_large` */
export function boundedValue(value: Buffer | null): Buffer {
  if (value === null || value.length === 0)
    throw new MappingRefusal('empty', null, 'has no value, as a tombstone')
  if (value.length <= MESSAGE_BYTES_MAX) return value
  throw new MappingRefusal('too_large', null, `has more than ${MESSAGE_BYTES_MAX} bytes`)
}

/** The decoder of JSON; framing is skipped, since JSON needs no schema to be read. */
export function jsonDecoder({ framing }: Pick<MappingSource, 'framing'>): MessageDecoder {
  const isFramed = framing === 'confluent'
  return {
    prepare: () => null,
    decode(value) {
      if (isFramed && (value.length < FRAME_BYTES || value[0] !== 0))
        throw new MappingRefusal('not_framed', null, 'does not begin with the id of a schema')
      return jsonOf(textOfBytes(isFramed ? value.subarray(FRAME_BYTES) : value))
    },
  }
}

/** @throws MappingRefusal */
export function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new MappingRefusal('malformed', null, 'is no JSON')
  }
}

/** The decoder of one line of CSV each. */
export function csvDecoder({
  columns,
  delimiter,
}: Pick<MappingSource, 'columns' | 'delimiter'>): MessageDecoder {
  return {
    prepare: () => null,
    decode(value) {
      const cells = csvCells(textOfBytes(value).replace(/\r?\n$/, ''), delimiter)
      if (cells?.length !== columns.length) {
        const problem = `is no line of CSV with ${columns.length} cells`
        throw new MappingRefusal('malformed', null, problem)
      }
      return rowOf(columns, cells)
    },
  }
}

/** The cells of a row under the names of their columns. */
export function rowOf(
  columns: readonly string[],
  cells: readonly string[],
): Readonly<Record<string, string>> {
  const row: Record<string, string> = {}
  for (const [index, column] of columns.entries()) row[column] = cells[index] ?? ''
  return row
}

function textOfBytes(value: Buffer): string {
  if (!isUtf8(value)) throw new MappingRefusal('malformed', null, 'is no UTF-8')
  return value.toString('utf8')
}

/** The cells of one line, with quotes as RFC 4180 has them; null when a quote is not closed or follows other text. */
export function csvCells(line: string, delimiter: string): readonly string[] | null {
  if (!line.includes('"')) return line.split(delimiter)
  const cells: string[] = []
  for (let at = 0; ;) {
    if (line[at] !== '"') {
      const end = line.indexOf(delimiter, at)
      const cell = end < 0 ? line.slice(at) : line.slice(at, end)
      if (cell.includes('"')) return null
      cells.push(cell)
      if (end < 0) return cells
      at = end + 1
      continue
    }
    const closed = closingQuote(line, at + 1)
    if (closed < 0) return null
    cells.push(line.slice(at + 1, closed).replaceAll('""', '"'))
    if (closed + 1 === line.length) return cells
    if (line[closed + 1] !== delimiter) return null
    at = closed + 2
  }
}

/** Index of the quote that ends a cell, -1 for none. Two quotes stand for one. */
function closingQuote(line: string, from: number): number {
  for (let at = line.indexOf('"', from); at >= 0; at = line.indexOf('"', at + 2)) {
    if (line[at + 1] !== '"') return at
  }
  return -1
}
