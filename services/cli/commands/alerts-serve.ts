// sluice alerts serve: the queue and the labels over HTTP.

import type { Command } from 'commander'
import { loadCasesConfig, runCases } from '../../alerts/index.ts'
import { systemClock } from '../../platform/clock.ts'
import { openLogger } from '../../platform/log.ts'
import { interruptSignal, parseInteger, printProgress } from '../command.ts'
import { environmentHelp } from './environment-help.ts'

const PORT_MAX = 65_535

const EXAMPLES = `
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
export function registerServe(alerts: Command): void {
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
    .addHelpText('after', () => `\n${environmentHelp('cases')}\n${EXAMPLES}`)
    .action(run)
}

async function run(options: ServeOptions): Promise<void> {
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
