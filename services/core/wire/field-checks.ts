// Checks of single field values, for the hot path: character codes, no regular expressions, no objects.

import { holdsCardNumber } from '../card-numbers.ts'
import { codeAt } from '../code-at.ts'
import type { RejectReason } from '../reject-reasons.ts'

/** Longest identifier, in characters. */
export const IDENTIFIER_CHARACTERS_MAX = 64

/** 2000-01-01T00:00:00Z, the earliest time accepted in a message. */
export const TIME_MS_MIN = 946_684_800_000

/** 2100-01-01T00:00:00Z, the latest time accepted in a message; the end of a replay says this. */
export const TIME_MS_MAX = 4_102_444_800_000

const SPACE = 0x20
const TILDE = 0x7e
const DASH = 0x2d
const SLASH = 0x2f
const UNDERSCORE = 0x5f
const DIGIT_0 = 0x30
const DIGIT_9 = 0x39
const UPPER_A = 0x41
const UPPER_Z = 0x5a

const CARD_DIGITS_MIN = 13

/**
 * Null when the value is 1 to 64 characters of printable ASCII that hold no card number; else why not. Identifiers with
 * fewer than 13 digits, as nearly all are, cost one pass over their characters.
 */
export function identifierFault(value: string): RejectReason | null {
  const length = value.length
  if (length === 0) return 'missing_field'
  let digitCount = 0
  // Separators could stretch a card number beyond the longest identifier, so all is read.
  for (let index = 0; index < length; index += 1) {
    const code = codeAt(value, index)
    if (code >= DIGIT_0 && code <= DIGIT_9) digitCount += 1
    else if (code < SPACE || code > TILDE) return 'out_of_range'
  }
  if (digitCount >= CARD_DIGITS_MIN && hasLongRun(value) && holdsCardNumber(value))
    return 'card_number_suspected'
  return length > IDENTIFIER_CHARACTERS_MAX ? 'out_of_range' : null
}

/** Whether 13 digits follow each other with nothing but separators between. Most hexadecimal ids have no such run. */
function hasLongRun(value: string): boolean {
  let digits = 0
  for (let index = 0; index < value.length; index += 1) {
    const code = codeAt(value, index)
    if (code >= DIGIT_0 && code <= DIGIT_9) {
      digits += 1
      if (digits === CARD_DIGITS_MIN) return true
    } else if (!isSeparator(code)) {
      digits = 0
    }
  }
  return false
}

/** Space, dash, dot, slash and underscore: the printable ASCII ones of core/card-numbers.ts. */
function isSeparator(code: number): boolean {
  return code === SPACE || (code >= DASH && code <= SLASH) || code === UNDERSCORE
}

/** `identifierFault` for a field that may be absent. An empty one is out of range, not missing. */
export function optionalIdentifierFault(value: string | null): RejectReason | null {
  if (value === null) return null
  return value === '' ? 'out_of_range' : identifierFault(value)
}

/** True for `count` upper-case letters, as in currencies and countries. */
export function isUpperLetters(value: string, count: number): boolean {
  if (value.length !== count) return false
  for (let index = 0; index < count; index += 1) {
    const code = codeAt(value, index)
    if (code < UPPER_A || code > UPPER_Z) return false
  }
  return true
}

/** True for a time from 2000 to 2100, milliseconds UTC. */
export function isTimeMs(value: number): boolean {
  return value >= TIME_MS_MIN && value <= TIME_MS_MAX
}

/** True for a finite number from `min` to `max`; NaN is not. */
export function isWithin(value: number, min: number, max: number): boolean {
  return value >= min && value <= max
}
