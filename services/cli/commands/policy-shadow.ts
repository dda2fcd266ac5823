// sluice policy shadow: lets a policy rule the same decisions beside the one that decides, without effect.

import type { Command } from 'commander'
import { shadowed } from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import { addPolicyText } from '../../platform/policy-store.ts'
import {
  addChangeOptions,
  openControl,
  storeOf,
  type ChangeOptions,
} from '../model/model-stream.ts'
import { readPolicyFile } from '../policy/policy-file.ts'
import {
  nextVersion,
  publishPolicyDeployment,
  publishRuleset,
  readInForce,
} from '../policy/policy-stream.ts'

interface ShadowOptions extends ChangeOptions {
  readonly off?: boolean
}

/** Adds the subcommand to `sluice policy`. */
export function registerPolicyShadow(policy: Command): void {
  const shadow = policy
    .command('shadow')
    .summary('let a policy rule beside the active one, without effect')
    .description(
      'The shadow rules what was decided, with the lists that are in force; how often both come to the same outcome ' +
        'is on the dashboard "Models".',
    )
    .argument('[file]', 'the policy, YAML; none with --off')
    .option('--off', 'end the shadow')
  addChangeOptions(shadow).action(async (file: string | undefined, options: ShadowOptions) => {
    if ((file === undefined) !== (options.off === true)) {
      throw new SluiceError('SLUICE_USAGE', 'Give a policy, or --off to end the shadow.')
    }
    const read = file === undefined ? null : await readPolicyFile(file)
    const store = storeOf(options)
    const access = await openControl(options)
    const { deployment, ruleset } = await readInForce(access, store)
    if (read === null) {
      await publishPolicyDeployment(access, shadowed(deployment, null), null, options)
      return
    }
    const candidate = {
      version: await nextVersion(store, ruleset),
      policy: addPolicyText(store, read.text),
      mode: 'observe',
      segmentModes: {},
      lists: ruleset?.lists ?? {},
    } as const
    await publishRuleset(access, store, deployment, 'shadow', candidate, options)
  })
}
