// sluice lake query: SQL over the lake.

import { once } from 'node:events'
import type { Command } from 'commander'
import { type PlainValue, type QueryAnswer, loadLakeConfig, queryLake } from '../../lake/index.ts'
import { parseInteger, printProgress } from '../command.ts'
import { tableLines } from '../table.ts'
import { lakeOption } from './lake-option.ts'

const TERMINAL_ROWS = 100
const ROWS_MAX = Number.MAX_SAFE_INTEGER

interface QueryCommandOptions {
  readonly lake?: string
  readonly json?: boolean
  readonly csv?: boolean
  readonly limit?: number
}

const EXAMPLES = `
Examples:
  $ sluice lake query "select outcome, count(*) from decisions group by all"
  $ sluice lake query "describe decisions"
  $ sluice lake query --csv "select * from transactions where day = '2026-11-25'" > day.csv
  $ sluice lake query "select d.score, l.verdict from decisions d join labels l using (transaction_id)"

The statement is DuckDB's SQL. Times are in UTC.`

/** Adds the command to its group. */
export function registerQuery(lake: Command): void {
  const command = lake
    .command('query')
    .summary('ask the lake in SQL')
    .description(
      'Runs one statement that reads, over the tables transactions, decisions, labels, dead_letters and checks as of ' +
        'the newest commit. No other file can be read. Prints a table, JSON or comma separated values.',
    )
    .argument('<sql>', 'the statement')
  lakeOption(command)
    .option('--json', 'print an array of objects')
    .option('--csv', 'print comma separated values with a heading')
    .option(
      '--limit <count>',
      `at most this many rows (default ${TERMINAL_ROWS} for a table, else all)`,
      parseInteger(0, ROWS_MAX),
    )
    .addHelpText('after', EXAMPLES)
    .action(run)
}

async function run(sql: string, options: QueryCommandOptions): Promise<void> {
  const folder = options.lake ?? loadLakeConfig(process.env).folder
  const format: OutputFormat =
    options.json === true ? 'json' : options.csv === true ? 'csv' : 'table'
  const rowsMax = options.limit ?? (format === 'table' ? TERMINAL_ROWS : ROWS_MAX)
  await queryLake(folder, sql, async (answer) => {
    const { rows, isWhole } = await writeAnswer(answer, format, rowsMax, async (line) => {
      if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain')
    })
    if (!isWhole) printProgress(`${rows} rows shown, there are more; --limit shows others`)
  })
}

// The result of a query on standard output: a table for people, JSON or CSV for programs.

type OutputFormat = 'table' | 'json' | 'csv'

/** Longest cell of a table; longer text is cut. */
const CELL_CHARACTERS_MAX = 60

/** Number of rows written, and whether there are more. */
interface Written {
  readonly rows: number
  readonly isWhole: boolean
}

/** Writes lines (without line ends) of at most `rowsMax` rows. */
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
  if (format === 'table') for (const line of answerLines(columns, taken)) await put(line)
  return { rows: count, isWhole }
}

/** A table with columns as wide as their content; numbers are aligned right. */
function answerLines(
  columns: readonly string[],
  rows: readonly (readonly PlainValue[])[],
): readonly string[] {
  const cells = [columns, ...rows.map((row) => row.map(tableCell))]
  const rules = columns.map((_, index) =>
    '-'.repeat(cells.reduce((width, row) => Math.max(width, (row[index] ?? '').length), 0)),
  )
  const isNumeric = (index: number): boolean =>
    rows.every((row) => row[index] === null || typeof row[index] === 'number')
  const align = columns.map((_, index) => (isNumeric(index) ? 'r' : 'l')).join('')
  return tableLines([columns, rules, ...cells.slice(1)], { align })
}

function jsonRow(columns: readonly string[], row: readonly PlainValue[]): string {
  const entries = columns.map((name, index) => [name, row[index] ?? null] as const)
  return `  ${JSON.stringify(Object.fromEntries(entries))}`
}

function tableCell(value: PlainValue): string {
  const text = textOf(value).replaceAll(/\s+/g, ' ')
  return text.length > CELL_CHARACTERS_MAX ? `${text.slice(0, CELL_CHARACTERS_MAX - 1)}…` : text
}

/** Spreadsheets treat text that begins with these characters as a formula, and run it when the file is opened. */
const FORMULA = /^[=+\-@\t\r]/
const NUMBER = /^[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?$/i

/** Text that a spreadsheet would run gets a leading apostrophe, which makes it plain text. Numbers stay unchanged. */
function csvCell(value: PlainValue): string {
  const plain = textOf(value)
  const text = FORMULA.test(plain) && !NUMBER.test(plain) ? `'${plain}` : plain
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

function textOf(value: PlainValue): string {
  if (value === null) return ''
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}
