// sluice alerts watch-receipts: joins blocks with the receipts of subscribers.

import type { Command } from 'commander'
import { loadReceiptsConfig, runReceipts } from '../../alerts/index.ts'
import { systemClock } from '../../platform/clock.ts'
import { warnOfBuiltInKey } from '../../platform/config/secrets.ts'
import { openLogger } from '../../platform/log.ts'
import { interruptSignal, parseInteger, printProgress } from '../command.ts'
import { environmentHelp } from './environment-help.ts'

const PORT_MAX = 65_535

const EXAMPLES = `
Examples:
  $ sluice alerts watch-receipts
  $ SLUICE_RECEIPT_MISSING=resend SLUICE_RECEIPT_WAIT_MS=5000 sluice alerts watch-receipts --metrics-port 0

What is counted, and what happens to a block without receipt: docs/alerts.md.`

/** Adds the command below \`sluice alerts\`. */
export function registerWatchReceipts(alerts: Command): void {
  alerts
    .command('watch-receipts')
    .summary('tell how long blocks take, and which nobody has answered')
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
    .addHelpText('after', () => `\n${environmentHelp('receipts')}\n${EXAMPLES}`)
    .action(run)
}

async function run(options: { readonly metricsPort?: number }): Promise<void> {
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
