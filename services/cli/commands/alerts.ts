// sluice alerts: follows the alerts topic, forwards alerts, serves the queue. One section for each subcommand.

import { createInterface } from 'node:readline/promises'
import { type Command, InvalidArgumentError } from 'commander'
import {
  type AlertsTelemetry,
  FORWARD_DEAD_REASONS,
  type ForwardDeadReason,
  type PlannedRedelivery,
  type Target,
  createAlertsTelemetry,
  loadAlertsConfig,
  loadCasesConfig,
  loadForwardConfig,
  loadReceiptsConfig,
  loadTargets,
  openSender,
  redeliver,
  runCases,
  runForwarder,
  runReceipts,
  tailAlerts,
} from '../../alerts/index.ts'
import { SluiceError } from '../../core/errors.ts'
import { createCodecs } from '../../core/wire/codecs.ts'
import { systemClock } from '../../platform/clock.ts'
import { warnOfBuiltInKey } from '../../platform/config/secrets.ts'
import { openLogger } from '../../platform/log.ts'
import { type MetricsServer, openMetricsServer } from '../../platform/metrics/metrics-server.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import { alertLine, wantsColor } from '../alert-line.ts'
import { Interrupted, interruptSignal, parseInteger, printLine, printProgress } from '../command.ts'
import { tableLine } from '../table.ts'
import {
  addStreamOptions,
  brokersOption,
  type Moment,
  momentOption,
  whereToLook,
} from './stream-options.ts'
import { environmentHelp } from './environment-help.ts'

// sluice alerts forward: sends alerts to functions and services over HTTP, as signed CloudEvents.

const PORT_MAX = 65_535

interface ForwardCommandOptions {
  readonly targets: string
  readonly check?: boolean
  readonly json?: boolean
  readonly brokers?: readonly string[]
  readonly topicPrefix?: string
  readonly metricsPort?: number
}

const FORWARD_EXAMPLES = `
Examples:
  $ sluice alerts forward --targets targets.yaml --check
  $ sluice alerts forward --targets targets.yaml
  $ sluice alerts forward --targets targets.yaml --metrics-port 0

The targets file, what is sent, and how a receiver checks it: docs/webhooks.md. The alerts: docs/runbook.md.`

/** Adds the command to `sluice alerts`. */
function registerForward(alerts: Command): void {
  alerts
    .command('forward')
    .summary('send alerts to functions and services over HTTP')
    .description(
      'Sends alerts to the targets of a file as signed CloudEvents, at least once each, until SIGTERM or Ctrl-C. Each ' +
        'target has its own position and pace: a slow or unavailable target delays no other.',
    )
    .requiredOption('--targets <file>', 'targets file (docs/webhooks.md)')
    .option(
      '--check',
      'only read the targets file and the secrets that it names, and say what it holds',
    )
    .option('--json', 'with --check: each target as one line of JSON')
    .option(
      '--brokers <host:port,...>',
      'Kafka (default SLUICE_KAFKA_BROKERS or 127.0.0.1:19092)',
      brokersOption,
    )
    .option(
      '--topic-prefix <prefix>',
      'put before topic names (default SLUICE_TOPIC_PREFIX or none)',
    )
    .option(
      '--metrics-port <port>',
      'port of /metrics, /livez and /readyz (default SLUICE_METRICS_PORT)',
      parseInteger(0, PORT_MAX),
    )
    .addHelpText('after', () => `\n${environmentHelp('forwarder')}\n${FORWARD_EXAMPLES}`)
    .action(runForward)
}

async function runForward(options: ForwardCommandOptions): Promise<void> {
  const loaded = loadForwardConfig(process.env)
  const targets = loadTargets(options.targets, process.env)
  if (options.check === true) {
    for (const target of targets) {
      printLine(options.json === true ? JSON.stringify(targetJson(target)) : targetLine(target))
    }
    printProgress(`${options.targets} is sound: ${targets.length} target(s)`)
    return
  }
  const place = whereToLook(options, loaded)
  const metrics = { ...loaded.metrics, port: options.metricsPort ?? loaded.metrics.port }
  await runForwarder(
    {
      config: { ...loaded, ...place, metrics },
      targets,
      clock: systemClock,
      random: () => Math.random(),
      log: openLogger('forwarder', loaded.logLevel, loaded.logFormat),
      onReady: (port) => {
        printProgress(`metrics: http://${metrics.host}:${port}/metrics`)
      },
    },
    interruptSignal(),
  )
}

function targetLine({ name, filter, keys, concurrency, url }: Target): string {
  const segments = filter.segments === null ? '' : `, segments ${filter.segments.join('/')}`
  const score = filter.scoreMin === null ? '' : `, score from ${filter.scoreMin}`
  const wanted = `${filter.actions.join('/')}${score}${segments}`
  return `${name}  ${new URL(url).host}  ${wanted}  ${keys.length} key(s), ${concurrency} at a time`
}

/** All fields but the keys, of which only the number is shown. */
function targetJson({ keys, ...rest }: Target): Record<string, unknown> {
  return { ...rest, keys: keys.length }
}

// sluice alerts serve: the queue and the labels over HTTP.

const SERVE_EXAMPLES = `
Examples:
  $ SLUICE_CASES_TOKENS_FILE=tokens.txt sluice alerts serve
  $ curl -s -H "Authorization: Bearer $(cat token.txt)" 'http://127.0.0.1:9481/queue?limit=10'
  $ curl -s -H "Authorization: Bearer $(cat token.txt)" -H 'Content-Type: application/json' \\
      -H 'Idempotency-Key: 7d1c' http://127.0.0.1:9481/labels \\
      -d '{"id":"tx-1","finding":"confirmed_fraud","reason":"the holder did not make it"}'

The author of a label is the name before the token in SLUICE_CASES_TOKENS_FILE (name:token).
Fields and problems: docs/alerts.md.`

interface ServeOptions {
  readonly port?: number
  readonly metricsPort?: number
}

/** Adds the command below \`sluice alerts\`. */
function registerServe(alerts: Command): void {
  alerts
    .command('serve')
    .summary('serve the queue and take labels over HTTP')
    .description(
      'Answers GET /queue with the open cases and takes POST /labels, both with a bearer token, until SIGTERM or Ctrl-C.',
    )
    .option(
      '--port <port>',
      'port of GET /queue and POST /labels (default SLUICE_CASES_PORT)',
      parseInteger(0, PORT_MAX),
    )
    .option(
      '--metrics-port <port>',
      'port of /metrics, /livez and /readyz (default SLUICE_METRICS_PORT)',
      parseInteger(0, PORT_MAX),
    )
    .addHelpText('after', () => `\n${environmentHelp('cases')}\n${SERVE_EXAMPLES}`)
    .action(runServe)
}

async function runServe(options: ServeOptions): Promise<void> {
  const loaded = loadCasesConfig(process.env)
  const config = {
    ...loaded,
    http: { ...loaded.http, port: options.port ?? loaded.http.port },
    metrics: { ...loaded.metrics, port: options.metricsPort ?? loaded.metrics.port },
  }
  await runCases(
    {
      config,
      clock: systemClock,
      log: openLogger('cases', config.logLevel, config.logFormat),
      onReady: (ports) => {
        printProgress(`queue and labels: http://${config.http.host}:${ports.http}`)
        printProgress(`metrics: http://${config.metrics.host}:${ports.metrics}/metrics`)
      },
    },
    interruptSignal(),
  )
}

// sluice alerts watch-receipts: joins blocks with the receipts of subscribers.

const WATCH_RECEIPTS_EXAMPLES = `
Examples:
  $ sluice alerts watch-receipts
  $ SLUICE_RECEIPT_MISSING=resend SLUICE_RECEIPT_WAIT_MS=5000 sluice alerts watch-receipts --metrics-port 0

What is counted, and what happens to a block without receipt: docs/alerts.md.`

/** Adds the command below \`sluice alerts\`. */
function registerWatchReceipts(alerts: Command): void {
  alerts
    .command('watch-receipts')
    .summary('report how long blocks take, and which have no answer')
    .description(
      'Joins blocks and releases with the receipts of subscribers: time to block with its objective, receipts that do ' +
        'not count as dead letters, blocks without receipt as a metric, and sent again if so configured. Runs until ' +
        'SIGTERM or Ctrl-C; one process for each stream, a second one shuts out the first.',
    )
    .option(
      '--metrics-port <port>',
      'port of /metrics, /livez and /readyz (default SLUICE_METRICS_PORT)',
      parseInteger(0, PORT_MAX),
    )
    .addHelpText('after', () => `\n${environmentHelp('receipts')}\n${WATCH_RECEIPTS_EXAMPLES}`)
    .action(runWatchReceipts)
}

async function runWatchReceipts(options: { readonly metricsPort?: number }): Promise<void> {
  const loaded = loadReceiptsConfig(process.env)
  const config = {
    ...loaded,
    metrics: { ...loaded.metrics, port: options.metricsPort ?? loaded.metrics.port },
  }
  const log = openLogger('receipts', config.logLevel, config.logFormat)
  if (config.hasBuiltInHmacKey) warnOfBuiltInKey(log)
  await runReceipts(
    {
      config,
      clock: systemClock,
      log,
      onReady: (port) => {
        printProgress(`metrics: http://${config.metrics.host}:${port}/metrics`)
      },
    },
    interruptSignal(),
  )
}

// sluice alerts redeliver: sends alerts again that a target of the forwarder did not accept.

const SEND_DEFAULT = 1_000
const SEND_MAX = 100_000
/** Alerts are printed as they are sent. Time, event id, reason. */
const FORM = { widths: [19, 34, 18] }

interface RedeliverCommandOptions {
  readonly targets: string
  readonly target: string
  readonly reason?: readonly ForwardDeadReason[]
  readonly since?: Moment
  readonly limit: number
  readonly dryRun?: boolean
  readonly yes?: boolean
  readonly json?: boolean
  readonly brokers?: readonly string[]
  readonly topicPrefix?: string
}

const REDELIVER_EXAMPLES = `
Examples:
  $ sluice alerts redeliver --targets targets.yaml --target core-banking --dry-run
  $ sluice alerts redeliver --targets targets.yaml --target core-banking --reason rejected --since 2h --yes

Why alerts are given up, and what to repair first: docs/webhooks.md, docs/runbook.md.`

/** Adds the command to `sluice alerts`. */
function registerRedeliver(alerts: Command): void {
  const command = alerts
    .command('redeliver')
    .summary('resend alerts that a target did not accept')
    .description(
      'Resends alerts that a target did not accept, in the order of the topic and under the same ids. Alerts that ' +
        'were accepted since, that a later revision has replaced, or that have left the topic are left out.',
    )
    .requiredOption('--targets <file>', 'targets file of the forwarder')
    .requiredOption('--target <name>', 'whose alerts')
    .option('--reason <reason,...>', 'only these reasons', reasonsOption)
    .option('--since <time>', 'given up from this time on, such as 2h', momentOption)
    .option('--limit <count>', 'send at most this many', parseInteger(1, SEND_MAX), SEND_DEFAULT)
    .option('--dry-run', 'say what would be sent, and send nothing')
    .option('--yes', 'do not ask')
  addStreamOptions(command).addHelpText('after', REDELIVER_EXAMPLES).action(runRedeliver)
}

async function runRedeliver(options: RedeliverCommandOptions): Promise<void> {
  const isDry = options.dryRun === true
  if (!isDry && options.yes !== true && !process.stdin.isTTY) {
    throw new SluiceError(
      'SLUICE_USAGE',
      'This would send alerts and nobody can be asked here; give --yes, or --dry-run to see what it would send.',
    )
  }
  const config = loadForwardConfig(process.env)
  const target = loadTargets(options.targets, process.env).find(
    ({ name }) => name === options.target,
  )
  if (target === undefined) {
    throw new SluiceError('SLUICE_USAGE', `${options.targets} has no target "${options.target}".`)
  }
  const { brokers, security, topicPrefix } = whereToLook(options, config)
  const url = config.schemaRegistryUrl
  const content = await openSchemaRegistry({ url, topicPrefix, register: false }).load()
  const signal = interruptSignal()
  const { since } = options
  const taken: PlannedRedelivery[] = []
  const planned = await redeliver(
    {
      ...{ brokers, security, topicPrefix, target },
      codecs: createCodecs(content),
      reasons: options.reason ?? null,
      sinceMs:
        since === undefined
          ? null
          : 'atMs' in since
            ? since.atMs
            : systemClock.nowMs() - since.agoMs,
      sendMax: options.limit,
      clock: systemClock,
      random: () => Math.random(),
      send: openSender(systemClock),
      confirm: async (due) => !isDry && (options.yes === true || (await ask(due, signal))),
      onSent: (each, verdict, status) => {
        if (verdict === 'delivered') taken.push(each)
        print(each, verdict, status, options)
      },
    },
    signal,
  )
  for (const each of planned) {
    if (isDry || each.state !== 'send') print(each, each.state, each.letter.status, options)
  }
  const due = planned.filter(({ state }) => state === 'send').length
  const done = isDry ? 'a dry run: nothing was sent' : `${taken.length} taken`
  printProgress(`${planned.length} given up, ${due} to send; ${done}`)
}

function print(
  { letter }: PlannedRedelivery,
  result: string,
  status: number | null,
  { json }: RedeliverCommandOptions,
): void {
  const { eventId, partition, offset, reason, atMs } = letter
  if (json === true) {
    printLine(JSON.stringify({ eventId, partition, offset, reason, atMs, result, status }))
    return
  }
  const at = new Date(atMs).toISOString().slice(0, 19).replace('T', ' ')
  const answer = status === null ? '-' : String(status)
  printLine(tableLine([at, eventId ?? '-', reason ?? '-', result, answer], FORM))
}

async function ask(planned: readonly PlannedRedelivery[], signal: AbortSignal): Promise<boolean> {
  const count = planned.filter(({ state }) => state === 'send').length
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await terminal.question(`Send ${count} alert(s) again? [y/N] `, { signal })
    return /^y(es)?$/i.test(answer.trim())
  } finally {
    terminal.close()
  }
}

function reasonsOption(text: string): readonly ForwardDeadReason[] {
  const reasons = text
    .split(',')
    .map((word) => FORWARD_DEAD_REASONS.find((known) => known === word))
  const known = reasons.filter((reason) => reason !== undefined)
  if (known.length === reasons.length) return known
  throw new InvalidArgumentError(`Give some of ${FORWARD_DEAD_REASONS.join(', ')}.`)
}

// The command with all its subcommands; tail follows the alerts topic the way a subscriber should.

const LIMIT_MAX = 1_000_000_000

interface TailCommandOptions {
  readonly fromBeginning?: boolean
  readonly json?: boolean
  readonly limit?: number
  readonly topicPrefix?: string
  readonly brokers?: readonly string[]
  readonly metricsPort?: number
}

const EXAMPLES = `
Examples:
  $ sluice alerts tail                              from now on; a running demo's, when there is one
  $ sluice alerts tail --from-beginning --limit 10
  $ sluice alerts tail --json | jq 'select(.action == "block")'
  $ sluice alerts forward --targets targets.yaml`

/** Adds the command to the program. */
export function register(program: Command): void {
  const alerts = program
    .command('alerts')
    .summary('follow the alerts, and forward them')
    .description('What subscribers of the alerts topic see, and alerts over HTTP to others.')
    .addHelpText('after', EXAMPLES)
  alerts
    .command('tail')
    .summary('print alerts as they are published')
    .description(
      'Prints alerts as they are committed: event time (UTC), card token, amount, action, score, first reason. ' +
        'Joins no group of the scorer and commits nothing, so it can run as often as wanted. Without a topic ' +
        'prefix and while a demo of this checkout runs, it follows that demo.',
    )
    .option('--from-beginning', 'begin with what is in the topic already')
    .option('--json', 'print each alert as one line of JSON')
    .option('--limit <count>', 'end after this many alerts', parseInteger(1, LIMIT_MAX))
    .option(
      '--brokers <host:port,...>',
      'Kafka (default SLUICE_KAFKA_BROKERS or 127.0.0.1:19092)',
      brokersOption,
    )
    .option(
      '--topic-prefix <prefix>',
      'put before topic names (default SLUICE_TOPIC_PREFIX or none)',
    )
    .option(
      '--metrics-port <port>',
      'serve /metrics, /livez and /readyz on this port (another one when it is in use)',
      parseInteger(0, 65_535),
    )
    .addHelpText('after', EXAMPLES)
    .action(tail)
  registerWatchReceipts(alerts)
  registerServe(alerts)
  registerForward(alerts)
  registerRedeliver(alerts)
}

async function tail(options: TailCommandOptions): Promise<void> {
  const config = loadAlertsConfig(process.env)
  const { brokers, security, topicPrefix } = whereToLook(options, config)
  const telemetry = createAlertsTelemetry()
  const metrics = await openMetrics(config.metricsHost, options.metricsPort, telemetry)
  const isColored = wantsColor(process.stdout.isTTY, process.env)
  const interrupted = interruptSignal()
  const enough = new AbortController()
  let left = options.limit ?? Number.POSITIVE_INFINITY
  const registry = openSchemaRegistry({
    url: config.schemaRegistryUrl,
    topicPrefix,
    register: false,
  })
  try {
    await tailAlerts(
      {
        brokers,
        security,
        topicPrefix,
        codecs: createCodecs(await registry.load()),
        startAt: options.fromBeginning === true ? 'beginning' : 'now',
        clock: systemClock,
        telemetry,
        onReady: () => {
          printProgress(`following ${topicPrefix}alerts at ${brokers.join(',')}; Ctrl-C ends it`)
        },
        onNotRead: ({ partition, offset, reason, field }) => {
          const where = field === null ? '' : ` in ${field}`
          printProgress(
            `partition ${partition} offset ${offset} is not an alert: ${reason}${where}`,
          )
        },
      },
      ({ alert }) => {
        printLine(options.json === true ? JSON.stringify(alert) : alertLine(alert, isColored))
        left -= 1
        if (left <= 0) enough.abort()
      },
      AbortSignal.any([interrupted, enough.signal]),
    )
  } finally {
    await metrics?.close()
  }
  // Ctrl-C is the normal way to leave a tail. A program that stops it sees the usual exit code.
  const reason: unknown = interrupted.reason
  if (reason instanceof Interrupted) process.exitCode = reason.exitCode
}

async function openMetrics(
  host: string,
  port: number | undefined,
  telemetry: AlertsTelemetry,
): Promise<MetricsServer | null> {
  if (port === undefined) return null
  const server = await openMetricsServer({
    host,
    port,
    registry: telemetry.registry,
    readiness: () => ({ isReady: telemetry.isFollowing, details: {} }),
  })
  printProgress(`metrics: http://${host}:${server.port}/metrics`)
  return server
}
