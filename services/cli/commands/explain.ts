// sluice explain: one alert with its revisions, decision, features, rules, reasons, counterfactual, lease and receipts.

import type { Command } from 'commander'
import { interruptSignal, parseInteger, printJson, printLine, printProgress } from '../command.ts'
import { loadRedriveConfig } from '../dead-letters/config.ts'
import { alertJson, alertLines } from '../explain/alert-lines.ts'
import { gatherAlert } from '../explain/gather.ts'
import { openStream, type StreamOptions } from '../features/open-stream.ts'
import { brokersOption } from './alerts-options.ts'

const LISTED_DEFAULT = 5
const LISTED_MAX = 100_000
const REVISION_MAX = 1_000

interface ExplainCommandOptions extends StreamOptions {
  readonly revision: number
  readonly limit: number
}

const EXAMPLES = `
Examples:
  $ sluice explain 5f0c1f6f2a6c4f0d9a3e5b7c8d9e0f1a
  $ sluice explain 5f0c1f6f2a6c4f0d9a3e5b7c8d9e0f1a --json | jq '.revisions[0].counterfactual'

What reasons and counterfactuals mean: docs/why.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('explain')
    .summary('say all about one alert: why, and what came of it')
    .description(
      'Finds an alert and prints it with its revisions, rules, reasons, what would have changed it, its lease, its ' +
        'receipts, and every feature of its decision with the transactions that it counted, recomputed from the log.',
    )
    .argument('<alert id>', 'id of the alert')
    .option(
      '--revision <number>',
      'explain the features of this revision of the decision',
      parseInteger(0, REVISION_MAX),
      0,
    )
    .option(
      '--limit <count>',
      'list at most this many transactions for each feature, the newest',
      parseInteger(0, LISTED_MAX),
      LISTED_DEFAULT,
    )
    .option(
      '--brokers <host:port,...>',
      'Kafka (default SLUICE_KAFKA_BROKERS or 127.0.0.1:19092)',
      brokersOption,
    )
    .option(
      '--topic-prefix <prefix>',
      "put before topic names (default SLUICE_TOPIC_PREFIX, or a running demo's, or none)",
    )
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLES)
    .action(explain)
}

async function explain(alertId: string, options: ExplainCommandOptions): Promise<void> {
  const stream = await openStream(options)
  const { eventAheadMsMax } = loadRedriveConfig(process.env)
  const explained = await gatherAlert(
    stream,
    { alertId, revision: options.revision, eventAheadMsMax, onProgress: printProgress },
    interruptSignal(),
  )
  if (options.json === true) printJson(alertJson(explained, options.limit))
  else for (const line of alertLines(explained, options.limit)) printLine(line)
}
