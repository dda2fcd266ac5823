// What the control topic says about models and about policies: which one decides, which one runs in its shadow, and which
// ones decided before. The topic is compacted, so the way back is in the message itself.

import type { Control } from '../wire/records.ts'

/** What a wish is about, and the key and subject of its message: cards are the only business so far. */
export const WISH_SUBJECTS = { model: 'model/cards', policy: 'policy/cards' } as const
export type WishKind = keyof typeof WISH_SUBJECTS

/** Earlier ones that a message remembers, the newest first; a rollback goes back by one. */
export const EARLIER_MAX = 16

const REASON_CHARACTERS_MAX = 2_000

/** A model by the digest of its manifest, or a ruleset by its own; null is what a scorer is configured with. */
export type Choice = string | null

/** What operators want to decide. */
export interface Wish {
  readonly active: Choice
  /** Judges the same rows beside it, without effect; null for none. */
  readonly shadow: string | null
  /** What decided before, the newest first. */
  readonly earlier: readonly Choice[]
}

/** Nobody has said anything: what is configured decides, alone. */
export const NO_WISH: Wish = { active: null, shadow: null, earlier: [] }

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
  { readonly ok: true; readonly wish: Wish } | { readonly ok: false; readonly fault: ControlFault }

/** The wish after another one was made the active one. A shadow of that very one ends. */
export function activated(wish: Wish, active: string): Wish {
  if (wish.active === active) return wish
  const shadow = wish.shadow === active ? null : wish.shadow
  return { active, shadow, earlier: [wish.active, ...wish.earlier].slice(0, EARLIER_MAX) }
}

/** The wish with another version of the active one, which a rollback does not go back to. */
export function replaced(wish: Wish, active: string): Wish {
  return { ...wish, active, shadow: wish.shadow === active ? null : wish.shadow }
}

/** The wish with another shadow, or none. */
export function shadowed(wish: Wish, shadow: string | null): Wish {
  return { ...wish, shadow }
}

/** The wish before the last activation; null when there is nothing to go back to. */
export function rolledBack({ shadow, earlier }: Wish): Wish | null {
  const [active, ...rest] = earlier
  if (active === undefined) return null
  return { active, shadow: shadow === active ? null : shadow, earlier: rest }
}

/** The message that says so. */
export function controlOf(
  wish: Wish,
  { author, reason, atMs }: ControlWord,
  kind: WishKind = 'model',
): Control {
  return {
    subject: WISH_SUBJECTS[kind],
    kind,
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

/** What a message is about; null when it is for somebody else. */
export function wishKindOf({ kind, subject }: Pick<Control, 'kind' | 'subject'>): WishKind | null {
  return (kind === 'model' || kind === 'policy') && subject === WISH_SUBJECTS[kind] ? kind : null
}

/** What a message of this key is about. */
export function wishKindOfKey(key: string | undefined): WishKind | null {
  return key === WISH_SUBJECTS.model ? 'model' : key === WISH_SUBJECTS.policy ? 'policy' : null
}

/** Reads a message that has a `wishKindOf`. Never throws on bad input. */
export function wishOf(control: Pick<Control, 'activeDigest' | 'shadowDigest' | 'body'>): ReadWish {
  const { activeDigest: active, shadowDigest: shadow } = control
  if (!isChoice(active) || !isChoice(shadow)) return { ok: false, fault: 'bad_digest' }
  const earlier = earlierOf(control.body)
  return earlier === null
    ? { ok: false, fault: 'bad_body' }
    : { ok: true, wish: { active, shadow, earlier } }
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
