// Tokens of card numbers: a keyed hash (HMAC-SHA-256) of the digits. A token has no digits, so that it never looks like a
// card number. A key is valid from an event time on: a rotation adds a key that is valid from a later time, and messages
// about earlier payments, such as their labels, get the token of their time for as long as the old key is kept.

import { createHmac } from 'node:crypto'

/** One key. */
export interface TokenKey {
  /** Names the key in its tokens. */
  readonly id: string
  /** Event time from which on it is used, ms. */
  readonly fromMs: number
  readonly bytes: Buffer
}

/** Keys kept at once. */
export const TOKEN_KEYS_MAX = 8
/** Fewer bytes could be guessed. */
export const TOKEN_KEY_BYTES_MIN = 32

/** Bytes of the hash in a token. 128 bits: two of 2^40 cards share one with a probability of 2^-49. */
const TOKEN_BYTES = 16
const LETTER_A = 0x61

/** The token of a card number at an event time. Spaces and dashes between digits do not count. */
export type CardTokeniser = (number: string, eventTimeMs: number) => string

/** Compiles the keys. An event before all of them gets the oldest. */
export function cardTokeniser(keys: readonly [TokenKey, ...TokenKey[]]): CardTokeniser {
  const newestFirst = keys.toSorted((a, b) => b.fromMs - a.fromMs)
  const oldest = newestFirst.at(-1) ?? keys[0]
  return (number, eventTimeMs) => {
    const key = newestFirst.find(({ fromMs }) => fromMs <= eventTimeMs) ?? oldest
    const digest = createHmac('sha256', key.bytes).update(withoutSeparators(number)).digest()
    return `${key.id}-${lettersOf(digest)}`
  }
}

function withoutSeparators(number: string): string {
  return /[ -]/.test(number) ? number.replaceAll(/[ -]/g, '') : number
}

/** Two letters from a to p for each byte. */
function lettersOf(digest: Buffer): string {
  const letters = Buffer.allocUnsafe(2 * TOKEN_BYTES)
  for (let index = 0; index < TOKEN_BYTES; index += 1) {
    const byte = digest[index] ?? 0
    letters[2 * index] = LETTER_A + (byte >>> 4)
    letters[2 * index + 1] = LETTER_A + (byte & 15)
  }
  return letters.toString('latin1')
}
