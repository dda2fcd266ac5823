// sluice skew: continuously recomputes a sample of decisions from the log, and counts differences.

import type { Command } from 'commander'
import { systemClock } from '../../platform/clock.ts'
import { openLogger } from '../../platform/log.ts'
import { loadSkewConfig, runSkewMeter } from '../../skew/index.ts'
import { interruptSignal, parseInteger, parseNumber, printProgress } from '../command.ts'
import { type Moment, momentOption } from './stream-options.ts'
import { environmentHelp } from './environment-help.ts'
import { recordedRates } from '../../platform/config/rates-setting.ts'
import { storesOf } from '../model/model-stream.ts'

const PORT_MAX = 65_535
const SAMPLE_MIN = 0.000_001

interface SkewCommandOptions {
  readonly from: 'beginning' | Moment
  readonly sample?: number
  readonly metricsPort?: number
}

const EXAMPLES = `
Examples:
  $ sluice skew
  $ sluice skew --sample 1 --metrics-port 0
  $ sluice skew --from 45d

What it compares, and what a sample covers: docs/operations.md. The alert: docs/runbook.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('skew')
    .summary('recompute decisions from the log, continuously')
    .description(
      'Follows transactions, labels and decisions, recomputes the features of a sample of decisions from the log, and ' +
        'counts values that are not bit for bit what was used to decide, until SIGTERM or Ctrl-C. Publishes nothing.',
    )
    .option(
      '--from <time>',
      'begin at the beginning of the log, or with records of this time, such as 45d or 2026-01-31',
      fromOption,
      'beginning' as const,
    )
    .option(
      '--sample <share>',
      'share of cards and of entities, 1 for all (default SLUICE_SKEW_SAMPLE)',
      parseNumber(SAMPLE_MIN, 1),
    )
    .option(
      '--metrics-port <port>',
      'port of /metrics, /livez and /readyz (default SLUICE_METRICS_PORT)',
      parseInteger(0, PORT_MAX),
    )
    .addHelpText('after', () => `\n${environmentHelp('skew')}\n${EXAMPLES}`)
    .action(run)
}

async function run(options: SkewCommandOptions): Promise<void> {
  const loaded = loadSkewConfig(process.env)
  const config = {
    ...loaded,
    sample: options.sample ?? loaded.sample,
    metrics: { ...loaded.metrics, port: options.metricsPort ?? loaded.metrics.port },
  }
  await runSkewMeter(
    {
      config,
      rates: await recordedRates(storesOf({}).policies),
      from: options.from === 'beginning' ? 'beginning' : timeOf(options.from),
      clock: systemClock,
      log: openLogger('skew', config.logLevel, config.logFormat),
      onReady: (port) => {
        printProgress(`metrics: http://${config.metrics.host}:${port}/metrics`)
      },
    },
    interruptSignal(),
  )
}

function fromOption(text: string): 'beginning' | Moment {
  if (text === 'beginning') return text
  return text === 'now' ? { agoMs: 0 } : momentOption(text)
}

function timeOf(moment: Moment): number {
  return 'atMs' in moment ? moment.atMs : systemClock.nowMs() - moment.agoMs
}
