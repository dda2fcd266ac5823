// What is in force on a stream, and how to say something else.

import {
  activated,
  controlOf,
  type Deployment,
  NO_DEPLOYMENT,
  replaced,
  shadowed,
} from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import type { PolicyDocument } from '../../core/policy/policy-document.ts'
import { parsePolicy } from '../../core/policy/policy-parsing.ts'
import type { Ruleset } from '../../core/policy/ruleset.ts'
import { systemClock } from '../../platform/clock.ts'
import {
  publishControl,
  readDeployment,
  type ControlAccess,
} from '../../platform/kafka/control-topic.ts'
import {
  addRuleset,
  findPolicyText,
  findRuleset,
  listRulesets,
} from '../../platform/policy-store.ts'
import { printJson, printLine } from '../command.ts'
import { authorOf, type ChangeOptions } from '../model/model-stream.ts'

/** What decides on a stream. */
export interface InForce {
  readonly deployment: Deployment
  /** Null is the built-in policy. */
  readonly ruleset: Ruleset | null
  /** Null when the ruleset has no policy of its own. */
  readonly document: PolicyDocument | null
}

/** @throws SluiceError of the store when it does not hold what is in force. */
export async function readInForce(access: ControlAccess, store: string): Promise<InForce> {
  const deployment = (await readDeployment(access, 'policy'))?.deployment ?? NO_DEPLOYMENT
  if (deployment.active === null) return { deployment, ruleset: null, document: null }
  const ruleset = await findRuleset(store, deployment.active)
  if (ruleset.policy === null) return { deployment, ruleset, document: null }
  const parsed = parsePolicy(await findPolicyText(store, ruleset.policy))
  if (!parsed.ok) {
    throw new SluiceError(
      'SLUICE_POLICY_CORRUPT',
      `The policy in force, ${ruleset.policy}, is none that this build takes. Use the build that applied it.`,
    )
  }
  return { deployment, ruleset, document: parsed.policy }
}

/** @throws SluiceError SLUICE_USAGE when the built-in policy decides. */
export function ownRuleset({ ruleset, document }: InForce): {
  readonly ruleset: Ruleset
  readonly document: PolicyDocument
} {
  if (ruleset !== null && document !== null) return { ruleset, document }
  throw new SluiceError(
    'SLUICE_USAGE',
    'The built-in policy decides on this stream: it has one mode (SLUICE_MODE) and no lists. Put a policy in force ' +
      'with "sluice policy apply <file>".',
  )
}

/** The version of the next ruleset: above all that the store and the stream know. */
export async function nextVersion(store: string, ruleset: Ruleset | null): Promise<number> {
  const [newest] = await listRulesets(store)
  return 1 + Math.max(newest?.ruleset.version ?? 0, ruleset?.version ?? 0)
}

/** How a new ruleset comes into a deployment: a rollback goes back behind `activate`, not behind `replace`. */
export type ChangeKind = 'activate' | 'replace' | 'shadow'

/** Keeps the ruleset, publishes it, and prints what was said. */
export async function publishRuleset(
  access: ControlAccess,
  store: string,
  deployment: Deployment,
  kind: ChangeKind,
  ruleset: Ruleset,
  options: ChangeOptions,
  reason = options.reason,
): Promise<void> {
  const digest = addRuleset(store, ruleset)
  const changes = { activate: activated, replace: replaced, shadow: shadowed } as const
  await publishPolicyDeployment(access, changes[kind](deployment, digest), ruleset, options, reason)
}

/** Publishes a deployment. `ruleset` is the one that becomes active or the shadow; null for none. */
export async function publishPolicyDeployment(
  access: ControlAccess,
  deployment: Deployment,
  ruleset: Ruleset | null,
  options: ChangeOptions,
  reason = options.reason,
): Promise<void> {
  const word = { author: authorOf(options), reason, atMs: systemClock.nowMs() }
  const position = await publishControl(access, controlOf(deployment, word, 'policy'))
  if (options.json === true) {
    printJson({ position, active: deployment.active, shadow: deployment.shadow, ruleset, ...word })
    return
  }
  printLine(`active  ${deployment.active ?? 'the built-in policy'}`)
  printLine(`shadow  ${deployment.shadow ?? 'none'}`)
  if (ruleset !== null) {
    const own = Object.entries(ruleset.segmentModes).map(([name, mode]) => `, ${name} ${mode}`)
    printLine(`version ${ruleset.version}, mode ${ruleset.mode}${own.join('')}`)
  }
  printLine(
    `said at offset ${position} of ${access.topicPrefix}control; scorers switch between batches`,
  )
}
