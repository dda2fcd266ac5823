// Commands that fill the lake: from the topics, and from external files.

import { readFileSync } from 'node:fs'
import { type Command, Option } from 'commander'
import { parse } from 'yaml'
import { SluiceError } from '../../core/errors.ts'
import {
  type ColumnMapping,
  type FieldConstants,
  mappingText,
} from '../../core/files/column-mapping.ts'
import {
  type ImportMapping,
  NO_MAPPING,
  parseImportMapping,
} from '../../core/lake/import-mapping.ts'
import { createCodecs } from '../../core/wire/codecs.ts'
import {
  type FlushReport,
  INGEST_DEFAULTS,
  type MergeReport,
  erasedRows,
  importFiles,
  ingest,
  loadLakeConfig,
  runIngest,
} from '../../lake/index.ts'
import { systemClock } from '../../platform/clock.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import { interruptSignal, parseInteger, printJson, printLine, printProgress } from '../command.ts'
import { addPlaceOptions, whereToLook } from '../commands/stream-options.ts'
import { environmentHelp } from '../commands/environment-help.ts'
import { constantsOption, durationOption, mappingOption } from '../commands/produce.ts'
import { lakeOption } from './lake-option.ts'

// sluice lake ingest: copies the topics into the lake.

const ROWS_MAX_MAX = 5_000_000
const MIB = 1024 * 1024
const MEBIBYTES_MAX = 2_048
const PORT_MAX = 65_535

interface IngestCommandOptions {
  readonly lake?: string
  readonly exit?: boolean
  readonly brokers?: readonly string[]
  readonly topicPrefix?: string
  readonly flushEvery?: number
  readonly rowsPerFlush: number
  readonly mibPerFlush: number
  readonly acceptGap?: boolean
  readonly compactEvery?: number
  readonly metricsPort?: number
  readonly json?: boolean
}

const INGEST_EXAMPLES = `
Examples:
  $ sluice lake ingest
  $ sluice lake ingest --lake history --exit --json
  $ sluice lake ingest --flush-every 10s --compact-every 1h
  $ sluice lake ingest --metrics-port 0

What is in the files, and what happens when it is killed: docs/lake.md.`

/** Adds the command to its group. */
export function registerIngest(lake: Command): void {
  const command = lake
    .command('ingest')
    .summary('ingest transactions, decisions, labels and dead letters from Kafka')
    .description(
      'Writes committed messages to Parquet files, each once, until SIGTERM or Ctrl-C. The lake itself records the ' +
        'position, so the command can be killed at any time.',
    )
  addPlaceOptions(
    lakeOption(command).option('--exit', 'stop at the end that the topics have at the start'),
  )
    .option(
      '--flush-every <duration>',
      `write what was taken at least this often (default ${INGEST_DEFAULTS.flushMs / 1_000}s)`,
      durationOption,
    )
    .option(
      '--rows-per-flush <count>',
      'write once this many rows are in memory',
      parseInteger(1, ROWS_MAX_MAX),
      INGEST_DEFAULTS.rowsMax,
    )
    .option(
      '--mib-per-flush <count>',
      'or this many MiB of them',
      parseInteger(1, MEBIBYTES_MAX),
      INGEST_DEFAULTS.bytesMax / MIB,
    )
    .option(
      '--compact-every <duration>',
      'make one file of the many small ones of a day this often (default never)',
      durationOption,
    )
    .option(
      '--accept-gap',
      'continue at the beginning of the topics when the next messages are gone',
    )
    .option(
      '--metrics-port <port>',
      'port of /metrics, /livez and /readyz; none with --exit (default SLUICE_METRICS_PORT)',
      parseInteger(0, PORT_MAX),
    )
    .option('--json', 'print the summary as JSON')
    .addHelpText('after', () => `\n${environmentHelp('lake')}\n${INGEST_EXAMPLES}`)
    .action(runIngestCommand)
}

async function runIngestCommand(options: IngestCommandOptions): Promise<void> {
  const config = loadLakeConfig(process.env)
  const { brokers, security, topicPrefix } = whereToLook(options, config)
  const url = config.schemaRegistryUrl
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  const folder = options.lake ?? config.folder
  const common = {
    brokers,
    security,
    folder,
    topicPrefix,
    codecs: createCodecs(content),
    rowsMax: options.rowsPerFlush,
    bytesMax: options.mibPerFlush * MIB,
    flushMs: options.flushEvery ?? INGEST_DEFAULTS.flushMs,
    acceptGap: options.acceptGap === true,
    compactMs: options.compactEvery ?? null,
    clock: systemClock,
    onMerge: ({ table, day, filesBefore, rows }: MergeReport) => {
      printProgress(`${table} ${day}: ${filesBefore} files became 1 with ${rows} rows`)
    },
    onFlush: (report: FlushReport) => {
      printProgress(flushLine(report))
    },
  }
  const place = `taking ${topicPrefix}* from ${brokers.join(',')} into ${folder}`
  const signal = interruptSignal()
  const summary =
    options.exit === true
      ? await ingest({ ...common, until: 'end' }, signal)
      : await runIngest(
          {
            ...common,
            metrics: { ...config.metrics, port: options.metricsPort ?? config.metrics.port },
            onErased: (erased) => {
              printProgress(
                `erasure ${erased.id}: ${erasedRows(erased)} rows out of ${erased.files} files`,
              )
            },
            onFailedBatch: (error, retryMs) => {
              printProgress(
                `${error.code}: ${error.message} It is tried again in ${retryMs / 1_000} s.`,
              )
            },
            onReady: (port) => {
              printProgress(`${place}; metrics: http://${config.metrics.host}:${port}/metrics`)
            },
          },
          signal,
        )
  if (options.json === true) printJson({ lake: folder, ...summary })
  else {
    const { transactions, decisions, labels, dead_letters: deadLetters } = summary.rows
    printLine(
      `${folder}: ${transactions} transactions, ${decisions} decisions, ${labels} labels, ${deadLetters} dead letters ` +
        `in ${summary.files} files (${(summary.bytes / MIB).toFixed(1)} MiB), ${summary.commits} commits`,
    )
  }
}

function flushLine({ commit, rows, files, bytes, tookMs, unreadable }: FlushReport): string {
  const { transactions, decisions, labels, dead_letters: deadLetters } = rows
  const bad = unreadable === 0 ? '' : `, ${unreadable} messages not decodable`
  return (
    `commit ${commit}: ${transactions} transactions, ${decisions} decisions, ${labels} labels, ${deadLetters} dead letters ` +
    `in ${files} files, ${(bytes / MIB).toFixed(1)} MiB, ${(tookMs / 1_000).toFixed(1)} s${bad}`
  )
}

// sluice lake import: copies external files into the lake.

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

const IMPORT_EXAMPLES = `
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
    .addHelpText('after', IMPORT_EXAMPLES)
    .action(runImport)
}

async function runImport(files: readonly string[], options: ImportCommandOptions): Promise<void> {
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

// The mapping of external files, from the options of a command: a mapping file, and single settings that override it.

export interface MappingOptions {
  /** YAML or JSON. */
  readonly mapping?: string
  readonly map?: ColumnMapping
  readonly set?: FieldConstants
}

/**
 * The mapping of the file, with single columns and constants overridden by options. @throws SluiceError SLUICE_USAGE.
 */
export function importMappingOf({ mapping: path, map, set }: MappingOptions): ImportMapping {
  const given = path === undefined ? NO_MAPPING : parseImportMapping(path, readMapping(path))
  return {
    ...given,
    columns: { ...given.columns, ...map },
    constants: { ...given.constants, ...set },
  }
}

/** Reads JSON too, which is a subset of YAML. */
function readMapping(path: string): unknown {
  try {
    return parse(readFileSync(path, 'utf8')) as unknown
  } catch (error) {
    const [problem = ''] = (error instanceof Error ? error.message : String(error)).split('\n')
    throw new SluiceError('SLUICE_USAGE', `${path} cannot be read as YAML or JSON: ${problem}`, {
      cause: error,
    })
  }
}
