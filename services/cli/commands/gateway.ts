// sluice gateway: answers authorisation systems over HTTP.

import type { Command } from 'commander'
import { loadGatewayConfig, runGateway } from '../../gateway/index.ts'
import { systemClock } from '../../platform/clock.ts'
import { openLogger } from '../../platform/log.ts'
import { interruptSignal, parseInteger, printProgress } from '../command.ts'
import { environmentHelp } from './environment-help.ts'

const PORT_MAX = 65_535

interface GatewayCommandOptions {
  readonly port?: number
  readonly metricsPort?: number
}

const EXAMPLES = `
Examples:
  $ SLUICE_GATEWAY_TOKENS_FILE=tokens.txt sluice gateway
  $ curl -s -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
      -d '{"id":"t-1","card":"card-00042","eventTimeMs":'$(date +%s000)',"amountMinor":1999,"currency":"EUR"}' \\
      http://127.0.0.1:9482/v1/score
  $ curl -s http://127.0.0.1:9482/openapi.json

What it answers, and when it answers the fallback: docs/gateway.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('gateway')
    .summary('score transactions over HTTP, with an answer in time')
    .description(
      'Answers POST /v1/score: writes the transaction to the log and answers with the decision that the scorer commits, ' +
        'or with the fallback at the deadline, until SIGTERM or Ctrl-C. Several gateways may run side by side.',
    )
    .option(
      '--port <port>',
      'port of POST /v1/score (default SLUICE_GATEWAY_PORT)',
      parseInteger(0, PORT_MAX),
    )
    .option(
      '--metrics-port <port>',
      'port of /metrics, /livez and /readyz (default SLUICE_METRICS_PORT)',
      parseInteger(0, PORT_MAX),
    )
    .addHelpText('after', () => `\n${environmentHelp('gateway')}\n${EXAMPLES}`)
    .action(run)
}

async function run(options: GatewayCommandOptions): Promise<void> {
  const loaded = loadGatewayConfig(process.env)
  const config = {
    ...loaded,
    http: { ...loaded.http, port: options.port ?? loaded.http.port },
    metrics: { ...loaded.metrics, port: options.metricsPort ?? loaded.metrics.port },
  }
  const scheme = config.tls === null ? 'http' : 'https'
  await runGateway(
    {
      config,
      clock: systemClock,
      log: openLogger('gateway', config.logLevel, config.logFormat),
      onReady: (ports) => {
        printProgress(`gateway: ${scheme}://${config.http.host}:${ports.http}`)
        printProgress(`metrics: http://${config.metrics.host}:${ports.metrics}/metrics`)
      },
    },
    interruptSignal(),
  )
}
