// sluice model shadow: lets a model score the same rows beside the one that decides, without effect.

import type { Command } from 'commander'
import { shadowed } from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import { publishDeployment, deploymentInForce } from '../model/change.ts'
import { chooseModel } from '../model/choose-model.ts'
import {
  addChangeOptions,
  openControl,
  storeOf,
  type ChangeOptions,
} from '../model/model-stream.ts'

interface ShadowOptions extends ChangeOptions {
  readonly off?: boolean
}

/** Adds the subcommand to `sluice model`. */
export function registerShadow(model: Command): void {
  const shadow = model
    .command('shadow')
    .summary('let a model score beside the active one, without effect')
    .description(
      'The shadow scores the rows of committed batches; how far it agrees, and how both do as labels come in, is on ' +
        'the dashboard "Models".',
    )
    .argument('[folder or digest]', 'the model; none with --off')
    .option('--off', 'end the shadow')
  addChangeOptions(shadow).action(async (named: string | undefined, options: ShadowOptions) => {
    if ((named === undefined) !== (options.off === true)) {
      throw new SluiceError('SLUICE_USAGE', 'Give a model, or --off to end the shadow.')
    }
    const digest = named === undefined ? null : await checkedDigest(named, options)
    const access = await openControl(options)
    const deployment = await deploymentInForce(access)
    if (digest !== null && deployment.active === digest) {
      throw new SluiceError(
        'SLUICE_USAGE',
        `${digest} is the active model; a shadow is another one.`,
      )
    }
    await publishDeployment(access, shadowed(deployment, digest), options)
  })
}

async function checkedDigest(named: string, options: ShadowOptions): Promise<string> {
  const model = await chooseModel(storeOf(options), named)
  model.close()
  return model.info.digest
}
