// sluice lake import: others' files into the lake.

import { Option, type Command } from 'commander'
import { mappingText } from '../../core/files/column-mapping.ts'
import { importFiles, loadLakeConfig } from '../../lake/index.ts'
import { systemClock } from '../../platform/clock.ts'
import { interruptSignal, printJson, printLine, printProgress } from '../command.ts'
import { constantsOption, durationOption, mappingOption } from '../commands/produce-options.ts'
import { lakeOption } from './lake-option.ts'
import { importMappingOf, type MappingOptions } from './mapping-options.ts'

const DAY_MS = 86_400_000
const LABEL_DELAY_DAYS = 7

interface ImportCommandOptions extends MappingOptions {
  readonly lake?: string
  readonly delimiter: string
  readonly labelDelay?: number
  readonly genuineLabels?: boolean
  readonly skipBad?: boolean
  readonly again?: boolean
  readonly json?: boolean
}

const EXAMPLES = `
Examples:
  $ sluice lake import --mapping bank.yaml 2026-*.parquet
  $ sluice lake import --set currency=USD --skip-bad history.csv.gz

What a mapping file holds: docs/lake.md.`

/** Adds the command to its group. */
export function registerImport(lake: Command): void {
  const command = lake
    .command('import')
    .summary("bring in others' CSV and Parquet files")
    .description(
      'Reads transactions, and labels where a column has them, and adds all files in one commit. Columns are found by ' +
        'their names where nothing is said of them. Card numbers are refused.',
    )
    .argument('<file...>', '.csv, .csv.gz or .parquet')
  lakeOption(command)
    .addOption(
      new Option('--kind <kind>', 'what the rows are')
        .choices(['transactions'])
        .default('transactions'),
    )
    .option('--mapping <file>', 'YAML or JSON: columns with units and formats, and constants')
    .option('--map <field=column,...>', 'columns, in place of those of the file', mappingOption)
    .option('--set <field=value,...>', 'the same value for every row', constantsOption)
    .option('--delimiter <character>', 'between cells of CSV', ',')
    .option(
      '--label-delay <duration>',
      `when labels are known after the event time (default ${LABEL_DELAY_DAYS}d)`,
      durationOption,
    )
    .option('--genuine-labels', 'also labels for rows that are labelled genuine')
    .option('--skip-bad', 'count rows that cannot be read, by reason, and leave them out')
    .option('--again', 'also files that were imported before')
    .option('--json', 'print the summary as JSON')
    .addHelpText('after', EXAMPLES)
    .action(run)
}

async function run(files: readonly string[], options: ImportCommandOptions): Promise<void> {
  const folder = options.lake ?? loadLakeConfig(process.env).folder
  const summary = await importFiles(
    {
      folder,
      files,
      mapping: importMappingOf(options),
      delimiter: options.delimiter,
      labelDelayMs: options.labelDelay ?? LABEL_DELAY_DAYS * DAY_MS,
      genuineLabels: options.genuineLabels === true,
      skipBad: options.skipBad === true,
      again: options.again === true,
      clock: systemClock,
      onProgress: printProgress,
      onMapping: (file, mapping) => {
        printProgress(`columns of ${file}: ${mappingText(mapping)}`)
      },
    },
    interruptSignal(),
  )
  if (options.json === true) {
    printJson({ lake: folder, ...summary })
    return
  }
  const { transactions, labels, commit, skipped } = summary
  printLine(`${folder}: ${transactions} transactions and ${labels} labels, commit ${commit}`)
  for (const [reason, count] of Object.entries(skipped)) {
    printProgress(`${count} rows left out: ${reason}`)
  }
}
