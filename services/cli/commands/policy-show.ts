// sluice policy show: a ruleset with the text of its policy.

import type { Command } from 'commander'
import { readDeployment } from '../../platform/kafka/control-topic.ts'
import { findPolicyText, findRuleset } from '../../platform/policy-store.ts'
import { printJson, printLine, printProgress } from '../command.ts'
import { addStreamOptions, openControl, storeOf, type ModelOptions } from '../model/model-stream.ts'
import { findNamedRuleset } from '../policy/named-ruleset.ts'

/** Adds the subcommand to `sluice policy`. */
export function registerShow(policy: Command): void {
  const show = policy
    .command('show')
    .summary('print a ruleset and its policy')
    .description(
      'Prints the modes and lists of a ruleset on standard error and the YAML of its policy on standard output.',
    )
    .argument(
      '[ruleset]',
      'its version, its digest, or the beginning of that (default: the one in force)',
    )
    .option('--json', 'print JSON')
  addStreamOptions(show).action(async (named: string | undefined, options: ModelOptions) => {
    const store = storeOf(options)
    const digest =
      named === undefined
        ? ((await readDeployment(await openControl(options), 'policy'))?.deployment.active ?? null)
        : (await findNamedRuleset(store, named)).digest
    if (digest === null) {
      printProgress(
        'the built-in policy decides: thresholds of the model, one mode (SLUICE_MODE), no rules',
      )
      if (options.json === true) printJson(null)
      return
    }
    const ruleset = await findRuleset(store, digest)
    const text = ruleset.policy === null ? null : await findPolicyText(store, ruleset.policy)
    if (options.json === true) {
      printJson({ digest, ruleset, text })
      return
    }
    printProgress(`ruleset ${digest}, version ${ruleset.version}, mode ${ruleset.mode}`)
    for (const [name, mode] of Object.entries(ruleset.segmentModes)) {
      printProgress(`segment ${name}: mode ${mode}`)
    }
    for (const [name, list] of Object.entries(ruleset.lists)) printProgress(`list ${name}: ${list}`)
    if (text !== null) printLine(text.trimEnd())
  })
}
