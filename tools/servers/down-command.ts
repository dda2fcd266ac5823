// sluice down: ends the Kafka and Redis that run for this checkout.

import type { Command } from 'commander'
import { stopStack } from './index.ts'
import { printLine, printProgress, repositoryRoot } from '../../services/cli/command.ts'

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('down')
    .summary('stop Kafka and Redis')
    .description(
      'Stops the Kafka and Redis that Sluice started for this checkout. Their data stays in .sluice/ (or in\n' +
        "Docker's volumes). Servers given by address in the environment are left alone.",
    )
    .addHelpText(
      'after',
      '\nExamples:\n  $ sluice down\n  $ sluice down && rm -rf .sluice/kafka/data   (start from nothing)',
    )
    .action(async () => {
      const hadAny = await stopStack(repositoryRoot(), printProgress)
      printLine(hadAny ? 'Kafka and Redis are stopped.' : 'Nothing was running.')
    })
}
