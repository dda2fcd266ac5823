// sluice alerts: tail follows the alerts topic, the way a subscriber should; the others have files of their own.

import type { Command } from 'commander'
import {
  createAlertsTelemetry,
  loadAlertsConfig,
  tailAlerts,
  type AlertsTelemetry,
} from '../../alerts/index.ts'
import { createCodecs } from '../../core/wire/codecs.ts'
import { systemClock } from '../../platform/clock.ts'
import { type MetricsServer, openMetricsServer } from '../../platform/metrics/metrics-server.ts'
import { openSchemaRegistry } from '../../platform/registry/http-registry.ts'
import { Interrupted, interruptSignal, parseInteger, printLine, printProgress } from '../command.ts'
import { alertLine, wantsColor } from '../alert-line.ts'
import { registerForward } from './alerts-forward.ts'
import { brokersOption } from './alerts-options.ts'
import { registerServe } from './alerts-serve.ts'
import { registerWatchReceipts } from './alerts-receipts.ts'
import { whereToLook } from './alerts-place.ts'
import { registerRedeliver } from './alerts-redeliver.ts'

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
          printProgress(`partition ${partition} offset ${offset} is no alert: ${reason}${where}`)
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
  // Ctrl-C is how one leaves a tail; a program that ends it sees the usual code.
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
