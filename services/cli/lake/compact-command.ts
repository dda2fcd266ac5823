// sluice lake compact: small files of a day become one.

import type { Command } from 'commander'
import { COMPACTION_DEFAULTS, compactLake, loadLakeConfig } from '../../lake/index.ts'
import { systemClock } from '../../platform/clock.ts'
import { interruptSignal, parseInteger, printJson, printLine, printProgress } from '../command.ts'
import { lakeOption } from './lake-option.ts'

const FILES_MIN_MAX = 1_000_000
const ROWS_MAX_MAX = 1_000_000_000
const MIB = 1024 * 1024

interface CompactCommandOptions {
  readonly lake?: string
  readonly filesMin: number
  readonly rowsMax: number
  readonly json?: boolean
}

const EXAMPLES = `
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
    .addHelpText('after', EXAMPLES)
    .action(run)
}

async function run(options: CompactCommandOptions): Promise<void> {
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
