// sluice model rollback: back to the model that decided before.

import type { Command } from 'commander'
import { rolledBack } from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import { publishDeployment, deploymentInForce } from '../model/change.ts'
import { chooseModel } from '../model/choose-model.ts'
import {
  addChangeOptions,
  openControl,
  storeOf,
  type ChangeOptions,
} from '../model/model-stream.ts'

/** Adds the subcommand to `sluice model`. */
export function registerRollback(model: Command): void {
  const rollback = model
    .command('rollback')
    .summary('back to the model that decided before')
    .description(
      'Names the model that was active before the present one; again, the one before that. At last the scorers decide ' +
        'with their own (SLUICE_MODEL). The fairness gate is not asked: the model has decided before.',
    )
  addChangeOptions(rollback).action(async (options: ChangeOptions) => {
    const access = await openControl(options)
    const before = rolledBack(await deploymentInForce(access))
    if (before === null) {
      throw new SluiceError(
        'SLUICE_USAGE',
        'There is no model to go back to: nothing was activated on this stream.',
      )
    }
    if (before.active !== null) (await chooseModel(storeOf(options), before.active)).close()
    await publishDeployment(access, before, options)
  })
}
