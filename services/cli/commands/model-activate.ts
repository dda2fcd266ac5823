// sluice model activate: another model decides from now on.

import type { Command } from 'commander'
import { activated } from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import { publishDeployment, deploymentInForce } from '../model/change.ts'
import { chooseModel } from '../model/choose-model.ts'
import { runGate, type GateOptions } from '../model/gate.ts'
import {
  addChangeOptions,
  openControl,
  storeOf,
  type ChangeOptions,
} from '../model/model-stream.ts'
import { interruptSignal, printProgress } from '../command.ts'
import { durationOption } from './produce-options.ts'

const DAY_MS = 86_400_000

interface ActivateOptions extends ChangeOptions, GateOptions {
  readonly override?: boolean
}

/** Adds the subcommand to `sluice model`. */
export function registerActivate(model: Command): void {
  const activate = model
    .command('activate')
    .summary('let another model decide')
    .description(
      'Checks the model, puts it into the store, asks the fairness gate where one is set, and says so in the control ' +
        'topic. Scorers open it, warm it, and switch between two batches; one that cannot open it keeps the old one.',
    )
    .argument('<folder or digest>', 'the model')
    .option(
      '--fairness <file>',
      'rule of the fairness gate, JSON (default SLUICE_FAIRNESS_RULE, or no gate)',
    )
    .option(
      '--evaluation <file|topics>',
      'rows for the gate: comma separated values, or what this stream has decided',
    )
    .option(
      '--mature <duration>',
      'with topics: leave out decisions younger than this',
      durationOption,
      7 * DAY_MS,
    )
    .option('--override', 'activate although the gate is breached; --reason must say why')
  addChangeOptions(activate).action(async (named: string, options: ActivateOptions) => {
    const access = await openControl(options)
    const candidate = await chooseModel(storeOf(options), named)
    try {
      const breach = await runGate(candidate, options, access, interruptSignal())
      const reason = reasonOf(breach, candidate, options)
      const deployment = activated(await deploymentInForce(access), candidate.info.digest)
      await publishDeployment(access, deployment, options, reason)
    } finally {
      candidate.close()
    }
  })
}

/** @throws SluiceError SLUICE_MODEL_UNFAIR when the gate is breached and nobody overrides it. */
function reasonOf(breach: string | null, { info }: ScoringModel, options: ActivateOptions): string {
  if (breach === null) return options.reason
  if (options.override !== true) {
    throw new SluiceError(
      'SLUICE_MODEL_UNFAIR',
      `${info.version} is not activated: ${breach}. Look at the groups above; --override activates it all the same ` +
        'and records that with the reason.',
    )
  }
  printProgress(`the gate is overridden: ${breach}`)
  return `${options.reason} [gate overridden: ${breach}]`
}
