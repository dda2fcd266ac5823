// sluice features: lists the features, exports the rows of decisions, and explains feature values.

import { InvalidArgumentError, type Command } from 'commander'
import { SluiceError } from '../../core/errors.ts'
import { catalogueText } from '../../core/features/catalogue/catalogue-file.ts'
import { FEATURES, FEATURE_LIST_HASH } from '../../core/features/catalogue/feature-list.ts'
import { rangeOfBound, type TimeRange } from '../../producer/index.ts'
import { interruptSignal, parseInteger, printJson, printLine, printProgress } from '../command.ts'
import { loadRedriveConfig } from '../dead-letters/read-letters.ts'
import {
  explainDecision,
  explanationJson,
  explanationLines,
  listLines,
} from '../features/explain.ts'
import { type StreamOptions, exportRows, openStream } from '../features/export-rows.ts'
import { registerCatalogue } from './features-catalogue.ts'
import { addPlaceOptions } from './stream-options.ts'
import { recordedRates } from '../../platform/config/rates-setting.ts'
import { storesOf } from '../model/model-stream.ts'

const LISTED_DEFAULT = 20
const LISTED_MAX = 100_000
const REVISION_MAX = 1_000

interface ExplainCommandOptions extends StreamOptions {
  readonly revision: number
  readonly limit: number
}

interface ExportCommandOptions extends StreamOptions {
  readonly from: TimeRange
  readonly to: TimeRange
  readonly out: string
  readonly revisions?: boolean
}

const EXAMPLES = `
Examples:
  $ sluice features list
  $ sluice features list --yaml > features.yaml
  $ sluice features check features.yaml && sluice features cost features.yaml
  $ sluice features 8f14e45f-tx-1042
  $ sluice features explain 8f14e45f-tx-1042 --json | jq '.features[] | select(.differs)'
  $ sluice features export --from 2018-07-25 --to 2018-07-31 --out features.csv.gz

What each feature is: docs/features.md. What its words mean exactly: docs/feature-contract.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const features = program
    .command('features')
    .summary('list features, export rows, explain one decision')
    .description('What the model sees of a transaction: which, how much, and why.')
    .addHelpText('after', EXAMPLES)
  features
    .command('list')
    .summary('list all features')
    .description('Lists all features of this build in the order of the row.')
    .option('--json', 'print them as JSON')
    .option('--yaml', 'print the catalogue as a file that SLUICE_FEATURES can name')
    .action(list)
  registerCatalogue(features)
  const exporting = features
    .command('export')
    .summary('write the rows that decisions were made from')
    .description(
      'Writes transaction_id and one column for each feature, from the decisions topic: what was really used to ' +
        'decide. Absent values are empty. Rows come in the order of the topic. Repeats of a transaction have no row.',
    )
    .requiredOption('--from <date>', 'first event time, such as 2018-07-25', boundOption)
    .requiredOption('--to <date>', 'last event time; a date is the whole day', boundOption)
    .requiredOption('--out <file>', 'file to write; compressed when it ends in .gz')
    .option('--revisions', 'also rows of revisions, with their number in a column of its own')
  addStreamOptions(exporting).addHelpText('after', EXAMPLES).action(exportFeatures)
  const explaining = features
    .command('explain', { isDefault: true })
    .summary('say what each feature of one decision counted')
    .description(
      'Finds the decision about a transaction, recomputes it from the log, and prints every feature with its value, ' +
        'its window and the transactions that it counted. Says where the log disagrees with what was used.',
    )
    .argument('<transaction id>', 'id of the transaction')
    .option('--revision <number>', 'explain this revision', parseInteger(0, REVISION_MAX), 0)
    .option(
      '--limit <count>',
      'list at most this many transactions for each feature, the newest',
      parseInteger(0, LISTED_MAX),
      LISTED_DEFAULT,
    )
  addStreamOptions(explaining).addHelpText('after', EXAMPLES).action(explain)
}

function addStreamOptions(command: Command): Command {
  return addPlaceOptions(command).option('--json', 'print JSON')
}

function boundOption(text: string): TimeRange {
  const range = rangeOfBound(text)
  if (range !== null) return range
  throw new InvalidArgumentError('Give a time such as 2018-07-25 or 2018-07-25T08:00Z.')
}

function list(options: { readonly json?: boolean; readonly yaml?: boolean }): void {
  if (options.yaml === true) {
    printLine(catalogueText(FEATURES).trimEnd())
    return
  }
  if (options.json === true) printJson({ hash: FEATURE_LIST_HASH, features: FEATURES })
  else for (const line of listLines()) printLine(line)
}

async function exportFeatures(options: ExportCommandOptions): Promise<void> {
  const { from, to, out, revisions = false } = options
  if (to.endMs <= from.fromMs) {
    throw new SluiceError('SLUICE_USAGE', '--to is before --from; swap them.')
  }
  const stream = await openStream(options)
  const range = { fromMs: from.fromMs, endMs: to.endMs }
  const summary = await exportRows(
    stream,
    { ...range, out, withRevisions: revisions, onProgress: printProgress },
    interruptSignal(),
  )
  if (options.json === true) printJson({ out, ...range, ...summary })
  else {
    printLine(`${out}: ${summary.rows} rows, ${summary.revisions} of them revisions`)
    if (summary.duplicates > 0) printLine(`${summary.duplicates} repeats have no row`)
  }
  if (summary.otherFeatureList > 0) {
    printProgress(
      `${summary.otherFeatureList} decisions were made from another list of features and are left out`,
    )
  }
  if (summary.unreadableBatches > 0) {
    printProgress(
      `${summary.unreadableBatches} messages are no decision batch that this build reads`,
    )
  }
}

async function explain(transactionId: string, options: ExplainCommandOptions): Promise<void> {
  const stream = await openStream(options)
  const { revision, limit } = options
  const { eventAheadMsMax } = loadRedriveConfig(process.env)
  const rates = await recordedRates(storesOf(options).policies)
  const explained = await explainDecision(
    stream,
    { transactionId, revision, eventAheadMsMax, rates, onProgress: printProgress },
    interruptSignal(),
  )
  if (options.json === true) printJson(explanationJson(explained, limit))
  else for (const line of explanationLines(explained, limit)) printLine(line)
}
