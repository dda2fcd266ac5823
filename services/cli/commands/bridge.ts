// sluice bridge: a team's own topic becomes transactions and labels.

import type { Command } from 'commander'
import {
  checkMapping,
  type CheckedMessage,
  loadBridgeConfig,
  runBridge,
} from '../../bridge/index.ts'
import { SluiceError } from '../../core/errors.ts'
import { systemClock } from '../../platform/clock.ts'
import { openLogger } from '../../platform/log.ts'
import { interruptSignal, parseInteger, printJson, printLine, printProgress } from '../command.ts'
import { environmentHelp } from './environment-help.ts'

const PORT_MAX = 65_535
const SAMPLE_MAX = 100_000
const SAMPLE_DEFAULT = 20

interface BridgeCommandOptions {
  readonly mapping?: string
  readonly metricsPort?: number
}

const EXAMPLES = `
Examples:
  $ sluice bridge --mapping payments.yaml
  $ sluice bridge check --mapping payments.yaml
  $ sluice bridge check --mapping payments.yaml --file sample.jsonl

The mapping language, card numbers, and what several partitions mean: docs/bridge.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const bridge = program
    .command('bridge')
    .summary("turn a team's own topic into transactions and labels")
    .description(
      "Reads a team's own topic, and writes transactions and labels as a mapping says, each message exactly once, until " +
        'SIGTERM or Ctrl-C. What cannot be mapped becomes a dead letter. Several bridges of one mapping share its partitions.',
    )
    .option('--mapping <file>', 'the mapping, YAML (default SLUICE_BRIDGE_MAPPING)')
    .option(
      '--metrics-port <port>',
      'port of /metrics, /livez and /readyz (default SLUICE_METRICS_PORT)',
      parseInteger(0, PORT_MAX),
    )
    .addHelpText('after', () => `\n${environmentHelp('bridge')}\n${EXAMPLES}`)
    .action(run)
  bridge
    .command('check')
    .summary('show what a mapping makes of a sample, and write nothing')
    .description(
      'Maps a sample, and shows for each message what came in, what goes out, or why it is refused. The sample is that of a ' +
        'file with one message a line, or the newest messages of each partition of the topic. Nothing is written, and no ' +
        'offset is moved. Card numbers are masked.',
    )
    .option('--mapping <file>', 'the mapping, YAML (default SLUICE_BRIDGE_MAPPING)')
    .option('--file <file>', 'a file with one message a line, instead of the topic')
    .option(
      '--count <count>',
      `messages of the file, or of each partition (default ${SAMPLE_DEFAULT})`,
      parseInteger(1, SAMPLE_MAX),
    )
    .option('--json', 'print one JSON array')
    .addHelpText('after', EXAMPLES)
    .action((_: unknown, command: Command) => check(command.optsWithGlobals()))
}

interface CheckCommandOptions {
  readonly mapping?: string
  readonly file?: string
  readonly count?: number
  readonly json?: boolean
}

async function check(options: CheckCommandOptions): Promise<void> {
  const config = loadBridgeConfig(process.env)
  const checked: CheckedMessage[] = []
  const totals = new Map<string, number>()
  const messages = checkMapping({
    config,
    mappingFile: fileOf(options, config.mappingFile),
    sampleFile: options.file ?? null,
    countMax: options.count ?? SAMPLE_DEFAULT,
    log: openLogger('bridge', 'warn', config.logFormat),
  })
  for await (const message of messages) {
    const { mapped } = message
    const total = mapped.kind === 'refused' ? `refused: ${mapped.reason}` : mapped.kind
    totals.set(total, (totals.get(total) ?? 0) + 1)
    if (options.json === true) checked.push(message)
    else printChecked(message)
  }
  if (options.json === true) printJson(checked)
  else printLine([...totals].map(([what, count]) => `${count} ${what}`).join(', ') || 'no messages')
}

function printChecked({ place, input, mapped }: CheckedMessage): void {
  printLine(`${place}: ${input}`)
  if (mapped.kind === 'refused') {
    const where = [mapped.rule, mapped.field].filter((part) => part !== null).join('.')
    printLine(
      `  refused (${mapped.reason})${where === '' ? '' : ` at ${where}`}: ${mapped.problem}`,
    )
    return
  }
  if (mapped.kind === 'skipped') {
    printLine(`  left out by ${mapped.rule ?? 'the filter, or since no rule applies'}`)
    return
  }
  if (mapped.transaction !== null) printLine(`  transaction ${present(mapped.transaction)}`)
  if (mapped.label !== null) printLine(`  label ${present(mapped.label)}`)
}

/** JSON of the fields that have a value. */
function present(record: object): string {
  return JSON.stringify(record, (_, value: unknown) => value ?? undefined)
}

function fileOf({ mapping }: { readonly mapping?: string }, configured: string | null): string {
  const file = mapping ?? configured
  if (file !== null) return file
  throw new SluiceError(
    'SLUICE_USAGE',
    'Name the mapping: --mapping FILE or SLUICE_BRIDGE_MAPPING.',
  )
}

async function run(options: BridgeCommandOptions): Promise<void> {
  const loaded = loadBridgeConfig(process.env)
  const mappingFile = fileOf(options, loaded.mappingFile)
  const config = {
    ...loaded,
    metrics: { ...loaded.metrics, port: options.metricsPort ?? loaded.metrics.port },
  }
  await runBridge(
    {
      config,
      mappingFile,
      clock: systemClock,
      log: openLogger('bridge', config.logLevel, config.logFormat),
      onReady: (port) => {
        printProgress(`metrics: http://${config.metrics.host}:${port}/metrics`)
      },
    },
    interruptSignal(),
  )
}
