// The `sluice` command line. Wiring only: each command has its own file, which is loaded when it is used, so that the
// start stays fast.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { redactText } from '../core/card-numbers.ts'
import { SluiceError } from '../core/errors.ts'
import { installOwnCatalogue } from '../platform/own-catalogue.ts'
import { Interrupted, repositoryRoot, type CommandModule } from './command.ts'

const EXIT_USAGE = 2
const EXIT_UNEXPECTED = 70

const COMMANDS: readonly [name: string, summary: string, load: () => Promise<CommandModule>][] = [
  [
    'demo',
    'show it all: card traffic in, alerts on the screen',
    () => import('../../tools/demo/command.ts'),
  ],
  [
    'up',
    'start Kafka and Redis and leave them running',
    async () => ({ register: (await import('../../tools/servers/commands.ts')).registerUp }),
  ],
  [
    'down',
    'stop Kafka and Redis',
    async () => ({ register: (await import('../../tools/servers/commands.ts')).registerDown }),
  ],
  [
    'status',
    'say whether Kafka and Redis run, and where',
    async () => ({ register: (await import('../../tools/servers/commands.ts')).registerStatus }),
  ],
  [
    'schemas',
    'check the released schemas, and release new versions',
    () => import('./commands/schemas.ts'),
  ],
  ['topics', 'make and check the topics of a stream', () => import('./commands/topics.ts')],
  [
    'doctor',
    'check everything Sluice needs on this machine',
    () => import('../../tools/doctor/command.ts'),
  ],
  [
    'produce',
    'stream simulated or recorded transactions into Kafka',
    () => import('./commands/produce.ts'),
  ],
  [
    'bridge',
    "turn a team's own topic into transactions and labels",
    () => import('./commands/bridge.ts'),
  ],
  ['train', 'make a model from history', () => import('./commands/train.ts')],
  ['evaluate', 'assess the models by a published protocol', () => import('./commands/evaluate.ts')],
  ['model', 'verify models, and change which one decides', () => import('./commands/model.ts')],
  ['policy', 'check policies, and change which one decides', () => import('./commands/policy.ts')],
  [
    'rates',
    'import exchange rates, and change those in force',
    () => import('./commands/rates.ts'),
  ],
  ['list', "look at the policy's lists, and change them", () => import('./commands/list.ts')],
  [
    'tensorflow',
    'install native TensorFlow or WebGPU, for scoring and training',
    () => import('../../tools/tensorflow/command.ts'),
  ],
  ['bench', 'measure the pipeline on this machine', () => import('../../tools/bench/command.ts')],
  ['scorer', 'run the scorer in the foreground', () => import('./commands/scorer.ts')],
  ['alerts', 'follow the alerts, and forward them', () => import('./commands/alerts.ts')],
  ['release', 'let go of a blocked card', () => import('./commands/release.ts')],
  [
    'breaker',
    'show whether blocks are capped now, and reset that',
    () => import('./commands/breaker.ts'),
  ],
  [
    'enforce',
    'refuse payments of blocked cards, and answer with receipts',
    () => import('./commands/enforce.ts'),
  ],
  [
    'gateway',
    'score transactions over HTTP, with an answer in time',
    () => import('./commands/gateway.ts'),
  ],
  ['queue', 'show the open cases, the most urgent first', () => import('./commands/queue.ts')],
  [
    'label',
    'say what a transaction was: fraud, genuine, or inconclusive',
    () => import('./commands/label.ts'),
  ],
  [
    'features',
    'list features, export rows, explain one decision',
    () => import('./commands/features.ts'),
  ],
  [
    'explain',
    'say all about one alert: why, and what came of it',
    () => import('./commands/explain.ts'),
  ],
  [
    'trace',
    'say when one transaction was sent, decided and visible',
    () => import('../../tools/trace/command.ts'),
  ],
  [
    'replay',
    'compute decisions again from the log, and compare',
    () => import('./commands/replay.ts'),
  ],
  [
    'audit',
    'verify the chain of decision batches, and anchor it',
    () => import('./commands/audit.ts'),
  ],
  ['lake', 'keep history in Parquet files, and ask it', () => import('./commands/lake.ts')],
  [
    'backtest',
    'try policies on what was decided, without Kafka',
    () => import('./commands/backtest.ts'),
  ],
  ['skew', 'recompute decisions from the log, continuously', () => import('./commands/skew.ts')],
  [
    'dashboards',
    'show the Grafana dashboards without Grafana',
    () => import('../../tools/dashboards/command.ts'),
  ],
  [
    'dead-letters',
    'look at messages that could not be decided, and send them again',
    () => import('./commands/dead-letters.ts'),
  ],
]

function version(): string {
  const text = readFileSync(join(repositoryRoot(), 'package.json'), 'utf8')
  return (JSON.parse(text) as { readonly version: string }).version
}

/** Loads only the requested command; the others are listed for the help. */
async function buildProgram(args: readonly string[]): Promise<Command> {
  const program = new Command('sluice')
    .description('Real-time fraud detection on a stream of card transactions.')
    .version(version(), '--version', 'print the version')
    .helpOption('-h, --help', 'show this help; "sluice <command> --help" tells more')
    .helpCommand('help [command]', 'show the help of a command')
    .showHelpAfterError(
      'Run "sluice --help" to see the commands, or "sluice <command> --help" for its options.',
    )
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => {
        write(text.replace(/^error: /, 'sluice: '))
      },
    })
    .addHelpText(
      'after',
      '\nExamples:\n  $ sluice doctor\n  $ sluice up && sluice status --json\n  $ sluice down',
    )
  const words = args.filter((word) => !word.startsWith('-'))
  const wanted = words[0] === 'help' ? words[1] : words[0]
  for (const [name, summary, load] of COMMANDS) {
    if (name === wanted) (await load()).register(program)
    else program.command(name).summary(summary).description(summary)
  }
  return program
}

/** Prints the error and returns its exit code. */
function report(error: unknown): number {
  // Commander has already printed its message (or the help).
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE
  if (error instanceof Interrupted) {
    process.stderr.write(`sluice: ${error.message}\n`)
    return error.exitCode
  }
  if (error instanceof SluiceError) {
    process.stderr.write(`sluice: ${redactText(error.message)} [${error.code}]\n`)
    return error.exitCode
  }
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
  process.stderr.write(`sluice: unexpected error, please report it:\n${redactText(text)}\n`)
  return EXIT_UNEXPECTED
}

// A reader that closes early (`sluice alerts tail | head`) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0)
  throw error
})

try {
  installOwnCatalogue(process.env)
  const program = await buildProgram(process.argv.slice(2))
  if (process.argv.length <= 2) program.outputHelp()
  else await program.parseAsync()
} catch (error) {
  process.exitCode = report(error)
}
