// Reads and changes the policy in force on a stream.

import { readFile } from 'node:fs/promises'
import {
  type Deployment,
  NO_DEPLOYMENT,
  activated,
  controlOf,
  isDigest,
  replaced,
  shadowed,
} from '../../core/control/deployment.ts'
import { SluiceError } from '../../core/errors.ts'
import type { PolicyDocument } from '../../core/policy/policy-document.ts'
import { type ParsedPolicy, parseNewPolicy, parsePolicy } from '../../core/policy/policy-parsing.ts'
import type { Ruleset } from '../../core/policy/ruleset.ts'
import type { YamlFault } from '../../core/yaml/yaml-fields.ts'
import { systemClock } from '../../platform/clock.ts'
import {
  type ControlAccess,
  publishControl,
  readDeployment,
} from '../../platform/kafka/control-topic.ts'
import {
  addRuleset,
  findPolicyText,
  findRuleset,
  listRulesets,
} from '../../platform/policy-store.ts'
import type { ContentStore } from '../../platform/stores/content-store.ts'
import { printJson, printLine } from '../command.ts'
import { type ChangeOptions, authorOf } from '../model/model-stream.ts'

/** The policy in force on a stream. */
export interface InForce {
  readonly deployment: Deployment
  /** Null is the built-in policy. */
  readonly ruleset: Ruleset | null
  /** Null when the ruleset has no policy of its own. */
  readonly document: PolicyDocument | null
}

/** @throws SluiceError of the store when it does not hold the ruleset in force. */
export async function readInForce(access: ControlAccess, store: ContentStore): Promise<InForce> {
  const deployment = (await readDeployment(access, 'policy'))?.deployment ?? NO_DEPLOYMENT
  if (deployment.active === null) return { deployment, ruleset: null, document: null }
  const ruleset = await findRuleset(store, deployment.active)
  if (ruleset.policy === null) return { deployment, ruleset, document: null }
  const parsed = parsePolicy(await findPolicyText(store, ruleset.policy))
  if (!parsed.ok) {
    throw new SluiceError(
      'SLUICE_POLICY_CORRUPT',
      `The policy in force, ${ruleset.policy}, is not accepted by this build. Use the build that applied it.`,
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

/** The version of the next ruleset: above all versions in the store and on the stream. */
export async function nextVersion(store: ContentStore, ruleset: Ruleset | null): Promise<number> {
  const [newest] = await listRulesets(store)
  return 1 + Math.max(newest?.ruleset.version ?? 0, ruleset?.version ?? 0)
}

/** The way in which a new ruleset enters a deployment. A rollback returns to before the last `activate`. */
type ChangeKind = 'activate' | 'replace' | 'shadow'

interface RulesetChange {
  readonly store: ContentStore
  /** The deployment that the change starts from. */
  readonly deployment: Deployment
  readonly kind: ChangeKind
  readonly ruleset: Ruleset
}

/** Stores the ruleset, publishes it, and prints the deployment. */
export async function publishRuleset(
  access: ControlAccess,
  { store, deployment, kind, ruleset }: RulesetChange,
  options: ChangeOptions,
  reason = options.reason,
): Promise<void> {
  const digest = await addRuleset(store, ruleset)
  const changes = { activate: activated, replace: replaced, shadow: shadowed } as const
  await publishPolicyDeployment(access, changes[kind](deployment, digest), ruleset, options, reason)
}

/** Publishes a deployment. `ruleset` becomes active or the shadow; null for none. */
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

// A policy from a file, checked, with every fault in words.

interface ReadPolicy {
  readonly text: string
  readonly document: PolicyDocument
}

/** @throws SluiceError SLUICE_INPUT_INVALID when the file cannot be read. */
export async function parsePolicyFile(
  file: string,
): Promise<{ readonly text: string; readonly parsed: ParsedPolicy }> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (error) {
    const problem = error instanceof Error ? error.message : String(error)
    throw new SluiceError(
      'SLUICE_INPUT_INVALID',
      `The policy ${file} cannot be read: ${problem}. Give the path of a YAML file.`,
      { cause: error },
    )
  }
  return { text, parsed: parseNewPolicy(text) }
}

/** @throws SluiceError SLUICE_POLICY_INVALID naming every fault, or SLUICE_INPUT_INVALID. */
export async function readPolicyFile(file: string): Promise<ReadPolicy> {
  const { text, parsed } = await parsePolicyFile(file)
  if (parsed.ok) return { text, document: parsed.policy }
  const { faults } = parsed
  throw new SluiceError(
    'SLUICE_POLICY_INVALID',
    `The policy ${file} is not applied; it has ${faultCount(faults)}:\n${faultLines(file, faults).join('\n')}\n` +
      'Correct them and ask again; docs/policy.md has every field.',
    { details: { file, faults } },
  )
}

/** The number of faults, in words. */
export function faultCount({ length }: readonly YamlFault[]): string {
  return `${length} ${length === 1 ? 'fault' : 'faults'}`
}

/** Faults in compiler format: file, line, column, message. */
export function faultLines(file: string, faults: readonly YamlFault[]): readonly string[] {
  return faults.map(({ line, column, path, message }) =>
    `${file}:${line}:${column}: ${path} ${message}`.replace(':  ', ': '),
  )
}

// Finds a ruleset of the store by its version, its digest, or a prefix of its digest.

/** A shorter prefix of a digest would be a guess. */
const PREFIX_MIN = 6
/** Most digests that an error lists. */
const SHOWN_MAX = 5

export interface NamedRuleset {
  readonly digest: string
  readonly ruleset: Ruleset
}

/** @throws SluiceError SLUICE_POLICY_NOT_FOUND when no ruleset or more than one matches, SLUICE_POLICY_CORRUPT. */
export async function findNamedRuleset(store: ContentStore, named: string): Promise<NamedRuleset> {
  if (isDigest(named)) return { digest: named, ruleset: await findRuleset(store, named) }
  const all = await listRulesets(store)
  const byVersion = all.filter(({ ruleset }) => String(ruleset.version) === named)
  const byDigest =
    named.length < PREFIX_MIN ? [] : all.filter(({ digest }) => digest.startsWith(named))
  const found = byVersion.length > 0 ? byVersion : byDigest
  const [only, another] = found
  if (only !== undefined && another === undefined) return only
  const digests = found.slice(0, SHOWN_MAX).map(({ digest }) => digest.slice(0, 2 * PREFIX_MIN))
  throw new SluiceError(
    'SLUICE_POLICY_NOT_FOUND',
    `"${named}" is the version, or the beginning of the digest, of ${found.length} rulesets of the store ${store.place}` +
      `${digests.length === 0 ? '' : ` (${digests.join(', ')})`}; "sluice policy list" shows them.`,
  )
}
