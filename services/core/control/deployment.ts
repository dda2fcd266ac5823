// Messages of the control topic: deployments of models, policies and rate tables (active, shadow, earlier), releases of cards and resets
// of breakers. The topic is compacted, so each deployment carries the earlier ones that a rollback needs.

import { z } from 'zod'
import { parseJson } from '../parse-json.ts'
import type { Codec } from '../wire/codec.ts'
import type { Control } from '../wire/records.ts'

/** Subject of a deployment, and the key and subject of its message: cards are the only business so far. */
export const DEPLOYMENT_SUBJECTS = {
  model: 'model/cards',
  policy: 'policy/cards',
  rates: 'rates/cards',
} as const
export type DeploymentKind = keyof typeof DEPLOYMENT_SUBJECTS
const DEPLOYMENT_KINDS = ['model', 'policy', 'rates'] as const

/** Earlier deployments that a message keeps, newest first; a rollback goes back by one. */
export const EARLIER_MAX = 16

const REASON_CHARACTERS_MAX = 2_000

/** A model by the digest of its manifest, or a ruleset or rate table by its digest; null is the configured one. */
export type Choice = string | null

/** Versions that operators want in force. */
export interface Deployment {
  readonly active: Choice
  /** Evaluates the same rows without effect; null for none. */
  readonly shadow: string | null
  /** Choices that were active before, newest first. */
  readonly earlier: readonly Choice[]
}

/** Used when nothing was published: the configured model or policy decides, without a shadow. */
export const NO_DEPLOYMENT: Deployment = { active: null, shadow: null, earlier: [] }

/** Author, reason and time of a change. */
export interface ChangeRecord {
  readonly author: string
  readonly reason: string
  readonly atMs: number
}

/** Reasons for which a control message cannot be applied. Closed list: also a metric label. */
export const CONTROL_FAULTS = ['undecodable', 'bad_digest', 'bad_body'] as const
export type ControlFault = (typeof CONTROL_FAULTS)[number]

export type ReadDeployment =
  | { readonly ok: true; readonly deployment: Deployment }
  | { readonly ok: false; readonly fault: ControlFault }

/** The deployment after another choice became active. A shadow of that choice ends. */
export function activated(deployment: Deployment, active: string): Deployment {
  if (deployment.active === active) return deployment
  const shadow = deployment.shadow === active ? null : deployment.shadow
  return {
    active,
    shadow,
    earlier: [deployment.active, ...deployment.earlier].slice(0, EARLIER_MAX),
  }
}

/** The deployment with a new version of the active choice, which a rollback skips. */
export function replaced(deployment: Deployment, active: string): Deployment {
  return { ...deployment, active, shadow: deployment.shadow === active ? null : deployment.shadow }
}

/** The deployment with another shadow, or none. */
export function shadowed(deployment: Deployment, shadow: string | null): Deployment {
  return { ...deployment, shadow }
}

/** The deployment before the last activation; null when there is nothing to go back to. */
export function rolledBack({ shadow, earlier }: Deployment): Deployment | null {
  const [active, ...rest] = earlier
  if (active === undefined) return null
  return { active, shadow: shadow === active ? null : shadow, earlier: rest }
}

/** The message that publishes the deployment. */
export function controlOf(
  deployment: Deployment,
  { author, reason, atMs }: ChangeRecord,
  kind: DeploymentKind = 'model',
): Control {
  return {
    subject: DEPLOYMENT_SUBJECTS[kind],
    kind,
    activeDigest: deployment.active,
    shadowDigest: deployment.shadow,
    mode: null,
    card: null,
    alertId: null,
    body: JSON.stringify({ earlier: deployment.earlier }),
    author,
    reason: reason.slice(0, REASON_CHARACTERS_MAX),
    atMs,
    endMs: null,
  }
}

/** The kind of deployment in a message; null when the message is for another reader. */
export function deploymentKindOf({
  kind,
  subject,
}: Pick<Control, 'kind' | 'subject'>): DeploymentKind | null {
  return isDeploymentKind(kind) && subject === DEPLOYMENT_SUBJECTS[kind] ? kind : null
}

/** The kind of deployment in a message with this key. */
export function deploymentKindOfKey(key: string | undefined): DeploymentKind | null {
  return DEPLOYMENT_KINDS.find((kind) => key === DEPLOYMENT_SUBJECTS[kind]) ?? null
}

function isDeploymentKind(kind: Control['kind']): kind is DeploymentKind {
  return kind in DEPLOYMENT_SUBJECTS
}

/** Reads a message that has a `deploymentKindOf`. Never throws on bad input. */
export function deploymentOf(
  control: Pick<Control, 'activeDigest' | 'shadowDigest' | 'body'>,
): ReadDeployment {
  const { activeDigest: active, shadowDigest: shadow } = control
  if (!isChoice(active) || !isChoice(shadow)) return { ok: false, fault: 'bad_digest' }
  const earlier = earlierOf(control.body)
  return earlier === null
    ? { ok: false, fault: 'bad_body' }
    : { ok: true, deployment: { active, shadow, earlier } }
}

/** True for a SHA-256 in hex, which names models and rulesets. */
export function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text)
}

function isChoice(value: unknown): value is Choice {
  return value === null || (typeof value === 'string' && isDigest(value))
}

/** Null for a body that is missing or cannot be read. */
function earlierOf(body: string | null): readonly Choice[] | null {
  if (body === null) return null
  try {
    const { earlier } = JSON.parse(body) as { readonly earlier?: unknown }
    if (!Array.isArray(earlier) || earlier.length > EARLIER_MAX) return null
    return earlier.every(isChoice) ? earlier : null
  } catch {
    return null
  }
}

/** A deployment with the message that publishes it. */
export interface PositionedDeployment {
  readonly about: DeploymentKind
  readonly deployment: Deployment
  /** Offset in the control topic. */
  readonly position: number
  /** Null for a tombstone. */
  readonly control: Control | null
}

/** Content of a message. */
export type ControlMessage =
  | { readonly kind: 'deployment'; readonly placed: PositionedDeployment }
  /** Null for a tombstone. */
  | { readonly kind: 'for_others'; readonly control: Control | null }
  | { readonly kind: 'fault'; readonly fault: ControlFault }

/** Reads one message; never throws on bad input. */
export function readControlMessage(
  { key, value, offset }: { key: Buffer | null; value: Buffer | null; offset: string },
  codec: Codec<Control>,
): ControlMessage {
  const position = Number(offset)
  if (value === null) {
    const about = deploymentKindOfKey(key?.toString())
    if (about === null) return { kind: 'for_others', control: null }
    // A tombstone withdraws the deployment: a scorer that starts later sees no message at all.
    return {
      kind: 'deployment',
      placed: { about, deployment: NO_DEPLOYMENT, position, control: null },
    }
  }
  const decoded = codec.decode(value)
  if (!decoded.ok) return { kind: 'fault', fault: 'undecodable' }
  const about = deploymentKindOf(decoded.value)
  if (about === null) return { kind: 'for_others', control: decoded.value }
  const read = deploymentOf(decoded.value)
  if (!read.ok) return { kind: 'fault', fault: read.fault }
  return {
    kind: 'deployment',
    placed: { about, deployment: read.deployment, position, control: decoded.value },
  }
}

/**
 * An operator's override and its time. It may have been in force earlier, through a message that compaction has
 * removed.
 */
export interface OverrideSince extends ChangeRecord {
  /** Offset in the control topic. */
  readonly position: number
  /** False when earlier messages are gone: the override was in force by then at the latest. */
  readonly isFirst: boolean
}

/**
 * The message since which the newest choice is in force, ignoring other changes; null when nothing was published, or it
 * was withdrawn. `keyOf` maps choices that count as the same, such as two versions of a policy, to one key.
 */
export function sinceWhen(
  deployments: readonly PositionedDeployment[],
  choose: (deployment: Deployment) => Choice,
  keyOf: (choice: Choice) => string | null,
): OverrideSince | null {
  const newest = deployments.at(-1)
  if (newest === undefined) return null
  const key = keyOf(choose(newest.deployment))
  let from = deployments.length - 1
  while (from > 0) {
    const before = deployments[from - 1]
    if (before === undefined || keyOf(choose(before.deployment)) !== key) break
    from -= 1
  }
  const since = deployments[from]
  const word = since?.control ?? null
  if (since === undefined || word === null) return null
  const { author, reason, atMs } = word
  // Only the first message has no predecessor; compaction may have removed those of any other.
  return {
    author,
    reason,
    atMs,
    position: since.position,
    isFirst: from > 0 || since.position === 0,
  }
}

/** Key and subject of the message that counts resets of the breakers. */
export const BREAKER_SUBJECT = 'breaker/cards'

const RESETS = z.object({ resets: z.int().nonnegative() })

/** An operator's release of the lease of this alert. */
export interface PersonRelease {
  readonly card: string
  readonly alertId: string
}

/** Key and subject of the message that releases a card. */
export function releaseSubjectOf(card: string): string {
  return `release/${card}`
}

/** The message of a release. It names the alert, so it does not affect a later block of the card. */
export function releaseControlOf({ card, alertId }: PersonRelease, word: ChangeRecord): Control {
  return { ...blank(word), subject: releaseSubjectOf(card), kind: 'release', card, alertId }
}

/** The message with this total number of resets of the breakers. */
export function breakerControlOf(resets: number, word: ChangeRecord): Control {
  const body = JSON.stringify({ resets })
  return { ...blank(word), subject: BREAKER_SUBJECT, kind: 'breaker', body }
}

/** Null when the message releases nothing. Never throws on bad input. */
export function releaseOf({ kind, subject, card, alertId }: Control): PersonRelease | null {
  if (kind !== 'release' || card === null || alertId === null) return null
  return subject === releaseSubjectOf(card) ? { card, alertId } : null
}

/** Number of resets of the breakers; null for any other message. Never throws on bad input. */
export function breakerResetsOf({ kind, subject, body }: Control): number | null {
  if (kind !== 'breaker' || subject !== BREAKER_SUBJECT || body === null) return null
  return parseJson(RESETS, body)?.resets ?? null
}

function blank({ author, reason, atMs }: ChangeRecord): Control {
  return {
    subject: '',
    kind: 'unknown',
    activeDigest: null,
    shadowDigest: null,
    mode: null,
    card: null,
    alertId: null,
    body: null,
    author,
    reason: reason.slice(0, REASON_CHARACTERS_MAX),
    atMs,
    endMs: null,
  }
}
