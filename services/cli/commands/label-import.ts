// sluice label import: labels of files, such as those of chargebacks.

import { existsSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { openLabelMapping } from '../../bridge/index.ts'
import { createCodecs } from '../../core/wire/codecs.ts'
import { loadLakeConfig } from '../../lake/index.ts'
import { systemClock } from '../../platform/clock.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import { environmentHelp } from './environment-help.ts'
import { interruptSignal, parseInteger, printJson, printLine, printProgress } from '../command.ts'
import {
  importLabels,
  LEFT_OUT,
  type LabelImportReport,
  type LeftOut,
} from '../label-import/import-labels.ts'

const RATE_DEFAULT = 1_000
const RATE_MAX = 100_000

interface ImportOptions {
  readonly mapping: string
  /** False for `--no-lake`. */
  readonly lake?: string | false
  readonly check?: boolean
  readonly correct?: boolean
  readonly writeUnknown?: boolean
  readonly skipBad?: boolean
  readonly rate: number
  readonly json?: boolean
}

const EXAMPLES = `
Examples:
  $ sluice label import chargebacks.csv --mapping chargebacks.yaml --check
  $ sluice label import 2026-11/*.parquet --mapping chargebacks.yaml --lake history
  $ sluice label import cases.jsonl --mapping cases.yaml --no-lake --rate 200 --json

The mapping is that of docs/bridge.md, with a label in its rules; more: docs/alerts.md.`

const MEANING: Readonly<Record<LeftOut, string>> = {
  repeated: 'known already',
  skipped: 'left out by the mapping',
  unknown: 'of an unknown transaction',
  other_card: 'of another card than the lake has',
  other_verdict: 'with another verdict than is known',
  refused: 'refused',
}

/** Adds the command to that of labels. */
export function registerLabelImport(label: Command): void {
  label
    .command('import')
    .argument('<file...>', '.csv, .csv.gz, .parquet, .jsonl or .ndjson')
    .summary('import labels of files, such as chargebacks')
    .description(
      'Maps every row, and writes the labels that are new. The lake says whether a transaction is known, and completes ' +
        'its label: card, time, merchant, terminal, device and network. Everything is read and judged before the first ' +
        'label is written. A repeated import writes nothing twice.',
    )
    .requiredOption('--mapping <file>', 'the mapping, YAML')
    .option(
      '--lake <folder>',
      'lake with the transactions (default SLUICE_LAKE_FOLDER or lake, if there is one)',
    )
    .addOption(new Option('--no-lake', 'take the labels as the files have them'))
    .option('--check', 'show what would be written, and write nothing')
    .option('--correct', 'write labels that contradict what is known, as its correction')
    .option('--write-unknown', 'write labels of transactions that the lake does not have')
    .option('--skip-bad', 'write the other labels when rows are refused')
    .option(
      '--rate <per second>',
      'labels per second, so that decisions do not wait behind them',
      parseInteger(1, RATE_MAX),
      RATE_DEFAULT,
    )
    .option('--json', 'print JSON')
    .addHelpText('after', () => `\n${environmentHelp('label')}\n${EXAMPLES}`)
    .action((files: readonly string[], _: unknown, command: Command) =>
      run(files, command.optsWithGlobals()),
    )
}

async function run(files: readonly string[], options: ImportOptions): Promise<void> {
  const loaded = loadLakeConfig(process.env)
  const config = { ...loaded, topicPrefix: loaded.topicPrefix ?? '' }
  const { document, compile } = openLabelMapping(options.mapping, process.env)
  const { topicPrefix, schemaRegistryUrl: url } = config
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  const lakeFolder = lakeOf(options.lake, loaded.folder)
  printProgress(
    lakeFolder === null
      ? 'without a lake: labels are as the files have them'
      : `the lake is ${lakeFolder}`,
  )
  const report = await importLabels(
    {
      ...config,
      codecs: createCodecs(content),
      files,
      delimiter: document.source.delimiter,
      compile,
      lakeFolder,
      isCheck: options.check === true,
      corrects: options.correct === true,
      takesUnknown: options.writeUnknown === true,
      skipsBad: options.skipBad === true,
      labelsPerSecondMax: options.rate,
      clock: systemClock,
      onProgress: printProgress,
    },
    interruptSignal(),
  )
  if (options.json === true)
    printJson({ lake: lakeFolder, check: options.check === true, ...report })
  else print(report, options.check === true)
}

/** The named lake, else the default one if it exists. */
function lakeOf(named: string | false | undefined, configured: string): string | null {
  if (named === false) return null
  if (named !== undefined) return named
  return existsSync(configured) ? configured : null
}

function print({ rows, written, leftOut, examples }: LabelImportReport, isCheck: boolean): void {
  printLine(`${rows} row(s), ${written} label(s) ${isCheck ? 'would be written' : 'written'}`)
  for (const kind of LEFT_OUT) {
    if (leftOut[kind] > 0) printLine(`  ${leftOut[kind]} ${MEANING[kind]}`)
    const shown = examples.filter((example) => example.kind === kind)
    for (const { place, problem } of shown) printLine(`    ${place}: ${problem}`)
    const more = leftOut[kind] - shown.length
    if (shown.length > 0 && more > 0) printLine(`    and ${more} more`)
  }
}
