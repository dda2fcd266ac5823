// sluice alerts forward: sends alerts to functions and services over HTTP, as signed CloudEvents.

import type { Command } from 'commander'
import { loadForwardConfig, loadTargets, runForwarder, type Target } from '../../alerts/index.ts'
import { systemClock } from '../../platform/clock.ts'
import { openLogger } from '../../platform/log.ts'
import { interruptSignal, parseInteger, printLine, printProgress } from '../command.ts'
import { brokersOption } from './alerts-options.ts'
import { whereToLook } from './alerts-place.ts'
import { environmentHelp } from './environment-help.ts'

const PORT_MAX = 65_535

interface ForwardCommandOptions {
  readonly targets: string
  readonly check?: boolean
  readonly json?: boolean
  readonly brokers?: readonly string[]
  readonly topicPrefix?: string
  readonly metricsPort?: number
}

const EXAMPLES = `
Examples:
  $ sluice alerts forward --targets targets.yaml --check
  $ sluice alerts forward --targets targets.yaml
  $ sluice alerts forward --targets targets.yaml --metrics-port 0

The targets file, what is sent, and how a receiver checks it: docs/webhooks.md. The alerts: docs/runbook.md.`

/** Adds the command to `sluice alerts`. */
export function registerForward(alerts: Command): void {
  alerts
    .command('forward')
    .summary('send alerts to functions and services over HTTP')
    .description(
      'Sends alerts to the targets of a file as signed CloudEvents, at least once each, until SIGTERM or Ctrl-C. Each ' +
        'target has a place and a pace of its own: one that is slow or away delays no other.',
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
    .addHelpText('after', () => `\n${environmentHelp('forwarder')}\n${EXAMPLES}`)
    .action(run)
}

async function run(options: ForwardCommandOptions): Promise<void> {
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

/** Everything but the keys, of which only the number is told. */
function targetJson({ keys, ...rest }: Target): Record<string, unknown> {
  return { ...rest, keys: keys.length }
}
