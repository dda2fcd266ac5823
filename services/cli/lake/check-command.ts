// sluice lake check: are the files and tables what they should be.

import { Option, InvalidArgumentError, type Command } from 'commander'
import { type LakeErasure, totalRows } from '../../core/lake/lake-log.ts'
import type { CheckResult } from '../../core/lake/lake-checks.ts'
import { LAKE_TABLES, type LakeTable } from '../../core/lake/lake-tables.ts'
import { SluiceError } from '../../core/errors.ts'
import { checkLake, recordResults, loadLakeConfig, type LakeReport } from '../../lake/index.ts'
import { systemClock } from '../../platform/clock.ts'
import { interruptSignal, printJson, printLine, printProgress } from '../command.ts'
import { printTable } from '../table.ts'
import { lakeOption } from './lake-option.ts'

const MIB = 1024 * 1024
const FAILED_SHOWN_MAX = 50
const ERASURES_SHOWN_MAX = 20

interface CheckCommandOptions {
  readonly lake?: string
  readonly table?: LakeTable
  readonly day?: string
  readonly keep?: boolean
  readonly json?: boolean
}

const EXAMPLES = `
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
      'Reads every file: there, of the size and digest of its commit, readable, rows sound. Then the tables as a whole: no row ' +
        'twice, no offset left out, an answer for each transaction. Shows the checks of each batch that was taken.',
    )
  lakeOption(command)
    .addOption(new Option('--table <name>', 'only files of this table').choices(LAKE_TABLES))
    .option('--day <date>', 'only files of this day', dayOption)
    .option('--keep', 'add the results to the table of checks')
    .option('--json', 'print the report as JSON')
    .addHelpText('after', EXAMPLES)
    .action(run)
}

function dayOption(text: string): string {
  if (/^\d{4}-\d\d-\d\d$/.test(text)) return text
  throw new InvalidArgumentError('Give a day such as 2026-11-25.')
}

async function run(options: CheckCommandOptions): Promise<void> {
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
