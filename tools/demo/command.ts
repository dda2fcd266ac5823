// sluice demo: runs the whole system on a machine with nothing set up, and removes everything afterwards.

import { writeFileSync } from 'node:fs'
import { Option, type Command } from 'commander'
import { SluiceError } from '../../services/core/errors.ts'
import { systemClock } from '../../services/platform/clock.ts'
import { openReplay } from '../../services/producer/index.ts'
import { planDemo, type DemoOptions } from './demo-plan.ts'
import { runDemo } from './run-demo.ts'
import { FAULTS } from './watch/fault.ts'
import { summaryLines, type DemoSummary } from './summary.ts'
import {
  interruptSignal,
  parseInteger,
  parseNumber,
  printLine,
  printProgress,
} from '../../services/cli/command.ts'
import {
  constantsOption,
  durationOption,
  mappingOption,
  timeRangeOption,
} from '../../services/cli/commands/produce.ts'

const COUNT_MAX = 100_000_000
const EXIT_WRONG = 1

const EXAMPLES = `
Examples:
  $ npm run demo                                    simulated traffic until Ctrl-C
  $ npm run demo -- --rate 2000 --seed 7
  $ npm run demo -- --count 20000 --flat-out --exit --summary out.json
  $ npm run demo -- --replay history/ --from 2018-07-25 --to 2018-07-31 --exit
  $ npm run demo -- --watch --fault redis-away --exit --dashboards dashboards.html
  $ npm run demo -- --json | jq .action

In the demo the policy enforces: alerts may block. A real installation starts in flag mode.
SLUICE_MODEL and SLUICE_BACKEND choose another model or backend ("sluice scorer --help").`

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('demo')
    .summary('show it all: card traffic in, alerts on the screen')
    .description(
      'Starts Kafka and Redis where none are given, creates topics of its own, starts a scorer and a ' +
        'subscriber, streams simulated card traffic with fraud in it (or files), and shows the alerts as they ' +
        'are published. Ctrl-C stops all that it started and removes all that it made.',
    )
    .option('--replay <path...>', 'CSV files, or folders of them, instead of the simulator')
    .option('--from <date>', 'first event time, or day in UTC', timeRangeOption)
    .option('--to <date>', 'last event time, or day in UTC, included', timeRangeOption)
    .option('--map <field=column,...>', 'columns of the files; see "sluice produce"', mappingOption)
    .option('--set <field=value,...>', 'the same value for every row', constantsOption)
    .option('--label-delay <duration>', 'when a label becomes known (default 7d)', durationOption)
    .option('--seed <integer>', 'seed of the simulator', parseInteger(0, 4_294_967_295))
  addPaceOptions(command)
  command
    .option('--count <count>', 'stop after this many transactions', parseInteger(1, COUNT_MAX))
    .option('--duration <duration>', 'send for this long, such as 30s or 5m', durationOption)
    .option('--exit', 'end once everything is decided; check it, and exit 1 if anything is wrong')
    .option('--summary <file>', 'write the summary as JSON (with --exit)')
    .option(
      '--watch',
      'with Prometheus on it, its alert rules, and a page that shows the dashboards',
    )
    .addOption(
      new Option(
        '--fault <name>',
        'make this fault, wait until its alert fires, mend it, wait until it clears (implies --watch)',
      ).choices(FAULTS),
    )
    .option(
      '--dashboards <file>',
      'write the dashboards as one HTML file at the end (implies --watch)',
    )
    .option('--json', 'print each alert, and the summary, as one line of JSON')
    .addHelpText('after', EXAMPLES)
    .action(run)
}

function addPaceOptions(command: Command): void {
  command
    .addOption(
      new Option('--rate <per second>', 'transactions per second (default 300)')
        .conflicts(['speed', 'flatOut'])
        .argParser(parseNumber(0.001, 10_000_000)),
    )
    .addOption(
      new Option('--speed <factor>', 'multiple of real time, by event time')
        .conflicts(['rate', 'flatOut'])
        .argParser(parseNumber(0.001, 1_000_000_000)),
    )
    .addOption(
      new Option(
        '--flat-out',
        'as fast as it goes (default with --replay); event to alert then includes the queue',
      ).conflicts(['rate', 'speed']),
    )
}

async function run(options: DemoOptions): Promise<void> {
  const plan = planDemo(options, systemClock.nowMs())
  // Checked before two servers are started in vain.
  if (plan.source.kind === 'replay') await openReplay(plan.source.replay)
  const signal = interruptSignal()
  // A closed terminal ends the demo like Ctrl-C, so that nothing is left behind.
  process.once('SIGHUP', () => process.kill(process.pid, 'SIGTERM'))
  const end = await runDemo(plan, signal)
  if (end === null) {
    printProgress('stopped; nothing is left running')
    return
  }
  const { summary } = end
  if (plan.json) printLine(JSON.stringify({ summary }))
  else for (const line of summaryLines(summary)) printLine(line)
  if (summary.problems.length > 0) process.exitCode = EXIT_WRONG
  if (plan.summaryFile !== null) writeSummary(plan.summaryFile, summary)
}

function writeSummary(file: string, summary: DemoSummary): void {
  try {
    writeFileSync(file, `${JSON.stringify(summary, null, 2)}\n`)
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new SluiceError(
      'SLUICE_USAGE',
      `--summary ${file} cannot be written (${problem}); give a file in a folder that exists.`,
      { cause: error },
    )
  }
}
