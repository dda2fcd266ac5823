// sluice enforce: the reference enforcer, which stands in for a bank's authorisation system.

import type { Command } from 'commander'
import { loadEnforcerConfig, runEnforcer } from '../../alerts/index.ts'
import { systemClock } from '../../platform/clock.ts'
import { openLogger } from '../../platform/log.ts'
import { interruptSignal, parseInteger, printProgress } from '../command.ts'
import { environmentHelp } from './environment-help.ts'

const PORT_MAX = 65_535

interface EnforceOptions {
  readonly port?: number
  readonly metricsPort?: number
}

const EXAMPLES = `
Examples:
  $ SLUICE_ENFORCER_TOKEN_FILE=token.txt sluice enforce
  $ curl -s -H "Authorization: Bearer $(cat token.txt)" -H 'Content-Type: application/json' \\
      -d '{"card":"card-00042"}' http://127.0.0.1:9480/authorise
  $ curl -s -H "Authorization: Bearer $(cat token.txt)" http://127.0.0.1:9480/blocks

What it does with blocks, and what its receipts say: docs/alerts.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('enforce')
    .summary('refuse payments of blocked cards, and answer with receipts')
    .description(
      'Follows the alerts, keeps each block until its lease ends or it is released, answers POST /authorise, and writes ' +
        'a receipt for each block and release, until SIGTERM or Ctrl-C. One process for each subscriber name.',
    )
    .option(
      '--port <port>',
      'port of POST /authorise and GET /blocks (default SLUICE_ENFORCER_PORT)',
      parseInteger(0, PORT_MAX),
    )
    .option(
      '--metrics-port <port>',
      'port of /metrics, /livez and /readyz (default SLUICE_METRICS_PORT)',
      parseInteger(0, PORT_MAX),
    )
    .addHelpText('after', () => `\n${environmentHelp('enforce')}\n${EXAMPLES}`)
    .action(run)
}

async function run(options: EnforceOptions): Promise<void> {
  const loaded = loadEnforcerConfig(process.env)
  const config = {
    ...loaded,
    http: { ...loaded.http, port: options.port ?? loaded.http.port },
    metrics: { ...loaded.metrics, port: options.metricsPort ?? loaded.metrics.port },
  }
  await runEnforcer(
    {
      config,
      clock: systemClock,
      log: openLogger('enforcer', config.logLevel, config.logFormat),
      onReady: (ports) => {
        printProgress(`enforcer: http://${config.http.host}:${ports.http}`)
        printProgress(`metrics: http://${config.metrics.host}:${ports.metrics}/metrics`)
      },
    },
    interruptSignal(),
  )
}
