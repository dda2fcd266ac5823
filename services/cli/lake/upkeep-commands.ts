// Commands that maintain the lake: compact, check, erase.

import { type Command, InvalidArgumentError, Option } from 'commander'
import { SluiceError } from '../../core/errors.ts'
import type { CheckResult } from '../../core/lake/lake-checks.ts'
import { type LakeErasure, totalRows } from '../../core/lake/lake-log.ts'
import { LAKE_TABLES, type LakeTable } from '../../core/lake/lake-tables.ts'
import {
  COMPACTION_DEFAULTS,
  type EraseProgress,
  type EraseSummary,
  type LakeReport,
  checkLake,
  compactLake,
  eraseOrAsk,
  eraseRequest,
  erasedRows,
  findInLake,
  loadLakeConfig,
  recordResults,
} from '../../lake/index.ts'
import { systemClock } from '../../platform/clock.ts'
import { interruptSignal, parseInteger, printJson, printLine, printProgress } from '../command.ts'
import { printTable } from '../table.ts'
import { lakeOption } from './lake-option.ts'

// sluice lake compact: merges the small files of a day.

const FILES_MIN_MAX = 1_000_000
const ROWS_MAX_MAX = 1_000_000_000
const MIB = 1024 * 1024

interface CompactCommandOptions {
  readonly lake?: string
  readonly filesMin: number
  readonly rowsMax: number
  readonly json?: boolean
}

const COMPACT_EXAMPLES = `
Examples:
  $ sluice lake compact
  $ sluice lake compact --files-min 8

An ingest that runs on writes to the lake all the time; give it --compact-every instead.`

/** Adds the command to its group. */
export function registerCompact(lake: Command): void {
  const command = lake
    .command('compact')
    .summary('make one file of the small ones of a day')
    .description(
      'Merges the files of each table and day, ordered by time. Readers that go by the log (sluice lake query, check, ' +
        'train --lake) see each row once at any moment.',
    )
  lakeOption(command)
    .option(
      '--files-min <count>',
      'leave days with fewer files as they are',
      parseInteger(2, FILES_MIN_MAX),
      COMPACTION_DEFAULTS.filesMin,
    )
    .option(
      '--rows-max <count>',
      'make no file with more rows',
      parseInteger(1, ROWS_MAX_MAX),
      COMPACTION_DEFAULTS.rowsMax,
    )
    .option('--json', 'print what was done as JSON')
    .addHelpText('after', COMPACT_EXAMPLES)
    .action(runCompact)
}

async function runCompact(options: CompactCommandOptions): Promise<void> {
  const folder = options.lake ?? loadLakeConfig(process.env).folder
  const { filesMin, rowsMax } = options
  const merges = await compactLake(
    {
      folder,
      rule: { filesMin, rowsMax },
      clock: systemClock,
      onMerge: ({ table, day, filesBefore, rows, bytesBefore, bytes }) => {
        printProgress(
          `${table} ${day}: ${filesBefore} files, ${mib(bytesBefore)} MiB to 1, ${mib(bytes)} MiB, ${rows} rows`,
        )
      },
    },
    interruptSignal(),
  )
  if (options.json === true) printJson({ lake: folder, merges })
  else {
    const before = merges.reduce((sum, { filesBefore }) => sum + filesBefore, 0)
    printLine(`${folder}: ${before} files became ${merges.length}`)
  }
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1)
}

// sluice lake check: verifies the files and tables.

const FAILED_SHOWN_MAX = 50
const ERASURES_SHOWN_MAX = 20

interface CheckCommandOptions {
  readonly lake?: string
  readonly table?: LakeTable
  readonly day?: string
  readonly keep?: boolean
  readonly json?: boolean
}

const CHECK_EXAMPLES = `
Examples:
  $ sluice lake check
  $ sluice lake check --table decisions --day 2026-11-25
  $ sluice lake check --keep --json

Exit code 1 when a check fails. What each check means: docs/lake.md.`

/** Adds the command to its group. */
export function registerCheck(lake: Command): void {
  const command = lake
    .command('check')
    .summary('verify files and tables, and show the recorded checks')
    .description(
      'Checks every file (presence, size and digest, readability, rows), and then the tables: no repeated row, no ' +
        'missing offset, an answer for each transaction. Shows the checks of each ingested batch.',
    )
  lakeOption(command)
    .addOption(new Option('--table <name>', 'only files of this table').choices(LAKE_TABLES))
    .option('--day <date>', 'only files of this day', dayOption)
    .option('--keep', 'add the results to the table of checks')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', CHECK_EXAMPLES)
    .action(runCheck)
}

function dayOption(text: string): string {
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return text
  throw new InvalidArgumentError('Give a day such as 2026-11-25.')
}

async function runCheck(options: CheckCommandOptions): Promise<void> {
  const folder = options.lake ?? loadLakeConfig(process.env).folder
  const { table = null, day = null } = options
  const report = await checkLake(
    { folder, table, day, onProgress: printProgress },
    interruptSignal(),
  )
  if (options.keep === true) await recordResults(folder, systemClock, report.results)
  const failed = report.results.filter(({ status }) => status === 'failed')
  if (options.json === true) printJson({ lake: folder, ...report })
  else printReport(folder, report, failed)
  if (failed.length > 0) {
    throw new SluiceError(
      'SLUICE_LAKE_DAMAGED',
      `${folder}: ${failed.length} of ${report.results.length} checks failed. Put the files back from a copy, or fill a new ` +
        'lake from the topics.',
    )
  }
}

function printErasures(erasures: readonly LakeErasure[]): void {
  printLine('')
  printLine('Erasures:')
  const cells = erasures
    .slice(-ERASURES_SHOWN_MAX)
    .map(({ id, lastMs, reference, rows, files }) => [
      new Date(lastMs).toISOString(),
      id,
      reference ?? '',
      String(totalRows(rows)),
      String(files),
    ])
  printTable([['when', 'erasure', 'reference', 'rows', 'files'], ...cells], { align: 'lllrr' })
  const left = erasures.length - cells.length
  if (left > 0) printLine(`and ${left} older ones; --json shows all`)
}

function printReport(folder: string, report: LakeReport, failed: readonly CheckResult[]): void {
  const { files, rows, bytes, commit, recorded, results } = report
  printLine(
    `${folder} as of commit ${commit}: ${files} files, ${rows} rows, ${(bytes / MIB).toFixed(1)} MiB`,
  )
  if (recorded.length > 0) {
    printLine('')
    printLine('Recorded checks:')
    const cells = recorded.map(({ table, check, status, count }) => [
      table,
      check,
      status,
      String(count),
    ])
    printTable([['table', 'check', 'status', 'count'], ...cells], { align: 'lllr' })
  }
  if (report.erasures.length > 0) printErasures(report.erasures)
  printLine('')
  printLine(`Now: ${results.length} checks, ${failed.length} failed`)
  for (const { table, file, range, name, found, expected, detail } of failed.slice(
    0,
    FAILED_SHOWN_MAX,
  )) {
    const where = file ?? `${table}${range === null ? '' : ` partition ${range.partition}`}`
    printLine(`  ${name}  ${where}: found ${found}, expected ${expected}; ${detail}`)
  }
  if (failed.length > FAILED_SHOWN_MAX) {
    printLine(`  and ${failed.length - FAILED_SHOWN_MAX} more; --json shows all`)
  }
}

// sluice lake erase: removes the rows of a card from every table.

interface EraseCommandOptions {
  readonly lake?: string
  readonly card: string
  readonly reference?: string
  readonly dryRun?: boolean
  readonly json?: boolean
}

const ERASE_EXAMPLES = `
Examples:
  $ sluice lake erase --card card-00042 --dry-run
  $ sluice lake erase --card card-00042 --reference "request 2026-117"
  $ sluice lake erase --card card-00042 --json

What is killed in the middle is ended by running it again. Copies of decision batches: "sluice audit erase". What Kafka
holds ends with retention. More: docs/lake.md.`

/** Adds the command to its group. */
export function registerErase(lake: Command): void {
  const command = lake
    .command('erase')
    .summary("remove a card's rows from every table")
    .description(
      'Rewrites the files that hold the card without its transactions, decisions, labels and dead letters, and ' +
        'records the number of erased rows and the time, but not the card.',
    )
    .requiredOption('--card <token>', 'card to erase')
    .option('--reference <text>', 'reference for the record, such as the number of a request')
  lakeOption(command)
    .option('--dry-run', 'show what would be erased, and change nothing')
    .option('--json', 'print what was done as JSON')
    .addHelpText('after', ERASE_EXAMPLES)
    .action(runErase)
}

async function runErase(options: EraseCommandOptions): Promise<void> {
  const folder = options.lake ?? loadLakeConfig(process.env).folder
  const isDryRun = options.dryRun === true
  const request = eraseRequest(options.card, options.reference ?? null)
  const summary = isDryRun
    ? await findInLake(folder, request)
    : await eraseOrAsk(
        {
          folder,
          request,
          clock: systemClock,
          onAsked: () => {
            printProgress('the writer that runs was asked, and erases between two of its commits')
          },
          onStep: (progress) => {
            printProgress(stepLine(progress))
          },
        },
        interruptSignal(),
      )
  if (options.json === true) printJson({ lake: folder, dryRun: isDryRun, ...summary })
  else printLine(`${folder}: ${summaryText(summary, isDryRun)}`)
}

function stepLine({ step, steps, commit, files, rows }: EraseProgress): string {
  return `${step} of ${steps}: commit ${commit}, ${rows} rows out of ${files} files`
}

function summaryText(summary: EraseSummary, isDryRun: boolean): string {
  if (erasedRows(summary) === 0) return 'no row of this card'
  const { transactions, decisions, labels, dead_letters: deadLetters } = summary.rows
  return (
    `${transactions} transactions, ${decisions} decisions, ${labels} labels and ${deadLetters} dead letters ` +
    `${isDryRun ? 'would be' : 'were'} erased from ${summary.files} files${isDryRun ? '' : `; erasure ${summary.id}`}`
  )
}
