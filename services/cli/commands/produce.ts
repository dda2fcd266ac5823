// sluice produce: transactions and labels from the simulator or from CSV files, to Kafka or to the screen.

import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { SIMULATOR_DEFAULTS } from '../../../tools/simulator/options.ts'
import { simulate } from '../../../tools/simulator/simulate.ts'
import { SluiceError } from '../../core/errors.ts'
import { rangeBetween } from '../../core/files/event-time.ts'
import { systemClock } from '../../platform/clock.ts'
import {
  type ColumnMapping,
  DEFAULT_CURRENCY,
  type FieldConstants,
  type Pace,
  type ProducerConfig,
  type ProducerSource,
  type ProducerTarget,
  type Summary,
  type TimeRange,
  checkFields,
  loadProducerConfig,
  mappingText,
  parseDurationMs,
  parseEventTimeMs,
  parseFieldList,
  rangeOfBound,
  runProducer,
} from '../../producer/index.ts'
import {
  interruptSignal,
  parseInteger,
  parseNumber,
  printJson,
  printLine,
  printProgress,
} from '../command.ts'

const COUNT_MAX = 1_000_000_000_000
const RATE_PER_SECOND_DEFAULT = 500

const EXAMPLES = `
Examples:
  $ sluice produce simulate                          500 transactions a second until Ctrl-C
  $ sluice produce simulate --flat-out --count 100000 --seed 7
  $ sluice produce simulate --speed 60               one simulated minute a second
  $ sluice produce replay history/ --from 2018-07-25 --to 2018-07-31
  $ sluice produce replay tx.csv.gz --map card=customer,amount=amt --set currency=GBP --rate 2000
  $ sluice produce replay tx.csv --dry-run | head    look before sending

Topics are PREFIXtransactions and PREFIXlabels; both must exist, with the same number of partitions.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const produce = program
    .command('produce')
    .summary('send simulated or recorded card transactions to Kafka')
    .description(
      'Sends card transactions, and the labels that come later, to Kafka: simulated ones, or those of ' +
        'CSV files. At a rate, at a multiple of real time, or as fast as the brokers take them.',
    )
    .addHelpText('after', EXAMPLES)
  registerSimulate(produce)
  registerReplay(produce)
}

function registerSimulate(produce: Command): void {
  const defaults = SIMULATOR_DEFAULTS
  const command = produce
    .command('simulate')
    .summary('a seeded world of cards, terminals and fraud')
    .description(
      'Simulates cards, terminals and merchants with daily rhythms and nine fraud patterns. The same seed ' +
        'and options give the same stream, byte for byte. Endless unless --count, --until or --duration.',
    )
    .option('--seed <integer>', `seed (default ${defaults.seed})`, parseInteger(0, 4_294_967_295))
    .option('--start <time>', 'event time of the beginning (default 2026-01-01)', timeOption)
    .option('--until <time>', 'no transaction at or after this event time', timeOption)
    .option('--cards <count>', `default ${defaults.cards}`, parseInteger(1, 1_000_000))
    .option('--terminals <count>', `default ${defaults.terminals}`, parseInteger(1, 200_000))
    .option('--merchants <count>', `default ${defaults.merchants}`, parseInteger(2, 100_000))
    .option('--fraud-share <share>', `default ${defaults.fraudShare}`, parseNumber(0, 0.2))
    .option('--label-delay <duration>', 'usual time to a chargeback (default 7d)', durationOption)
    .option('--currency <code>', 'the whole world pays in it, such as KRW (default: as each city)')
    .option('--watermarks', 'send watermarks, for an aligned replay')
  addSendOptions(command, `--rate ${RATE_PER_SECOND_DEFAULT}`)
  command.addHelpText('after', EXAMPLES).action(async (options: SimulateCommandOptions) => {
    const source: ProducerSource = {
      kind: 'simulate',
      events: simulate(
        definedOnly({
          seed: options.seed,
          startMs: options.start,
          untilMs: options.until,
          transactionsMax: options.count,
          cards: options.cards,
          terminals: options.terminals,
          merchants: options.merchants,
          fraudShare: options.fraudShare,
          labelDelayMs: options.labelDelay,
          currency: options.currency,
        }),
      ),
    }
    const pace = paceOf(options, { kind: 'rate', perSecond: RATE_PER_SECOND_DEFAULT })
    await send(source, pace, options.watermarks ?? false, options)
  })
}

function registerReplay(produce: Command): void {
  const command = produce
    .command('replay')
    .summary('CSV files, plain or gzip')
    .description(
      'Replays CSV files (with a header line, plain or gzip) and folders of them, in order of event time. ' +
        'Columns are found by their names, and the mapping is printed. Fields: id, card, eventTime, amount, ' +
        'currency, merchant, merchantCategory, terminal, country, latitude, longitude, utcOffsetMinutes, ' +
        'device, ipNetwork, channel, entryMode, authorisation, intentId, label. Needed: card, eventTime, amount.',
    )
    .argument('<path...>', 'files, or folders whose .csv and .csv.gz files are read sorted by name')
    .option('--from <date>', 'first event time, or day in UTC', timeRangeOption)
    .option('--to <date>', 'last event time, or day in UTC, included', timeRangeOption)
    .option(
      '--map <field=column,...>',
      'columns, or a .json file of {"field": "column"}',
      mappingOption,
    )
    .option(
      '--set <field=value,...>',
      `the same value for every row (default currency=${DEFAULT_CURRENCY})`,
      constantsOption,
    )
    .option('--label-delay <duration>', 'when a label becomes known (default 7d)', durationOption)
    .option('--genuine-labels', 'send labels for genuine rows too')
    .option('--skip-bad', 'count rows that cannot be read and leave them out')
    .option('--sort', 'order the rows of each file by time')
    .option('--delimiter <character>', 'what separates cells (default ,)', delimiterOption)
    .option('--no-watermarks', 'send no watermarks; partitions then cannot keep in step')
  addSendOptions(command, '--flat-out')
  command
    .addHelpText('after', EXAMPLES)
    .action(async (paths: readonly string[], options: ReplayCommandOptions) => {
      const source: ProducerSource = {
        kind: 'replay',
        replay: {
          paths,
          bounds: rangeBetween(options.from, options.to),
          ...definedOnly({
            mapping: options.map,
            constants: options.set,
            labelDelayMs: options.labelDelay,
            genuineLabels: options.genuineLabels,
            skipBad: options.skipBad,
            sort: options.sort,
            delimiter: options.delimiter,
            transactionsMax: options.count,
          }),
        },
      }
      await send(source, paceOf(options, { kind: 'flat_out' }), options.watermarks, options)
    })
}

function addSendOptions(command: Command, paceDefault: string): void {
  const conflicts = (flags: string, text: string, others: string[]): Option =>
    new Option(flags, text).conflicts(others)
  command
    .addOption(
      conflicts('--rate <per second>', `transactions per second (default ${paceDefault})`, [
        'speed',
        'flatOut',
      ]).argParser(parseNumber(0.001, 10_000_000)),
    )
    .addOption(
      conflicts('--speed <factor>', 'multiple of real time, by event time', [
        'rate',
        'flatOut',
      ]).argParser(parseNumber(0.001, 1_000_000_000)),
    )
    .addOption(conflicts('--flat-out', 'as fast as the brokers take it', ['rate', 'speed']))
    .option('--count <count>', 'stop after this many transactions', parseInteger(0, COUNT_MAX))
    .option('--duration <duration>', 'stop after this time, such as 30s or 5m', durationOption)
    .option('--brokers <host:port,...>', 'Kafka (default SLUICE_KAFKA_BROKERS or 127.0.0.1:19092)')
    .option(
      '--topic-prefix <prefix>',
      'put before topic names (default SLUICE_TOPIC_PREFIX or none)',
    )
    .option(
      '--metrics-port <port>',
      'serve /metrics, /livez and /readyz on this port (another one when it is in use)',
      parseInteger(0, 65_535),
    )
    .option(
      '--trace-ratio <share>',
      'begin a trace in this share of the transactions (default 0)',
      parseNumber(0, 1),
    )
    .option('--dry-run', 'write lines of JSON to standard output instead of sending')
    .option('--json', 'print the summary as JSON')
}

async function send(
  source: ProducerSource,
  pace: Pace,
  watermarks: boolean,
  options: SendOptions,
): Promise<void> {
  const config = loadProducerConfig(process.env)
  const isDryRun = options.dryRun === true
  const isQuiet = isDryRun || options.json === true || !process.stderr.isTTY
  const metrics =
    options.metricsPort === undefined
      ? null
      : await openProducerMetrics(config.metricsHost, options.metricsPort)
  const run = runProducer(
    {
      source,
      target: isDryRun
        ? { kind: 'ndjson', output: process.stdout }
        : await kafkaTarget(config, options),
      pace,
      watermarks,
      durationMs: options.duration ?? null,
      traceRatio: options.traceRatio ?? 0,
    },
    {
      clock: systemClock,
      signal: interruptSignal(),
      onMapping: (file, mapping) => {
        const currency =
          mapping.currency === undefined && source.kind === 'replay'
            ? `, currency ${source.replay.constants?.currency ?? DEFAULT_CURRENCY}`
            : ''
        printProgress(`columns of ${file}: ${mappingText(mapping)}${currency}`)
      },
      onProgress: (progress) => {
        metrics?.produced(progress)
        if (!isQuiet) showProgressLine(progress)
      },
    },
  )
  const summary = await run.finally(() => metrics?.close())
  if (!isQuiet) clearProgressLine()
  report(summary, options)
}

function report(summary: Summary, options: SendOptions): void {
  // In a dry run standard output is reserved for the events.
  if (options.dryRun === true) printProgress(JSON.stringify(summary))
  else if (options.json === true) printJson(summary)
  else printSummary(summary)
}

async function kafkaTarget(config: ProducerConfig, options: SendOptions): Promise<ProducerTarget> {
  // Loaded here, so that --help and a dry run do not wait for it.
  const [{ createCodecs }, { openSchemaRegistry }] = await Promise.all([
    import('../../core/wire/codecs.ts'),
    import('../../platform/registry/http-registry.ts'),
  ])
  const topicPrefix = options.topicPrefix ?? config.topicPrefix
  const registry = openSchemaRegistry({ url: config.registryUrl, topicPrefix, register: false })
  const brokers = options.brokers === undefined ? config.brokers : brokerList(options.brokers)
  return {
    kind: 'kafka',
    kafka: { ...config, brokers, topicPrefix },
    codecs: createCodecs(await registry.load()),
  }
}

function brokerList(text: string): readonly string[] {
  const brokers = text.split(',').map((broker) => broker.trim())
  const bad = brokers.find(
    (broker) => !/^[^\s:]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$/.test(broker),
  )
  if (bad === undefined) return brokers
  throw new SluiceError('SLUICE_USAGE', `--brokers: "${bad}" is no address; write HOST:PORT.`)
}

function paceOf(options: SendOptions, otherwise: Pace): Pace {
  if (options.flatOut === true) return { kind: 'flat_out' }
  if (options.rate !== undefined) return { kind: 'rate', perSecond: options.rate }
  if (options.speed !== undefined) return { kind: 'speed', factor: options.speed }
  return otherwise
}

/** Leaves out undefined fields, so that defaults apply. */
function definedOnly<Fields extends object>(
  fields: Fields,
): { [Name in keyof Fields]?: Exclude<Fields[Name], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [Name in keyof Fields]?: Exclude<Fields[Name], undefined>
  }
}

// Options of `sluice produce`: their types and parsers.

/** Options of both sources. An absent one takes its default. */
interface SendOptions {
  readonly metricsPort?: number
  readonly rate?: number
  readonly speed?: number
  readonly flatOut?: boolean
  readonly count?: number
  /** Milliseconds. */
  readonly duration?: number
  readonly brokers?: string
  readonly topicPrefix?: string
  readonly traceRatio?: number
  readonly dryRun?: boolean
  readonly json?: boolean
}

interface SimulateCommandOptions extends SendOptions {
  readonly seed?: number
  /** Milliseconds UTC. */
  readonly start?: number
  readonly until?: number
  readonly cards?: number
  readonly terminals?: number
  readonly merchants?: number
  readonly fraudShare?: number
  /** Milliseconds. */
  readonly labelDelay?: number
  readonly currency?: string
  readonly watermarks?: boolean
}

interface ReplayCommandOptions extends SendOptions {
  readonly from?: TimeRange
  readonly to?: TimeRange
  readonly map?: ColumnMapping
  readonly set?: FieldConstants
  /** Milliseconds. */
  readonly labelDelay?: number
  readonly genuineLabels?: boolean
  readonly skipBad?: boolean
  readonly sort?: boolean
  readonly delimiter?: string
  readonly watermarks: boolean
}

/** Reads a duration as milliseconds. */
export function durationOption(text: string): number {
  const durationMs = parseDurationMs(text)
  if (durationMs !== null) return durationMs
  throw new InvalidArgumentError('Give a duration such as 500ms, 45s, 30m, 12h or 7d.')
}

/** Reads a time as milliseconds UTC. */
export function timeOption(text: string): number {
  const timeMs = parseEventTimeMs(text)
  if (timeMs !== null) return timeMs
  throw new InvalidArgumentError('Give a time such as 2026-01-01 or 2026-01-01T12:00:00Z.')
}

/** Reads a day as the whole day, and a time as that instant. */
export function timeRangeOption(text: string): TimeRange {
  const range = rangeOfBound(text)
  if (range !== null) return range
  throw new InvalidArgumentError(
    'Give a date such as 2018-07-25, or a time such as 2018-07-25T12:00Z.',
  )
}

/** Reads the separator of cells; a tab may be written as `tab`. */
export function delimiterOption(text: string): string {
  const delimiter = text === 'tab' ? '\t' : text
  if (delimiter.length === 1 && !/["\r\n\w]/.test(delimiter)) return delimiter
  throw new InvalidArgumentError('Give one character such as ; or the word tab.')
}

/** Reads --set. */
export function constantsOption(text: string): FieldConstants {
  return parseFieldList('--set', text)
}

/** Reads --map: a list, or a JSON file. */
export function mappingOption(text: string): ColumnMapping {
  if (!text.endsWith('.json')) return parseFieldList('--map', text)
  const content = readJson(text)
  if (typeof content !== 'object' || content === null || Array.isArray(content)) {
    throw usage(`--map: ${text} is not a JSON object; write {"card": "customer_id", ...}.`)
  }
  return checkFields(`--map ${text}`, Object.entries(content))
}

function readJson(file: string): unknown {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw usage(`--map: ${file} cannot be read (${problem}); correct the file or its path.`, error)
  }
}

function usage(message: string, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_USAGE', message, { cause })
}

// Output of `sluice produce`: a progress line that is rewritten in place, and the summary.

const CLEAR_LINE = '\r\u001b[K'

/** Rewrites the progress line; for terminals only. */
function showProgressLine(progress: Summary): void {
  const behind = progress.behindMs >= 100 ? `, ${progress.behindMs} ms behind schedule` : ''
  process.stderr.write(
    `${CLEAR_LINE}${count(progress.transactions)} transactions (${count(progress.transactionsPerSecond)}/s), ` +
      `${count(progress.labels)} labels, event time ${timeText(progress.lastEventTimeMs)}${behind}`,
  )
}

/** Clears the progress line for the next line. */
function clearProgressLine(): void {
  process.stderr.write(CLEAR_LINE)
}

/** Prints the summary for people. */
export function printSummary(summary: Summary): void {
  const seconds = (summary.elapsedMs / 1_000).toFixed(1)
  printLine(
    `Sent ${count(summary.transactions)} transactions, ${count(summary.labels)} labels and ` +
      `${count(summary.watermarks)} watermarks in ${seconds} s ` +
      `(${count(summary.transactionsPerSecond)} transactions/s), all acknowledged.`,
  )
  printLine(
    `Event time ${timeText(summary.firstEventTimeMs)} to ${timeText(summary.lastEventTimeMs)}.`,
  )
  const skipped = Object.entries(summary.skipped)
  if (skipped.length > 0) {
    printLine(
      `Rows left out: ${skipped.map(([reason, rows]) => `${reason} ${count(rows)}`).join(', ')}.`,
    )
  }
  const frauds = Object.entries(summary.fraudPatterns).filter(
    ([, transactions]) => transactions > 0,
  )
  if (frauds.length > 0) {
    printLine(
      `Fraud in it: ${frauds.map(([pattern, transactions]) => `${pattern} ${count(transactions)}`).join(', ')}.`,
    )
  }
}

function count(value: number): string {
  return value.toLocaleString('en-US')
}

function timeText(timeMs: number | null): string {
  return timeMs === null ? 'none' : new Date(timeMs).toISOString()
}

// Metrics of `sluice produce --metrics-port`: /metrics, /livez and /readyz during a run.

interface ProducerMetrics {
  produced(summary: Summary): void
  close(): Promise<void>
}

function progressOf({ transactions, labels, acknowledged, behindMs }: Summary) {
  return { transactions, labels, acknowledged, behindMs }
}

/** Serves metrics on the port, or on a free one when it is in use, and prints the address. */
async function openProducerMetrics(host: string, port: number): Promise<ProducerMetrics> {
  // Loaded here, so that --help does not wait for it.
  const [{ createProducerTelemetry }, { openMetricsServer }] = await Promise.all([
    import('../../platform/metrics/producer-telemetry.ts'),
    import('../../platform/metrics/metrics-server.ts'),
  ])
  const telemetry = createProducerTelemetry()
  let soFar: Summary | null = null
  const server = await openMetricsServer({
    host,
    port,
    registry: telemetry.registry,
    // The first report arrives once the run is connected and sends.
    readiness: () => ({
      isReady: soFar !== null,
      details: soFar === null ? {} : progressOf(soFar),
    }),
  })
  printProgress(`metrics: http://${host}:${server.port}/metrics`)
  return {
    produced: (summary) => {
      soFar = summary
      telemetry.produced(summary)
    },
    close: () => server.close(),
  }
}
