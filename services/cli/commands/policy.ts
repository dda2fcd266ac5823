// sluice policy: what turns scores into outcomes, and how it is changed. One file for each subcommand.

import type { Command } from 'commander'
import { environmentHelp } from './environment-help.ts'
import { registerApply } from './policy-apply.ts'
import { registerCheck } from './policy-check.ts'
import { registerPolicyList } from './policy-list.ts'
import { registerPromote } from './policy-promote.ts'
import { registerPolicyRollback } from './policy-rollback.ts'
import { registerPolicyShadow } from './policy-shadow.ts'
import { registerShow } from './policy-show.ts'
import { registerPolicyStatus } from './policy-status.ts'

const SUBCOMMANDS = [
  registerCheck,
  registerPolicyStatus,
  registerApply,
  registerPolicyList,
  registerShow,
  registerPolicyShadow,
  registerPromote,
  registerPolicyRollback,
] as const

const EXAMPLES = `
Examples:
  $ sluice policy status
  $ sluice policy check docs/examples/policy.yaml
  $ sluice policy shadow docs/examples/policy.yaml --reason "compare for a week"
  $ sluice policy apply docs/examples/policy.yaml --reason "rules of the autumn review"
  $ sluice policy promote --segment online --to flag --reason "two weeks in observe"
  $ sluice policy rollback --reason "too many flags since the change"

Every field, the conditions and the order of override: docs/policy.md.`

/** Adds the command to the program. */
export function register(program: Command): void {
  const policy = program
    .command('policy')
    .summary('check policies, and change which one decides')
    .description(
      'A policy is a YAML file: thresholds or costs, rules, lists, segments and limits. What is in force is a ruleset ' +
        'with a version, said in the control topic by its digest; running scorers switch between two batches.',
    )
    .addHelpText('after', () => `\n${environmentHelp('policy')}\n${EXAMPLES}`)
  for (const add of SUBCOMMANDS) add(policy)
}
