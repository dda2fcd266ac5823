// An answer of the lake on standard output: a table for people, JSON or CSV for programs.

import type { QueryAnswer } from '../../lake/index.ts'
import type { PlainValue } from '../../lake/index.ts'

export type OutputFormat = 'table' | 'json' | 'csv'

/** Longest cell of a table; the rest is cut. */
const CELL_CHARACTERS_MAX = 60

/** How many rows were written, and whether there are more. */
export interface Written {
  readonly rows: number
  readonly isWhole: boolean
}

/** Hands out lines (without line ends); at most `rowsMax` rows. */
export async function writeAnswer(
  { columns, rows }: QueryAnswer,
  format: OutputFormat,
  rowsMax: number,
  put: (line: string) => void | Promise<void>,
): Promise<Written> {
  const taken: (readonly PlainValue[])[] = []
  let count = 0
  let isWhole = true
  if (format === 'csv') await put(columns.map(csvCell).join(','))
  if (format === 'json') await put('[')
  let waiting: string | null = null
  for await (const row of rows) {
    if (count === rowsMax) {
      isWhole = false
      break
    }
    count += 1
    if (format === 'table') taken.push(row)
    else if (format === 'csv') await put(row.map(csvCell).join(','))
    else {
      if (waiting !== null) await put(`${waiting},`)
      waiting = jsonRow(columns, row)
    }
  }
  if (waiting !== null) await put(waiting)
  if (format === 'json') await put(']')
  if (format === 'table') for (const line of tableLines(columns, taken)) await put(line)
  return { rows: count, isWhole }
}

/** Columns as wide as what is in them; numbers to the right. */
export function tableLines(
  columns: readonly string[],
  rows: readonly (readonly PlainValue[])[],
): readonly string[] {
  const cells = rows.map((row) => row.map(tableCell))
  const widths = columns.map((name, index) =>
    Math.max(name.length, ...cells.map((row) => row[index]?.length ?? 0)),
  )
  const isNumeric = columns.map((_, index) =>
    rows.every((row) => row[index] === null || typeof row[index] === 'number'),
  )
  const line = (texts: readonly string[]): string =>
    texts
      .map((text, index) => {
        const width = widths[index] ?? 0
        return isNumeric[index] === true ? text.padStart(width) : text.padEnd(width)
      })
      .join('  ')
      .trimEnd()
  return [line(columns), line(widths.map((width) => '-'.repeat(width))), ...cells.map(line)]
}

function jsonRow(columns: readonly string[], row: readonly PlainValue[]): string {
  const entries = columns.map((name, index) => [name, row[index] ?? null] as const)
  return `  ${JSON.stringify(Object.fromEntries(entries))}`
}

function tableCell(value: PlainValue): string {
  const text = textOf(value).replaceAll(/\s+/g, ' ')
  return text.length > CELL_CHARACTERS_MAX ? `${text.slice(0, CELL_CHARACTERS_MAX - 1)}…` : text
}

function csvCell(value: PlainValue): string {
  const text = textOf(value)
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function textOf(value: PlainValue): string {
  if (value === null) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
