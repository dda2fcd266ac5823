// Aligned columns on a terminal. The only code that pads cells.

import { stripVTControlCharacters } from 'node:util'
import { printLine } from './command.ts'

/** Alignment and widths of a table. */
export interface TableForm {
  /** One letter per column: r aligns right; anything else, or nothing, aligns left. */
  readonly align?: string
  readonly indent?: string
  /** Least widths; needed when a line is printed before the others are known. */
  readonly widths?: readonly number[]
}

/** One line per row, with every column as wide as its widest cell. A row of one cell is a heading over all columns. */
export function tableLines(
  rows: readonly (readonly string[])[],
  form: TableForm = {},
): readonly string[] {
  const widths = [...(form.widths ?? [])]
  for (const row of rows) {
    if (row.length === 1) continue
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, shownLength(cell))
    }
  }
  return rows.map((row) => tableLine(row, { ...form, widths }))
}

/** One row by itself. A cell wider than its column shifts the rest of its line. */
export function tableLine(cells: readonly string[], form: TableForm): string {
  const { align = '', indent = '', widths = [] } = form
  if (cells.length === 1) return cells.join('')
  const padded = cells.map((cell, column) => {
    const space = ' '.repeat(Math.max(0, (widths[column] ?? 0) - shownLength(cell)))
    return align[column] === 'r' ? space + cell : cell + space
  })
  return `${indent}${padded.join('  ')}`.trimEnd()
}

/** Prints a table on standard output. */
export function printTable(rows: readonly (readonly string[])[], form?: TableForm): void {
  for (const line of tableLines(rows, form)) printLine(line)
}

/** Colour codes take no room. */
function shownLength(cell: string): number {
  return stripVTControlCharacters(cell).length
}
