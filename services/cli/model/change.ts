// Says to a stream which models are to serve.

import { controlOf, type Deployment, NO_DEPLOYMENT } from '../../core/control/deployment.ts'
import { systemClock } from '../../platform/clock.ts'
import {
  publishControl,
  readDeployment,
  type ControlAccess,
} from '../../platform/kafka/control-topic.ts'
import { printJson, printLine } from '../command.ts'
import { authorOf, type ChangeOptions } from './model-stream.ts'

/** What is in force, nothing said being `NO_DEPLOYMENT`. */
export async function deploymentInForce(access: ControlAccess): Promise<Deployment> {
  return (await readDeployment(access, 'model'))?.deployment ?? NO_DEPLOYMENT
}

/** Publishes the deployment and prints what was said. */
export async function publishDeployment(
  access: ControlAccess,
  deployment: Deployment,
  options: ChangeOptions,
  reason = options.reason,
): Promise<void> {
  const word = { author: authorOf(options), reason, atMs: systemClock.nowMs() }
  const position = await publishControl(access, controlOf(deployment, word))
  if (options.json === true) {
    printJson({ position, active: deployment.active, shadow: deployment.shadow, ...word })
    return
  }
  printLine(`active  ${deployment.active ?? "the scorers' own (SLUICE_MODEL)"}`)
  printLine(`shadow  ${deployment.shadow ?? 'none'}`)
  printLine(
    `said at offset ${position} of ${access.topicPrefix}control; scorers switch between batches`,
  )
}
