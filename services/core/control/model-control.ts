// What the control topic says about models: which one decides, which one runs in its shadow, and which ones decided
// before. The topic is compacted, so the way back is in the message itself.

import type { Control } from '../wire/records.ts'

/** Key and subject of the message that names the model for card transactions. */
export const MODEL_SUBJECT = 'model/cards'

/** Earlier models that a message remembers, the newest first; a rollback goes back by one. */
export const EARLIER_MAX = 16

const REASON_CHARACTERS_MAX = 2_000

/** A model by the digest of its manifest; null is the one that a scorer is configured with. */
export type ModelChoice = string | null

/** What operators want to decide. */
export interface ModelWish {
  readonly active: ModelChoice
  /** Scores the same rows beside it, without effect; null for none. */
  readonly shadow: string | null
  /** What decided before, the newest first. */
  readonly earlier: readonly ModelChoice[]
}

/** Nobody has said anything: the configured model decides, alone. */
export const NO_WISH: ModelWish = { active: null, shadow: null, earlier: [] }

/** Who wants it, why and when. */
export interface ControlWord {
  readonly author: string
  readonly reason: string
  readonly atMs: number
}

/** Why a control message says nothing that can be followed. Closed list: also a metric label. */
export const CONTROL_FAULTS = ['undecodable', 'bad_digest', 'bad_body'] as const
export type ControlFault = (typeof CONTROL_FAULTS)[number]

export type ReadWish =
  | { readonly ok: true; readonly wish: ModelWish }
  | { readonly ok: false; readonly fault: ControlFault }

/** The wish after another model was made the active one. A shadow of that very model ends. */
export function activated(wish: ModelWish, active: string): ModelWish {
  if (wish.active === active) return wish
  const shadow = wish.shadow === active ? null : wish.shadow
  return { active, shadow, earlier: [wish.active, ...wish.earlier].slice(0, EARLIER_MAX) }
}

/** The wish with another shadow, or none. */
export function shadowed(wish: ModelWish, shadow: string | null): ModelWish {
  return { ...wish, shadow }
}

/** The wish before the last activation; null when there is nothing to go back to. */
export function rolledBack({ shadow, earlier }: ModelWish): ModelWish | null {
  const [active, ...rest] = earlier
  if (active === undefined) return null
  return { active, shadow: shadow === active ? null : shadow, earlier: rest }
}

/** The message that says so. */
export function controlOf(wish: ModelWish, { author, reason, atMs }: ControlWord): Control {
  return {
    subject: MODEL_SUBJECT,
    kind: 'model',
    activeDigest: wish.active,
    shadowDigest: wish.shadow,
    mode: null,
    card: null,
    alertId: null,
    body: JSON.stringify({ earlier: wish.earlier }),
    author,
    reason: reason.slice(0, REASON_CHARACTERS_MAX),
    atMs,
    endMs: null,
  }
}

/** True when a message is about the model for card transactions; others are for somebody else. */
export function isModelControl({ kind, subject }: Pick<Control, 'kind' | 'subject'>): boolean {
  return kind === 'model' && subject === MODEL_SUBJECT
}

/** Reads a message that `isModelControl`. Never throws on bad input. */
export function wishOf(control: Pick<Control, 'activeDigest' | 'shadowDigest' | 'body'>): ReadWish {
  const { activeDigest: active, shadowDigest: shadow } = control
  if (!isChoice(active) || !isChoice(shadow)) return { ok: false, fault: 'bad_digest' }
  const earlier = earlierOf(control.body)
  return earlier === null
    ? { ok: false, fault: 'bad_body' }
    : { ok: true, wish: { active, shadow, earlier } }
}

/** A SHA-256 in hex, as models are named by. */
export function isDigest(text: string): boolean {
  return /^[0-9a-f]{64}$/.test(text)
}

function isChoice(value: unknown): value is ModelChoice {
  return value === null || (typeof value === 'string' && isDigest(value))
}

/** A message without a body remembers nothing; null is a body that cannot be read. */
function earlierOf(body: string | null): readonly ModelChoice[] | null {
  if (body === null) return []
  try {
    const { earlier } = JSON.parse(body) as { readonly earlier?: unknown }
    if (!Array.isArray(earlier) || earlier.length > EARLIER_MAX) return null
    return earlier.every(isChoice) ? earlier : null
  } catch {
    return null
  }
}
