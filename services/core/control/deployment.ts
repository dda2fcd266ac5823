// What the control topic says about models and about policies: which one decides, which one runs in its shadow, and which
// ones decided before. The topic is compacted, so the way back is in the message itself.

import type { Control } from '../wire/records.ts'

/** What a deployment is about, and the key and subject of its message: cards are the only business so far. */
export const DEPLOYMENT_SUBJECTS = { model: 'model/cards', policy: 'policy/cards' } as const
export type DeploymentKind = keyof typeof DEPLOYMENT_SUBJECTS

/** Earlier ones that a message remembers, the newest first; a rollback goes back by one. */
export const EARLIER_MAX = 16

const REASON_CHARACTERS_MAX = 2_000

/** A model by the digest of its manifest, or a ruleset by its own; null is what a scorer is configured with. */
export type Choice = string | null

/** What operators want to decide. */
export interface Deployment {
  readonly active: Choice
  /** Judges the same rows beside it, without effect; null for none. */
  readonly shadow: string | null
  /** What decided before, the newest first. */
  readonly earlier: readonly Choice[]
}

/** Nobody has said anything: what is configured decides, alone. */
export const NO_DEPLOYMENT: Deployment = { active: null, shadow: null, earlier: [] }

/** Who wants it, why and when. */
export interface ChangeRecord {
  readonly author: string
  readonly reason: string
  readonly atMs: number
}

/** Why a control message says nothing that can be followed. Closed list: also a metric label. */
export const CONTROL_FAULTS = ['undecodable', 'bad_digest', 'bad_body'] as const
export type ControlFault = (typeof CONTROL_FAULTS)[number]

export type ReadDeployment =
  | { readonly ok: true; readonly deployment: Deployment }
  | { readonly ok: false; readonly fault: ControlFault }

/** The deployment after another one was made the active one. A shadow of that very one ends. */
export function activated(deployment: Deployment, active: string): Deployment {
  if (deployment.active === active) return deployment
  const shadow = deployment.shadow === active ? null : deployment.shadow
  return {
    active,
    shadow,
    earlier: [deployment.active, ...deployment.earlier].slice(0, EARLIER_MAX),
  }
}

/** The deployment with another version of the active one, which a rollback does not go back to. */
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

/** The message that says so. */
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

/** What a message is about; null when it is for somebody else. */
export function deploymentKindOf({
  kind,
  subject,
}: Pick<Control, 'kind' | 'subject'>): DeploymentKind | null {
  return (kind === 'model' || kind === 'policy') && subject === DEPLOYMENT_SUBJECTS[kind]
    ? kind
    : null
}

/** What a message of this key is about. */
export function deploymentKindOfKey(key: string | undefined): DeploymentKind | null {
  return key === DEPLOYMENT_SUBJECTS.model
    ? 'model'
    : key === DEPLOYMENT_SUBJECTS.policy
      ? 'policy'
      : null
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

/** A SHA-256 in hex, as models and rulesets are named by. */
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
