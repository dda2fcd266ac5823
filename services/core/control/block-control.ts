// What the control topic says about blocks: that a person lets go of a card, and that a person has reset the breakers.

import { z } from 'zod'
import { parseJson } from '../parse-json.ts'
import type { Control } from '../wire/records.ts'
import type { ChangeRecord } from './deployment.ts'

/** Key and subject of the message that counts resets of the breakers. */
export const BREAKER_SUBJECT = 'breaker/cards'

const RESETS = z.object({ resets: z.int().nonnegative() })
const REASON_CHARACTERS_MAX = 2_000

/** A person's word that the lease of this alert is over. */
export interface PersonRelease {
  readonly card: string
  readonly alertId: string
}

/** Key and subject of the message that releases a card. */
export function releaseSubjectOf(card: string): string {
  return `release/${card}`
}

/** The message that releases. It names the alert: a later block of the card is another matter. */
export function releaseControlOf({ card, alertId }: PersonRelease, word: ChangeRecord): Control {
  return { ...blank(word), subject: releaseSubjectOf(card), kind: 'release', card, alertId }
}

/** The message after which the breakers have been reset this often. */
export function breakerControlOf(resets: number, word: ChangeRecord): Control {
  const body = JSON.stringify({ resets })
  return { ...blank(word), subject: BREAKER_SUBJECT, kind: 'breaker', body }
}

/** Null when the message releases nothing. Never throws on bad input. */
export function releaseOf({ kind, subject, card, alertId }: Control): PersonRelease | null {
  if (kind !== 'release' || card === null || alertId === null) return null
  return subject === releaseSubjectOf(card) ? { card, alertId } : null
}

/** How often breakers have been reset; null when the message does not say. Never throws on bad input. */
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
