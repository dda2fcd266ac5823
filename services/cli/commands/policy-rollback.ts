// sluice policy rollback: back to the policy that decided before.

import type { Command } from 'commander'
import { rolledBack } from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import { withEarlier } from '../../core/policy/ruleset.ts'
import { addRuleset, findRuleset, openRuleset } from '../../platform/policy-store.ts'
import {
  addChangeOptions,
  openControl,
  storeOf,
  type ChangeOptions,
} from '../model/model-stream.ts'
import { nextVersion, publishPolicyDeployment, readInForce } from '../policy/policy-stream.ts'

/** Adds the subcommand to `sluice policy`. */
export function registerPolicyRollback(policy: Command): void {
  const rollback = policy
    .command('rollback')
    .summary('back to the policy that decided before')
    .description(
      'Puts the policy and the modes before the present ones in force again, as a new version; again, those before ' +
        'that, and at last the built-in policy. Lists stay as they are now.',
    )
  addChangeOptions(rollback).action(async (options: ChangeOptions) => {
    const store = storeOf(options)
    const access = await openControl(options)
    const { deployment, ruleset } = await readInForce(access, store)
    const before = rolledBack(deployment)
    if (before === null) {
      throw new SluiceError(
        'SLUICE_USAGE',
        'There is no policy to go back to: nothing was applied on this stream.',
      )
    }
    if (before.active === null) {
      await publishPolicyDeployment(access, before, null, options)
      return
    }
    const earlier = await findRuleset(store, before.active)
    const again = withEarlier(ruleset, earlier, await nextVersion(store, ruleset))
    const digest = addRuleset(store, again)
    // What a scorer would refuse is refused here.
    await openRuleset(store, digest)
    await publishPolicyDeployment(access, { ...before, active: digest }, again, options)
  })
}
