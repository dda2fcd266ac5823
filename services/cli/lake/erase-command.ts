// sluice lake erase: a card's rows out of every table.

import type { Command } from 'commander'
import {
  eraseOrAsk,
  eraseRequest,
  erasedRows,
  findInLake,
  loadLakeConfig,
  type EraseProgress,
  type EraseSummary,
} from '../../lake/index.ts'
import { systemClock } from '../../platform/clock.ts'
import { interruptSignal, printJson, printLine, printProgress } from '../command.ts'
import { lakeOption } from './lake-option.ts'

interface EraseCommandOptions {
  readonly lake?: string
  readonly card: string
  readonly reference?: string
  readonly dryRun?: boolean
  readonly json?: boolean
}

const EXAMPLES = `
Examples:
  $ sluice lake erase --card card-00042 --dry-run
  $ sluice lake erase --card card-00042 --reference "request 2026-117"
  $ sluice lake erase --card card-00042 --json

What is killed in the middle is ended by running it again. Copies of decision batches: "sluice audit erase". What Kafka
holds ends with retention. More: docs/lake.md.`

/** Adds the command to its group. */
export function registerErase(lake: Command): void {
  const command = lake
    .command('erase')
    .summary("take a card's rows out of every table")
    .description(
      'Writes the files that hold the card anew without its transactions, decisions, labels and dead letters, and keeps ' +
        'how many rows were erased and when, but not of which card.',
    )
    .requiredOption('--card <token>', 'card to erase')
    .option('--reference <text>', 'what the record calls it, such as the number of a request')
  lakeOption(command)
    .option('--dry-run', 'say what would be erased, and change nothing')
    .option('--json', 'print what was done as JSON')
    .addHelpText('after', EXAMPLES)
    .action(run)
}

async function run(options: EraseCommandOptions): Promise<void> {
  const folder = options.lake ?? loadLakeConfig(process.env).folder
  const isDryRun = options.dryRun === true
  const request = eraseRequest(options.card, options.reference ?? null)
  const summary = isDryRun
    ? await findInLake(folder, request)
    : await eraseOrAsk(
        {
          folder,
          request,
          clock: systemClock,
          onAsked: () => {
            printProgress('the writer that runs was asked, and erases between two of its commits')
          },
          onStep: (progress) => {
            printProgress(stepLine(progress))
          },
        },
        interruptSignal(),
      )
  if (options.json === true) printJson({ lake: folder, dryRun: isDryRun, ...summary })
  else printLine(`${folder}: ${summaryText(summary, isDryRun)}`)
}

function stepLine({ step, steps, commit, files, rows }: EraseProgress): string {
  return `${step} of ${steps}: commit ${commit}, ${rows} rows out of ${files} files`
}

function summaryText(summary: EraseSummary, isDryRun: boolean): string {
  if (erasedRows(summary) === 0) return 'no row of this card'
  const { transactions, decisions, labels, dead_letters: deadLetters } = summary.rows
  return (
    `${transactions} transactions, ${decisions} decisions, ${labels} labels and ${deadLetters} dead letters ` +
    `${isDryRun ? 'would be' : 'were'} erased from ${summary.files} files${isDryRun ? '' : `; erasure ${summary.id}`}`
  )
}
