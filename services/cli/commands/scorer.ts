// sluice scorer: the scorer in the foreground, configured by the environment.

import type { Command } from 'commander'
import { environmentHelp } from './environment-help.ts'

const EXAMPLES = `
Examples:
  $ sluice scorer
  $ SLUICE_TOPIC_PREFIX=pilot. SLUICE_MODE=observe sluice scorer`

/** Adds the command to the program. */
export function register(program: Command): void {
  program
    .command('scorer')
    .summary('run the scorer in the foreground')
    .description(
      'Reads transactions and labels, decides, and publishes decisions and alerts, exactly once, until ' +
        'SIGTERM or Ctrl-C. Several may run at once: they share the partitions.',
    )
    .addHelpText('after', () => `\n${environmentHelp('scorer')}\n${EXAMPLES}`)
    .action(async () => {
      const { runScorer } = await import('../../scorer/run.ts')
      process.exit(await runScorer(process.env))
    })
}
