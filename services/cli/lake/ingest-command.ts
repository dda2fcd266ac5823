// sluice lake ingest: from the topics into the lake.

import type { Command } from 'commander'
import { createCodecs } from '../../core/wire/codecs.ts'
import {
  INGEST_DEFAULTS,
  ingest,
  loadLakeConfig,
  erasedRows,
  runIngest,
  type FlushReport,
  type MergeReport,
} from '../../lake/index.ts'
import { systemClock } from '../../platform/clock.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import { interruptSignal, parseInteger, printJson, printLine, printProgress } from '../command.ts'
import { brokersOption } from '../commands/alerts-options.ts'
import { whereToLook } from '../commands/alerts-place.ts'
import { environmentHelp } from '../commands/environment-help.ts'
import { durationOption } from '../commands/produce-options.ts'
import { lakeOption } from './lake-option.ts'

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

const EXAMPLES = `
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
    .summary('take transactions, decisions, labels and dead letters from Kafka')
    .description(
      'Takes committed messages into Parquet files, each once, until SIGTERM or Ctrl-C. Where it goes on is said by the ' +
        'lake itself, so it can be killed at any time.',
    )
  lakeOption(command)
    .option('--exit', 'end where the topics end at the start')
    .option(
      '--brokers <host:port,...>',
      'Kafka (default SLUICE_KAFKA_BROKERS or 127.0.0.1:19092)',
      brokersOption,
    )
    .option(
      '--topic-prefix <prefix>',
      "put before topic names (default SLUICE_TOPIC_PREFIX, or a running demo's, or none)",
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
    .option('--accept-gap', 'go on where the topics begin when what comes next is gone')
    .option(
      '--metrics-port <port>',
      'port of /metrics, /livez and /readyz; none with --exit (default SLUICE_METRICS_PORT)',
      parseInteger(0, PORT_MAX),
    )
    .option('--json', 'print the summary as JSON')
    .addHelpText('after', () => `\n${environmentHelp('lake')}\n${EXAMPLES}`)
    .action(run)
}

async function run(options: IngestCommandOptions): Promise<void> {
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
