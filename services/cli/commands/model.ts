// sluice model: which models there are, and which of them decide. One file for each subcommand.

import type { Command } from 'commander'
import { environmentHelp } from './environment-help.ts'
import { addVerify } from './model-verify.ts'
import { registerActivate } from './model-activate.ts'
import { registerAdd } from './model-add.ts'
import { registerList } from './model-list.ts'
import { registerRollback } from './model-rollback.ts'
import { registerShadow } from './model-shadow.ts'

const SUBCOMMANDS = [
  registerList,
  registerAdd,
  registerActivate,
  registerShadow,
  registerRollback,
  addVerify,
] as const

const EXAMPLES = `
Examples:
  $ sluice model list
  $ sluice model shadow models/candidate --reason "compare for a week"
  $ sluice model activate models/candidate --reason "better recall at the same alerts"
  $ sluice model rollback --reason "too many flags since the change"
  $ sluice model verify models/candidate

How a change reaches the scorers, and what may stop it: docs/models.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const model = program
    .command('model')
    .summary('look at models, and change which one decides')
    .description(
      'Models are kept in a store by their digest. Which one decides, and which one runs in its shadow, is said in ' +
        'the control topic; running scorers switch between two batches.',
    )
    .addHelpText('after', () => `\n${environmentHelp('model')}\n${EXAMPLES}`)
  for (const add of SUBCOMMANDS) add(model)
}
