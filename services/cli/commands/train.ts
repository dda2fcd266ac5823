// sluice train: a model folder from the simulator, from CSV files, from the lake, or from the topics.

import { basename, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import { DEFAULT_RATES } from '../../core/currency.ts'
import { SluiceError } from '../../core/errors.ts'
import { systemClock } from '../../platform/clock.ts'
import { TRAINER_DEFAULTS, TRAINING_BACKENDS, runTrainer, skipText } from '../../trainer/index.ts'
import type { HistoryEvent, TrainingBackend, TrainSummary } from '../../trainer/index.ts'
import {
  interruptSignal,
  parseInteger,
  parseNumber,
  printJson,
  printLine,
  printProgress,
} from '../command.ts'
import { durationOption } from './produce-options.ts'
import { addHistoryOptions, openHistory } from './train-history.ts'
import type { HistoryOptions } from './train-history.ts'

const DAY_MS = 86_400_000
const NAME = /^[a-z0-9][a-z0-9._-]{0,39}$/
const GAP_DAYS_DEFAULT = 7
const SHARE_DEFAULT = 0.2

/** Events between two looks at signals. */
const EVENTS_PER_TURN = 4_096

const EXAMPLES = `
Examples:
  $ sluice train --out models/mine --simulate
  $ sluice train --out models/mine --simulate --simulate-seed 7 --cards 5000 --days 120
  $ sluice train --out models/bank --data history/ --from 2018-04-01 --to 2018-07-24
  $ sluice train --out models/live --topics --force
  $ sluice train --out models/lake --lake lake --to 2026-10-31

Exactly one of --simulate, --data, --lake and --topics says where the history comes from. The oldest transactions are
for training, later ones for validation, the newest for test. The same history, options and seed give the same
weights on one backend; with the same --release-date, the same bytes of every file.`

interface TrainOptions extends HistoryOptions {
  readonly out: string
  readonly force?: boolean
  readonly name?: string
  readonly seed: number
  readonly epochs: number
  /** Milliseconds. */
  readonly warmUp?: number
  readonly gap?: number
  readonly validationShare: number
  readonly testShare: number
  readonly backend: TrainingBackend
  readonly releaseDate?: string
  readonly json?: boolean
}

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('train')
    .summary('make a model from history')
    .description(
      'Turns history into feature rows with the code that the scorer uses, trains a small net on the oldest ' +
        'part, chooses thresholds on a later part, measures on the newest, and writes a model folder.',
    )
    .requiredOption('--out <folder>', 'model folder to write')
    .option('--force', 'replace a model that is there')
    .option('--name <name>', 'name of the model (default: that of the folder)')
  addHistoryOptions(command)
  command
    .option(
      '--seed <integer>',
      'of weights and order of rows',
      parseInteger(0, 4_294_967_295),
      TRAINER_DEFAULTS.seed,
    )
    .option(
      '--epochs <count>',
      'at most; ends earlier when validation stops improving',
      parseInteger(1, 1_000),
      TRAINER_DEFAULTS.epochsMax,
    )
    .option('--warm-up <duration>', 'left out at the beginning (default none)', durationOption)
    .option(
      '--gap <duration>',
      `left out between the parts (default ${GAP_DAYS_DEFAULT}d)`,
      durationOption,
    )
    .option('--validation-share <share>', 'of the time', parseNumber(0.05, 0.4), SHARE_DEFAULT)
    .option('--test-share <share>', 'of the time', parseNumber(0.05, 0.4), SHARE_DEFAULT)
    .addOption(
      new Option('--backend <name>', 'what to compute on')
        .choices(TRAINING_BACKENDS)
        .default('auto'),
    )
    .option(
      '--release-date <day>',
      'what the papers say, such as 2026-01-31 (default today)',
      dayOption,
    )
    .option('--json', 'print the summary as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (options: TrainOptions) => {
      await train(options)
    })
}

async function train(options: TrainOptions): Promise<void> {
  const out = resolve(options.out)
  const name = options.name ?? basename(out)
  if (!NAME.test(name)) {
    throw usage(
      `--name "${name}" must be 1 to 40 of a-z, 0-9, dot, dash and underscore; give one with --name.`,
    )
  }
  const signal = interruptSignal()
  const history = await openHistory(options)
  const summary = await runTrainer(
    untilInterrupted(history.events, signal),
    {
      out,
      force: options.force === true,
      name,
      source: history.source,
      caveat: history.caveat,
      seed: options.seed,
      epochsMax: options.epochs,
      split: {
        // A stream starts without history too, and is scored from its first payment on.
        warmUpMs: options.warmUp ?? 0,
        gapMs: options.gap ?? GAP_DAYS_DEFAULT * DAY_MS,
        validationShare: options.validationShare,
        testShare: options.testShare,
      },
      backend: options.backend,
      rates: DEFAULT_RATES,
      release: {
        terms: history.terms,
        releasedOn: options.releaseDate ?? dayText(systemClock.nowMs()),
        command: commandText(options, name, history.options),
      },
      unreadable: history.unreadable,
    },
    (line) => {
      // Between two epochs nothing is half written, so this is where a Ctrl-C is obeyed.
      signal.throwIfAborted()
      printProgress(line)
    },
  )
  if (options.json === true) printJson(summary)
  else printSummary(summary)
}

/** The command that makes the same model again, without a path of this machine. */
function commandText(options: TrainOptions, name: string, history: readonly string[]): string {
  const { seed, epochs, warmUp, gap, validationShare, testShare } = options
  const changed = [
    seed === TRAINER_DEFAULTS.seed ? null : `--seed ${seed}`,
    epochs === TRAINER_DEFAULTS.epochsMax ? null : `--epochs ${epochs}`,
    warmUp === undefined ? null : `--warm-up ${warmUp / 1_000}s`,
    gap === undefined ? null : `--gap ${gap / 1_000}s`,
    validationShare === SHARE_DEFAULT ? null : `--validation-share ${validationShare}`,
    testShare === SHARE_DEFAULT ? null : `--test-share ${testShare}`,
  ].filter((option) => option !== null)
  return ['sluice train', `--out models/${name}`, ...history, ...changed].join(' ')
}

function dayText(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}

function dayOption(text: string): string {
  const timeMs = Date.parse(`${text}T00:00:00Z`)
  if (Number.isFinite(timeMs) && dayText(timeMs) === text) return text
  throw new InvalidArgumentError('Give a day, such as 2026-01-31.')
}

/** Lets signals have their turn now and then, and stops once the signal is aborted. */
async function* untilInterrupted(
  events: AsyncIterable<HistoryEvent> | Iterable<HistoryEvent>,
  signal: AbortSignal,
): AsyncGenerator<HistoryEvent, void, undefined> {
  let count = 0
  for await (const event of events) {
    count += 1
    if (count % EVENTS_PER_TURN === 0) {
      await setImmediate()
      signal.throwIfAborted()
    }
    yield event
  }
}

function printSummary(summary: TrainSummary): void {
  const { metrics, thresholds, periods } = summary
  const percent = (share: number): string => `${(share * 100).toFixed(2)} %`
  printLine(
    `Model ${summary.version} in ${summary.out} (${(summary.bytes / 1024).toFixed(0)} KiB).`,
  )
  printLine(
    `Trained on ${periods.train.transactions} transactions with ${periods.train.frauds} frauds, ` +
      `${summary.epochs[0] ?? 0} epochs of the draft and ${summary.epochs[1] ?? 0} of the target, ${summary.backend}.`,
  )
  const leftOut = skipText(summary.skipped)
  if (leftOut !== null) printLine(`Of the history ${leftOut}.`)
  for (const [name, of] of [
    ['validation', metrics.validation],
    ['test', metrics.test],
  ] as const) {
    printLine(
      `${name}: average precision ${of.averagePrecision.toFixed(3)}, recall at 0.1 % false positives ` +
        `${of.recallAtFalsePositives01Percent.toFixed(3)}; flags ${percent(of.flag.alertShare)} with precision ` +
        `${of.flag.precision.toFixed(2)}, blocks ${percent(of.block.alertShare)} with ${of.block.precision.toFixed(2)}.`,
    )
  }
  printLine(`Flag at ${thresholds.flag.toFixed(4)}, block at ${thresholds.block.toFixed(4)}.`)
}

function usage(message: string): SluiceError {
  return new SluiceError('SLUICE_USAGE', `sluice train: ${message}`)
}
