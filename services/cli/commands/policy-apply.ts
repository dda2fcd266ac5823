// sluice policy apply: another policy decides from now on.

import { Option, type Command } from 'commander'
import { withPolicy } from '../../core/policy/ruleset.ts'
import { addPolicyText } from '../../platform/policy-store.ts'
import { printProgress } from '../command.ts'
import {
  addChangeOptions,
  openControl,
  storeOf,
  type ChangeOptions,
} from '../model/model-stream.ts'
import { readPolicyFile } from '../policy/policy-file.ts'
import { nextVersion, publishRuleset, readInForce } from '../policy/policy-stream.ts'

interface ApplyOptions extends ChangeOptions {
  readonly mode: 'observe' | 'flag'
}

/** Adds the subcommand to `sluice policy`. */
export function registerApply(policy: Command): void {
  const apply = policy
    .command('apply')
    .summary('put a policy in force')
    .description(
      'Checks the file, puts it into the store, and says so in the control topic. Another version of the policy in ' +
        'force (the same name) keeps its modes; a new policy begins in the mode of --mode. Lists stay as they are.',
    )
    .argument('<file>', 'the policy, YAML')
    .addOption(
      new Option('--mode <mode>', 'mode in which a policy of another name begins')
        .choices(['observe', 'flag'])
        .default('observe'),
    )
  addChangeOptions(apply).action(async (file: string, options: ApplyOptions) => {
    const { text, document } = await readPolicyFile(file)
    const store = storeOf(options)
    const access = await openControl(options)
    const inForce = await readInForce(access, store)
    const digest = addPolicyText(store, text)
    const version = await nextVersion(store, inForce.ruleset)
    const name = inForce.document?.name ?? null
    const ruleset = withPolicy(inForce.ruleset, name, { digest, document }, options.mode, version)
    await publishRuleset(access, store, inForce.deployment, 'activate', ruleset, options)
    if (name === document.name || ruleset.mode !== 'observe') return
    printProgress(
      'the policy begins in mode observe: decisions are recorded and nothing is published; "sluice policy promote" goes on',
    )
  })
}
