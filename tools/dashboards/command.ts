// sluice dashboards preview: the Grafana dashboards with data of a Prometheus, as one HTML file, without Grafana.

import { writeFileSync } from 'node:fs'
import { InvalidArgumentError, type Command } from 'commander'
import { SluiceError } from '../../services/core/errors.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { makePreview, type Preview } from './preview/preview.ts'
import {
  interruptSignal,
  printJson,
  printLine,
  repositoryRoot,
} from '../../services/cli/command.ts'
import { durationOption } from '../../services/cli/commands/produce.ts'

const RANGE_MS_DEFAULT = 5 * 60_000
const RANGE_MS_MIN = 10_000
const RANGE_MS_MAX = 90 * 86_400_000
const EXIT_FAILED_PANELS = 1

interface PreviewCommandOptions {
  readonly prometheus: URL
  readonly out: string
  readonly range: number
  readonly dashboard?: string
  readonly json?: boolean
}

const EXAMPLES = `
Examples:
  $ sluice dashboards preview --prometheus http://127.0.0.1:9090 --out dashboards.html
  $ sluice dashboards preview --prometheus http://127.0.0.1:9090 --out fraud.html --dashboard fraud --range 1h`

/** Adds the command to the program. */
export function register(program: Command): void {
  const dashboards = program
    .command('dashboards')
    .summary('show the Grafana dashboards without Grafana')
    .description('The dashboards of infra/grafana, for people who have no Grafana at hand.')
    .addHelpText('after', EXAMPLES)
  dashboards
    .command('preview')
    .summary('draw the dashboards with the data of a Prometheus into one HTML file')
    .description(
      'Asks Prometheus the queries of the committed dashboards and draws the panels into one HTML file that loads ' +
        'nothing from elsewhere. It is a preview of ours, not Grafana. A panel without data says so. Exits 1, with ' +
        'the file written, when Prometheus refused a query.',
    )
    .requiredOption('--prometheus <url>', 'address of Prometheus', urlOption)
    .requiredOption('--out <file>', 'the HTML file to write')
    .option('--range <duration>', 'how far back (default 5m)', rangeOption, RANGE_MS_DEFAULT)
    .option('--dashboard <name>', 'only one: fraud, stream, state-and-models or runtime')
    .option('--json', 'print which panels have data, as JSON')
    .addHelpText('after', EXAMPLES)
    .action(preview)
}

async function preview(options: PreviewCommandOptions): Promise<void> {
  const signal = interruptSignal()
  const made = await makePreview({
    root: repositoryRoot(),
    prometheus: options.prometheus,
    rangeMs: options.range,
    dashboard: options.dashboard ?? null,
    clock: systemClock,
    signal,
  }).catch((error: unknown) => {
    // After a signal, failures of pending queries do not matter.
    signal.throwIfAborted()
    throw error
  })
  write(options.out, made.html)
  report(made, options)
  if (made.panels.some(({ state }) => state === 'failed')) process.exitCode = EXIT_FAILED_PANELS
}

function report({ panels }: Preview, { out, json }: PreviewCommandOptions): void {
  if (json === true) {
    printJson({ file: out, panels })
    return
  }
  const titles = (state: string): string =>
    panels
      .filter((each) => each.state === state)
      .map(({ dashboard, panel }) => `${dashboard.replace(/^sluice-/, '')}: ${panel}`)
      .join('; ')
  const withData = panels.filter(({ state }) => state === 'data').length
  printLine(`${out}: ${withData} of ${panels.length} panels show data`)
  if (titles('no data') !== '') printLine(`no data: ${titles('no data')}`)
  if (titles('failed') !== '') printLine(`query failed: ${titles('failed')}`)
}

function write(file: string, html: string): void {
  try {
    writeFileSync(file, html)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new SluiceError(
      'SLUICE_USAGE',
      `The preview cannot be written to ${file}: ${reason}. Give a file in a folder that exists after --out.`,
      { cause: error },
    )
  }
}

function urlOption(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url !== null && /^https?:$/.test(url.protocol)) return url
  throw new InvalidArgumentError('Give an address such as http://127.0.0.1:9090.')
}

function rangeOption(text: string): number {
  const rangeMs = durationOption(text)
  if (rangeMs >= RANGE_MS_MIN && rangeMs <= RANGE_MS_MAX) return rangeMs
  throw new InvalidArgumentError('Give a duration from 10s to 90d.')
}
