// sluice train: a model folder from the simulator, from CSV files, from the lake, or from the topics.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { basename, resolve } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { withModelDocumentation } from '../../../tools/model-documentation/model-documentation.ts'
import { SluiceError } from '../../core/errors.ts'
import {
  type CostFigures,
  DEFAULT_ALERT_COSTS,
  totalMinor,
} from '../../core/scoring/alert-costs.ts'
import { systemClock } from '../../platform/clock.ts'
import {
  type HistoryEvent,
  SEEDS_MAX,
  SEED_FIGURES,
  THRESHOLD_RULES,
  TRAINER_DEFAULTS,
  TRAINING_BACKENDS,
  type ThresholdChoice,
  type ThresholdRule,
  type TrainSummary,
  type TrainingBackend,
  runTrainer,
  skipText,
  spreadOf,
} from '../../trainer/index.ts'
import {
  interruptSignal,
  parseInteger,
  parseNumber,
  printJson,
  printLine,
  printProgress,
} from '../command.ts'
import { printTable } from '../table.ts'
import { durationOption } from './produce.ts'
import { type HistoryOptions, addHistoryOptions, openHistory } from './train-history.ts'
import { configuredRates } from '../../platform/config/rates-setting.ts'

const DAY_MS = 86_400_000
const NAME = /^[a-z0-9][a-z0-9._-]{0,39}$/
const GAP_DAYS_DEFAULT = 7
const SHARE_DEFAULT = 0.2
const SEED_MAX = 4_294_967_295

/** Events between two checks for signals. */
const EVENTS_PER_TURN = 4_096

const EXAMPLES = `
Examples:
  $ sluice train --out models/mine --simulate
  $ sluice train --out models/mine --simulate --simulate-seed 7 --cards 5000 --days 120
  $ sluice train --out models/bank --data history/ --from 2018-04-01 --to 2018-07-24
  $ sluice train --out models/live --topics --force
  $ sluice train --out models/lake --lake lake --to 2026-10-31
  $ sluice train --out models/mine --simulate --seeds 5
  $ sluice train --out models/mine --simulate --seeds 5 --resume
  $ sluice train --out models/bank --data history/ --alert-cost 8 --wrong-block-cost 30

Exactly one of --simulate, --data, --lake and --topics says where the history comes from. The oldest transactions are
for training, later ones for validation, the newest for test. The same history, options and seed give the same
weights on one backend; with the same --release-date, the same bytes of every file.

After each epoch the progress is kept in the run folder. Whatever ended a run, the same command with --resume goes on
after its last whole epoch, and ends with the same bits as a run that nothing ended.`

interface TrainOptions extends HistoryOptions, ThresholdOptions {
  readonly out: string
  readonly force?: boolean
  readonly name?: string
  readonly seed: number
  readonly seeds?: SeedList
  readonly run?: string
  readonly resume?: boolean
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
    .option('--force', 'replace a model, or the progress of a run, that is there')
    .option('--name <name>', 'name of the model (default: that of the folder)')
  addHistoryOptions(command)
  command
    .option(
      '--seed <integer>',
      'of weights and order of rows',
      parseInteger(0, SEED_MAX),
      TRAINER_DEFAULTS.seed,
    )
    .option(
      '--seeds <count|list>',
      'train so many from --seed on, or those of a list (1,7,9), and keep the best on validation',
      seedsOption,
    )
    .option(
      '--run <folder>',
      'where progress is kept (default <out>.run, deleted when the model is written)',
    )
    .option('--resume', 'continue the interrupted run')
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
  addThresholdOptions(command)
  command.addHelpText('after', EXAMPLES).action(async (options: TrainOptions) => {
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
  const run = {
    folder: resolve(options.run ?? `${out}.run`),
    resume: options.resume === true,
    force: options.force === true,
    keep: options.run !== undefined,
  }
  const history = await openHistory(options)
  const summary = await runTrainer(
    untilInterrupted(history.events, signal),
    {
      out,
      force: options.force === true,
      name,
      source: history.source,
      caveat: history.caveat,
      seeds: seedsOf(options),
      thresholds: thresholdChoice(options),
      run,
      epochsMax: options.epochs,
      split: {
        // A stream also starts without history, and is scored from its first payment on.
        warmUpMs: options.warmUp ?? 0,
        gapMs: options.gap ?? GAP_DAYS_DEFAULT * DAY_MS,
        validationShare: options.validationShare,
        testShare: options.testShare,
      },
      backend: options.backend,
      rates: configuredRates(),
      release: {
        terms: history.terms,
        releasedOn: options.releaseDate ?? dayText(systemClock.nowMs()),
        command: commandText(options, name, history.options),
      },
      document: withModelDocumentation,
      unreadable: history.unreadable,
    },
    (line) => {
      // Nothing is half written between two epochs, so a Ctrl-C takes effect here.
      if (signal.aborted && existsSync(run.folder)) {
        printProgress(`progress is kept in ${run.folder}; the same command with --resume continues`)
      }
      signal.throwIfAborted()
      printProgress(line)
    },
  )
  if (options.json === true) printJson(summary)
  else printSummary(summary)
}

/** The command that reproduces the model, without paths of this machine. */
function commandText(options: TrainOptions, name: string, history: readonly string[]): string {
  const { seed, seeds, epochs, warmUp, gap, validationShare, testShare } = options
  const changed = [
    seed === TRAINER_DEFAULTS.seed ? null : `--seed ${seed}`,
    seeds === undefined ? null : `--seeds ${seeds.text}`,
    epochs === TRAINER_DEFAULTS.epochsMax ? null : `--epochs ${epochs}`,
    warmUp === undefined ? null : `--warm-up ${warmUp / 1_000}s`,
    gap === undefined ? null : `--gap ${gap / 1_000}s`,
    validationShare === SHARE_DEFAULT ? null : `--validation-share ${validationShare}`,
    testShare === SHARE_DEFAULT ? null : `--test-share ${testShare}`,
    ...thresholdWords(options),
  ].filter((option) => option !== null)
  return ['sluice train', `--out models/${name}`, ...history, ...changed].join(' ')
}

/** Value of --seeds: a count or a list. */
interface SeedList {
  readonly text: string
  readonly count: number
  /** Empty when only a count is given. */
  readonly list: readonly number[]
}

function seedsOption(text: string): SeedList {
  const list = text.split(',').map((part) => parseInteger(0, SEED_MAX)(part))
  if (!text.includes(',')) {
    return { text, count: parseInteger(1, SEEDS_MAX)(text), list: [] }
  }
  if (list.length > SEEDS_MAX || new Set(list).size < list.length) {
    throw new InvalidArgumentError(`Give at most ${SEEDS_MAX} seeds, each once.`)
  }
  return { text, count: list.length, list }
}

function seedsOf({ seed, seeds }: TrainOptions): readonly number[] {
  if (seeds === undefined) return [seed]
  if (seeds.list.length > 0) return seeds.list
  return Array.from({ length: seeds.count }, (_, at) => (seed + at) % (SEED_MAX + 1))
}

function dayText(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 10)
}

function dayOption(text: string): string {
  const timeMs = Date.parse(`${text}T00:00:00Z`)
  if (Number.isFinite(timeMs) && dayText(timeMs) === text) return text
  throw new InvalidArgumentError('Give a day, such as 2026-01-31.')
}

/** Gives signals a turn at intervals, and stops once the signal is aborted. */
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

function usage(message: string): SluiceError {
  return new SluiceError('SLUICE_USAGE', `sluice train: ${message}`)
}

// Options of `sluice train` for thresholds and the costs of alerts.

const MINOR = 100
const AMOUNT_MAX = 1_000_000

/** Amounts in units of the reference currency; an absent one takes its default. */
interface ThresholdOptions {
  readonly thresholds: ThresholdRule
  readonly alertCost?: number
  readonly wrongBlockCost?: number
  readonly wrongBlockShare?: number
  readonly flagSaves?: number
}

/** Adds the options to a command. */
function addThresholdOptions(command: Command): void {
  const { alertMinor, wrongBlockFixedMinor, wrongBlockShare, flagSavesShare } = DEFAULT_ALERT_COSTS
  command
    .addOption(
      new Option(
        '--thresholds <rule>',
        'cost: the pair with the least cost on validation; precision: at least 0.5 of flags and 0.9 of blocks',
      )
        .choices(THRESHOLD_RULES)
        .default('cost'),
    )
    .option(
      '--alert-cost <amount>',
      `work on one alert, in the reference currency (default ${alertMinor / MINOR})`,
      parseNumber(0, AMOUNT_MAX),
    )
    .option(
      '--wrong-block-cost <amount>',
      `of refusing a genuine payment, fixed part (default ${wrongBlockFixedMinor / MINOR})`,
      parseNumber(0, AMOUNT_MAX),
    )
    .option(
      '--wrong-block-share <share>',
      `of refusing a genuine payment, share of its amount (default ${wrongBlockShare})`,
      parseNumber(0, 100),
    )
    .option(
      '--flag-saves <share>',
      `of a fraud's amount; a block saves all of it (default ${flagSavesShare})`,
      parseNumber(0, 1),
    )
}

/** The chosen thresholds, with the defaults. */
function thresholdChoice(options: ThresholdOptions): ThresholdChoice {
  const { thresholds, alertCost, wrongBlockCost, wrongBlockShare, flagSaves } = options
  const minor = (amount: number | undefined, byDefault: number): number =>
    amount === undefined ? byDefault : Math.round(amount * MINOR)
  const of = DEFAULT_ALERT_COSTS
  return {
    rule: thresholds,
    costs: {
      alertMinor: minor(alertCost, of.alertMinor),
      wrongBlockFixedMinor: minor(wrongBlockCost, of.wrongBlockFixedMinor),
      wrongBlockShare: wrongBlockShare ?? of.wrongBlockShare,
      flagSavesShare: flagSaves ?? of.flagSavesShare,
    },
  }
}

/** The options that differ from the defaults, as given. */
function thresholdWords(options: ThresholdOptions): readonly string[] {
  const { thresholds, alertCost, wrongBlockCost, wrongBlockShare, flagSaves } = options
  return [
    ...(thresholds === 'cost' ? [] : [`--thresholds ${thresholds}`]),
    ...(alertCost === undefined ? [] : [`--alert-cost ${alertCost}`]),
    ...(wrongBlockCost === undefined ? [] : [`--wrong-block-cost ${wrongBlockCost}`]),
    ...(wrongBlockShare === undefined ? [] : [`--wrong-block-share ${wrongBlockShare}`]),
    ...(flagSaves === undefined ? [] : [`--flag-saves ${flagSaves}`]),
  ]
}

// The summary that `sluice train` prints when the model is written.

/** Prints the summary for people; programs use --json. */
function printSummary(summary: TrainSummary): void {
  const { metrics, thresholds, periods, costs, bySeed, seed } = summary
  const percent = (share: number): string => `${(share * 100).toFixed(2)} %`
  const [draftEpochs, targetEpochs] = summary.epochs
  assert(draftEpochs !== undefined && targetEpochs !== undefined, 'A cascade has two nets.')
  printLine(
    `Model ${summary.version} in ${summary.out} (${(summary.bytes / 1024).toFixed(0)} KiB).`,
  )
  printLine(
    `Trained on ${periods.train.transactions} transactions with ${periods.train.frauds} frauds, ` +
      `${draftEpochs} epochs of the draft and ${targetEpochs} of the target, ${summary.backend}.`,
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
  printLine(
    `Flag at ${thresholds.flag.toFixed(4)}, block at ${thresholds.block.toFixed(4)}: ${thresholds.rule}.`,
  )
  printLine(
    `Of the value of frauds ${savedText(costs.validation)} saved on validation, ${savedText(costs.test)} on test.`,
  )
  if (bySeed.length > 1) printSeeds(bySeed, seed)
}

function printSeeds(bySeed: TrainSummary['bySeed'], kept: number): void {
  printLine(
    `${bySeed.length} seeds, mean and standard deviation on validation and test; seed ${kept} is kept:`,
  )
  const rows = Object.entries(SEED_FIGURES).map(([name, read]) => {
    const cells = (['validation', 'test'] as const).map((period) => {
      const { mean, deviation } = spreadOf(bySeed.map((of) => read(of[period])))
      return `${mean.toFixed(4)} +/- ${deviation.toFixed(4)}`
    })
    return [name, ...cells]
  })
  printTable(rows, { indent: '  ' })
}

/** The share of fraud saved, less the costs of alerts and wrong blocks. */
function savedText(figures: CostFigures): string {
  if (figures.fraudMinor === 0) return 'nothing (no frauds)'
  return `${((1 - totalMinor(figures) / figures.fraudMinor) * 100).toFixed(1)} %`
}
