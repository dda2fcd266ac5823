// sluice evaluate: trains and assesses by a published protocol, and writes the scores for reviewers.

import { existsSync } from 'node:fs'
import { open, writeFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Option } from 'commander'
import type { Command } from 'commander'
import { SluiceError } from '../../core/errors.ts'
import { openReplay } from '../../producer/index.ts'
import {
  evaluateProtocol,
  PROTOCOL_ALERT_COST,
  PROTOCOL_NAMES,
  readOtherScores,
  readScenarios,
  TRAINING_BACKENDS,
  WEEK_FIGURE_NAMES,
} from '../../trainer/index.ts'
import type {
  EvaluateSummary,
  Evaluation,
  ProtocolName,
  TrainingBackend,
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
import { configuredRates } from '../../platform/config/rates-setting.ts'

const EXAMPLES = `
Examples:
  $ sluice evaluate --protocol handbook --data <folder> --out scores.csv
  $ sluice evaluate --protocol handbook --data <folder> --out scores.csv --seeds 5
  $ sluice evaluate --protocol handbook --data <folder> --out scores.csv --seeds 5 --resume
  $ sluice evaluate --protocol handbook --data <folder> --out scores.csv --conditions deployment --json
  $ sluice evaluate --protocol handbook --data <folder> --out scores.csv --weeks 2018-08-22,2018-08-29
  $ sluice evaluate --protocol handbook --data <folder> --out scores.csv --against others.csv
  $ sluice evaluate --protocol sparkov --data <folder> --out scores.csv --weeks 2020-06-21

handbook: the folder holds the daily CSV files of the Fraud Detection Handbook's simulated transactions, or any files with
the same columns. Each week is trained on by itself; its labels are known 7 days later; the 7 days after that are assessed.
sparkov: monthly CSV files of the Sparkov generator's transactions. All days to 2020-06-20 are trained on, all after are
assessed; for choices the same is done from 2020-04-12 on.
The file has a row for each assessed transaction and training week: transaction_id, train_start, score.

Every seed is a whole pass over the weeks, whose scores are kept in the run folder: after an interruption --resume goes
on, and with fewer --seeds it sums up those that are whole. The threshold of the share of value saved comes from
the validation weeks; the kind of each fraud is read for the analysis of errors alone.`

interface EvaluateCommandOptions {
  readonly protocol: ProtocolName
  readonly data: readonly string[]
  readonly out: string
  readonly weeks?: readonly string[]
  readonly conditions: 'published' | 'deployment'
  readonly seeds: number
  readonly epochs?: number
  readonly alertCost: number
  readonly against?: string
  readonly run?: string
  readonly resume?: boolean
  readonly force?: boolean
  readonly backend: TrainingBackend
  readonly json?: boolean
}

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('evaluate')
    .summary('assess the models by a published protocol')
    .description(
      'Trains draft and target on each training week of a protocol with the features of the scorer, writes the ' +
        "target's scores of what the protocol assesses, and prints its figures.",
    )
    .addOption(
      new Option('--protocol <name>', 'whose rules').choices(PROTOCOL_NAMES).makeOptionMandatory(),
    )
    .requiredOption('--data <path...>', 'CSV files, or folders of them')
    .requiredOption('--out <file>', 'scores to write, CSV')
    .option(
      '--weeks <day,...>',
      'other days: of handbook the first of each training week, of sparkov the first that is assessed (default: the ' +
        'published ones, validation and report)',
      (value: string) => value.split(',').map((day) => day.trim()),
    )
    .addOption(
      new Option(
        '--conditions <name>',
        'published: a week of training; deployment: all days before',
      )
        .choices(['published', 'deployment'])
        .default('published'),
    )
    .option(
      '--seeds <count>',
      'how often each net is trained; scores are the mean',
      parseInteger(1, 20),
      1,
    )
    .option(
      '--epochs <count>',
      'of each net (default: 12 of handbook, 8 of sparkov)',
      parseInteger(1, 200),
    )
    .option(
      '--alert-cost <amount>',
      'of one alert, in the share of value saved',
      parseNumber(0, 1_000_000),
      PROTOCOL_ALERT_COST,
    )
    .option(
      '--against <file>',
      'CSV with transaction_id, score and perhaps train_start of another model: the difference of average precision, ' +
        'with a 95 % interval',
    )
    .option('--run <folder>', 'where scores are kept (default <out>.run, deleted when all is done)')
    .option('--resume', 'continue the interrupted run')
    .option('--force', 'discard an interrupted run and begin again')
    .addOption(
      new Option('--backend <name>', 'what to compute on')
        .choices(TRAINING_BACKENDS)
        .default('auto'),
    )
    .option('--json', 'print the summary as JSON')
    .addHelpText('after', EXAMPLES)
    .action(async (options: EvaluateCommandOptions) => {
      await evaluate(options)
    })
}

async function evaluate(options: EvaluateCommandOptions): Promise<void> {
  if (options.protocol === 'sparkov' && options.conditions === 'deployment') {
    throw new SluiceError(
      'SLUICE_USAGE',
      'sluice evaluate: sparkov trains on all days before as it is; leave --conditions out.',
    )
  }
  const signal = interruptSignal()
  const run = {
    folder: resolve(options.run ?? `${options.out}.run`),
    resume: options.resume === true,
    force: options.force === true,
    keep: options.run !== undefined,
  }
  const onProgress = (line: string): void => {
    if (signal.aborted && existsSync(run.folder)) {
      printProgress(`scores are kept in ${run.folder}; the same command with --resume continues`)
    }
    signal.throwIfAborted()
    printProgress(line)
  }
  const history = await openReplay({ paths: options.data }, () => undefined)
  // An unwritable path is reported before hours of training, not after.
  await checkWritable(options.out)
  const { summary, weeks } = await evaluateProtocol(history, {
    protocol: options.protocol,
    ...(options.weeks === undefined ? {} : { weeks: { chosen: options.weeks } }),
    conditions: options.conditions,
    seeds: options.seeds,
    ...(options.epochs === undefined ? {} : { epochs: options.epochs }),
    alertCost: options.alertCost,
    backend: options.backend,
    rates: configuredRates(),
    run,
    scenarios: (span) => readScenarios(options.data, span),
    ...(options.against === undefined ? {} : { against: await readOtherScores(options.against) }),
    onProgress,
  })
  await writeScores(options.out, weeks)
  if (options.json === true) printJson(summary)
  else printSummary(summary, options.out)
}

async function writeScores(out: string, weeks: Evaluation['weeks']): Promise<void> {
  const lines = weeks.flatMap(({ trainStart, ids, scored }) =>
    ids.map((id, row) => `${id},${trainStart},${String(scored.scores[row])}\n`),
  )
  await writeFile(out, `transaction_id,train_start,score\n${lines.join('')}`)
}

/** Opens the file without changing its content. */
async function checkWritable(out: string): Promise<void> {
  try {
    await (await open(out, 'a')).close()
  } catch (error) {
    throw new SluiceError('SLUICE_USAGE', `--out ${out} cannot be written.`, { cause: error })
  }
}

type Spread = EvaluateSummary['periods'][number]['scored']['savedShare']

function printSummary(summary: EvaluateSummary, out: string): void {
  const { protocol, conditions, seeds, epochs, backend, alertCost } = summary
  printLine(
    `${protocol}, ${conditions} conditions, ${seeds} ${seeds === 1 ? 'seed' : 'seeds'}, ${epochs} epochs, ${backend}`,
  )
  for (const period of summary.periods) {
    printLine(
      `${period.period}: ${period.rows} rows, ${period.frauds} frauds, weeks ${period.weeks.join(' ')}`,
    )
    const rows = Object.entries(WEEK_FIGURE_NAMES).map(([name, title]) => {
      const key = name as keyof typeof WEEK_FIGURE_NAMES
      const { scored, target, draft, seeds: bySeed } = period
      const spreads = [scored[key], target[key], draft[key], bySeed.target[key]]
      return [title, ...spreads.map(inWords)]
    })
    const headings = ['mean of the seeds', 'target, by week', 'draft, by week', 'target, by seed']
    printTable([['', ...headings], ...rows], { indent: '  ' })
    const difference = summary.differences?.[period.period]
    if (difference !== undefined) printLine(`  ${differenceText(difference)}`)
    const recalls = (period.scenarios ?? []).map(
      ({ scenario, frauds, found }) => `${scenario}: ${found} of ${frauds}`,
    )
    if (recalls.length > 0) {
      printLine(`  found by 0.5 % alerts, by kind of fraud: ${recalls.join(', ')}`)
    }
  }
  printLine(`Value saved is less ${alertCost} for each alert. Scores are in ${out}.`)
}

type Difference = NonNullable<EvaluateSummary['differences']>[string]

function differenceText({ otherPrecision, low, median, high, draws }: Difference): string {
  const signed = (value: number): string => `${value < 0 ? '' : '+'}${value.toFixed(4)}`
  return (
    `average precision of the other ${otherPrecision.toFixed(4)}; difference ${signed(median)}, 95 % interval ` +
    `${signed(low)} to ${signed(high)} (${draws} draws of cards, paired)`
  )
}

function inWords(spread: Spread): string {
  if (spread === null) return 'none'
  return `${spread.mean.toFixed(4)} +/- ${spread.deviation.toFixed(4)}`
}
