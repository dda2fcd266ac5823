// sluice trace: shows when one transaction was sent, fetched, decided, written and committed.

import type { Command } from 'commander'
import { interruptSignal, printJson, printLine, printProgress } from '../../services/cli/command.ts'
import { addPlaceOptions } from '../../services/cli/commands/stream-options.ts'
import { openStream, type StreamOptions } from '../../services/cli/features/export-rows.ts'
import { findTransaction } from './find-transaction.ts'
import { traceJson, traceLines } from './timeline.ts'

const EXAMPLES = `
Examples:
  $ sluice trace 8f14e45f-tx-1042
  $ sluice trace 8f14e45f-tx-1042 --json | jq '.steps[] | [.step, .sinceSentMs]'

What the times mean, and whose clocks they are: docs/kafka.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const command = program
    .command('trace')
    .summary('say when one transaction was sent, decided and visible')
    .description(
      'Finds a transaction in the log and prints when it was sent, fetched, decided, written and committed, each with ' +
        'its place in the log and the time since the step before. The same for its alert.',
    )
    .argument('<transaction id>', 'id of the transaction')
  addPlaceOptions(command)
    .option('--json', 'print JSON')
    .addHelpText('after', EXAMPLES)
    .action(trace)
}

async function trace(transactionId: string, options: StreamOptions): Promise<void> {
  const stream = await openStream(options)
  const traced = await findTransaction({
    stream,
    transactionId,
    onProgress: printProgress,
    signal: interruptSignal(),
  })
  if (options.json === true) printJson(traceJson(traced))
  else for (const line of traceLines(traced)) printLine(line)
}
