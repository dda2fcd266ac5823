// sluice evaluate: trains and assesses by a published protocol, and writes the scores for whoever judges them.

import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import { Option } from 'commander'
import type { Command } from 'commander'
import { DEFAULT_RATES } from '../../core/currency.ts'
import { SluiceError } from '../../core/errors.ts'
import { openReplay } from '../../producer/index.ts'
import {
  evaluateProtocol,
  FIGURE_NAMES,
  PROTOCOL_EPOCHS,
  TRAINING_BACKENDS,
} from '../../trainer/index.ts'
import type { EvaluateSummary, TrainingBackend, WeekScores } from '../../trainer/index.ts'
import { interruptSignal, parseInteger, printJson, printLine, printProgress } from '../command.ts'

const EXAMPLES = `
Examples:
  $ sluice evaluate --protocol handbook --data <folder> --out scores.csv
  $ sluice evaluate --protocol handbook --data <folder> --out scores.csv --seeds 5
  $ sluice evaluate --protocol handbook --data <folder> --out scores.csv --weeks 2018-08-22,2018-08-29

The folder holds the daily CSV files of the Fraud Detection Handbook's simulated transactions, or any files with the same
columns. Each week is trained on by itself; its labels are known 7 days later; the 7 days after that are assessed.
The file has a row for each assessed transaction and training week: transaction_id, train_start, score.`

interface EvaluateCommandOptions {
  readonly protocol: 'handbook'
  readonly data: readonly string[]
  readonly out: string
  readonly weeks?: readonly string[]
  readonly conditions: 'published' | 'deployment'
  readonly seeds: number
  readonly epochs: number
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
      new Option('--protocol <name>', 'whose rules').choices(['handbook']).makeOptionMandatory(),
    )
    .requiredOption('--data <path...>', 'CSV files, or folders of them')
    .requiredOption('--out <file>', 'scores to write, CSV')
    .option(
      '--weeks <day,...>',
      'first days of other training weeks (default: the published ones, validation and report)',
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
    .option('--epochs <count>', 'of each net', parseInteger(1, 200), PROTOCOL_EPOCHS)
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
  const signal = interruptSignal()
  const onProgress = (line: string): void => {
    signal.throwIfAborted()
    printProgress(line)
  }
  const history = await openReplay({ paths: options.data }, () => undefined)
  const out = createWriteStream(options.out)
  await once(out, 'open').catch((error: unknown) => {
    throw new SluiceError('SLUICE_USAGE', `--out ${options.out} cannot be written.`, {
      cause: error,
    })
  })
  out.write('transaction_id,train_start,score\n')
  const summary = await evaluateProtocol(history, {
    ...(options.weeks === undefined ? {} : { weeks: { chosen: options.weeks } }),
    conditions: options.conditions,
    seeds: options.seeds,
    epochs: options.epochs,
    backend: options.backend,
    rates: DEFAULT_RATES,
    onProgress,
    onWeek: async (_period, week) => {
      if (!out.write(csvOf(week))) await once(out, 'drain')
    },
  })
  out.end()
  await finished(out)
  if (options.json === true) printJson(summary)
  else printSummary(summary, options.out)
}

function csvOf({ trainStart, ids, scores }: WeekScores): string {
  return ids.map((id, row) => `${id},${trainStart},${String(scores[row])}\n`).join('')
}

function printSummary(summary: EvaluateSummary, out: string): void {
  const { conditions, seeds, epochs, backend } = summary
  printLine(
    `${conditions} conditions, ${seeds} ${seeds === 1 ? 'seed' : 'seeds'}, ${epochs} epochs, ${backend}`,
  )
  for (const period of summary.periods) {
    printLine(
      `${period.period}: ${period.rows} rows, ${period.frauds} frauds, weeks ${period.weeks.join(' ')}`,
    )
    for (const [name, title] of Object.entries(FIGURE_NAMES)) {
      const key = name as keyof typeof FIGURE_NAMES
      const inWords = ({ mean, deviation }: { mean: number; deviation: number }): string =>
        `${mean.toFixed(4)} +/- ${deviation.toFixed(4)}`
      printLine(
        `  ${title.padEnd(32)} ${inWords(period.scored[key])}   single seeds: target ` +
          `${inWords(period.target[key])}, draft ${inWords(period.draft[key])}`,
      )
    }
    const bySeed = period.precisionBySeed.map((value) => value.toFixed(4)).join(' ')
    printLine(`  average precision by seed        ${bySeed}`)
  }
  printLine(`scores: ${out}`)
}
