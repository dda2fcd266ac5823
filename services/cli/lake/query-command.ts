// sluice lake query: SQL over the lake.

import { once } from 'node:events'
import type { Command } from 'commander'
import { loadLakeConfig, queryLake } from '../../lake/index.ts'
import { parseInteger, printProgress } from '../command.ts'
import { lakeOption } from './lake-option.ts'
import { writeAnswer, type OutputFormat } from './query-output.ts'

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
