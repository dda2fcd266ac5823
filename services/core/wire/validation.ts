// Checks beyond the Avro schemas: values of transactions, labels, watermarks, receipts and dispositions. Hot path:
// character codes, no regular expressions. Nothing checks a transaction again after this.

import { codeAt, holdsCardNumber, mentionsCardNumber, withAsciiDigits } from '../card-numbers.ts'
import { minorDigitsOf } from '../currency.ts'
import type { Decoded, RejectReason } from '../dead-letters.ts'
import type { Attributes, AttributeValue, Label, Transaction, Watermark } from '../transaction.ts'
import type { Disposition, Receipt } from './records.ts'

/** Longest identifier, in UTF-16 code units; at most three times as many bytes. */
export const IDENTIFIER_CHARACTERS_MAX = 64

/** Limits of the attributes of a transaction (P6). */
export const ATTRIBUTE_LIMITS = {
  countMax: 32,
  nameCharactersMax: 64,
  /** UTF-16 code units of a value. */
  textCharactersMax: 256,
} as const

/** 2000-01-01T00:00:00Z, the earliest time accepted in a message. */
export const TIME_MS_MIN = 946_684_800_000

/** 2100-01-01T00:00:00Z, the latest time accepted in a message; the end of a replay has this time. */
export const TIME_MS_MAX = 4_102_444_800_000

const SPACE = 0x20
const TILDE = 0x7e
const DELETE = 0x7f
const DASH = 0x2d
const SLASH = 0x2f
const UNDERSCORE = 0x5f
const DIGIT_0 = 0x30
const DIGIT_9 = 0x39
const UPPER_A = 0x41
const UPPER_Z = 0x5a

const CARD_DIGITS_MIN = 13

/**
 * An identifier with this prefix is a token that may look like a card number, such as a network token: its writer declares
 * that. Logs and texts of people still mask its digits.
 */
export const DECLARED_TOKEN_PREFIX = 'token:'

/** Control characters, and those that are invisible or change the direction of what follows them. */
const UNPRINTABLE =
  /[\p{Cc}\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\p{Cn}\p{Co}]/u

/**
 * Null when the value is 1 to 64 printable characters of any script that hold no card number; else the reason. ASCII
 * identifiers with fewer than 13 digits, as nearly all are, cost one pass over their characters.
 */
export function identifierFault(value: string): RejectReason | null {
  return value === '' ? 'missing_field' : textFault(value, IDENTIFIER_CHARACTERS_MAX)
}

function textFault(value: string, charactersMax: number): RejectReason | null {
  const length = value.length
  let digitCount = 0
  // Separators could stretch a card number beyond the longest identifier, so the whole value is read.
  for (let index = 0; index < length; index += 1) {
    const code = codeAt(value, index)
    if (code >= DIGIT_0 && code <= DIGIT_9) digitCount += 1
    else if (code > DELETE) return scriptFault(value, charactersMax)
    else if (code < SPACE || code > TILDE) return 'out_of_range'
  }
  if (digitCount >= CARD_DIGITS_MIN && hasLongRun(value) && isUndeclaredNumber(value))
    return 'card_number_suspected'
  return length > charactersMax ? 'out_of_range' : null
}

/** `textFault` for a text that is not ASCII alone. */
function scriptFault(value: string, charactersMax: number): RejectReason | null {
  if (!value.isWellFormed() || UNPRINTABLE.test(value)) return 'out_of_range'
  // The whole value is read, as for ASCII; its length is bounded by that of the message.
  if (holdsCardNumber(withAsciiDigits(value))) return 'card_number_suspected'
  return value.length > charactersMax ? 'out_of_range' : null
}

function isUndeclaredNumber(value: string): boolean {
  return !value.startsWith(DECLARED_TOKEN_PREFIX) && holdsCardNumber(value)
}

/** True when 13 digits follow each other with only separators between. Most hexadecimal ids have no such run. */
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

/**
 * The label itself when every field is in range, else the first field that is not. A label may be known
 * before the event time (clocks differ between systems); both must be sane times.
 */
export function validateLabel(label: Label): Decoded<Label> {
  let reason = identifierFault(label.transactionId)
  if (reason !== null) return reject(reason, 'transactionId')
  reason = identifierFault(label.card)
  if (reason !== null) return reject(reason, 'card')
  if (!isTimeMs(label.eventTimeMs)) return reject('out_of_range', 'eventTimeMs')
  if (!isTimeMs(label.knownAtMs)) return reject('out_of_range', 'knownAtMs')
  // A verdict that this version does not know must not count as either one.
  if (label.verdict === 'unknown') return reject('out_of_range', 'verdict')
  reason = optionalIdentifierFault(label.merchant)
  if (reason !== null) return reject(reason, 'merchant')
  reason = optionalIdentifierFault(label.terminal)
  if (reason !== null) return reject(reason, 'terminal')
  reason = optionalIdentifierFault(label.device)
  if (reason !== null) return reject(reason, 'device')
  reason = optionalIdentifierFault(label.ipNetwork)
  if (reason !== null) return reject(reason, 'ipNetwork')
  return { ok: true, value: label }
}

/** The watermark itself when its time is from 2000 to 2100. */
export function validateWatermark(watermark: Watermark): Decoded<Watermark> {
  return isTimeMs(watermark.timeMs)
    ? { ok: true, value: watermark }
    : reject('out_of_range', 'timeMs')
}

/** The receipt itself, unless its texts, which subscribers write, hold a card number. */
export function validateReceipt(receipt: Receipt): Decoded<Receipt> {
  for (const field of ['subscriber', 'reason'] as const) {
    if (mentionsCardNumber(receipt[field] ?? '')) return reject('card_number_suspected', field)
  }
  return { ok: true, value: receipt }
}

/** The disposition itself, unless its ids or free texts hold a card number. */
export function validateDisposition(disposition: Disposition): Decoded<Disposition> {
  for (const field of ['transactionId', 'card'] as const) {
    const reason = identifierFault(disposition[field])
    if (reason === 'card_number_suspected') return reject(reason, field)
  }
  for (const field of ['author', 'reason'] as const) {
    if (mentionsCardNumber(disposition[field])) return reject('card_number_suspected', field)
  }
  return { ok: true, value: disposition }
}

function reject(reason: RejectReason, field: string): Fault {
  return { ok: false, reason, field }
}

/** Largest amount, minor units: 10^12. */
export const AMOUNT_MINOR_MAX = 1_000_000_000_000

/** Largest distance of local time from UTC, minutes. */
export const UTC_OFFSET_MINUTES_MAX = 840

/** The transaction itself when every field is in range, else the first field that is not. Hot path. */
export function validateTransaction(transaction: Transaction): Decoded<Transaction> {
  const fault =
    identifiersFault(transaction) ??
    numbersFault(transaction) ??
    (transaction.attributes === null ? null : attributesFault(transaction.attributes))
  return fault ?? { ok: true, value: transaction }
}

type Fault = Extract<Decoded<never>, { ok: false }>

function identifiersFault(transaction: Transaction): Fault | null {
  let reason = identifierFault(transaction.id)
  if (reason !== null) return reject(reason, 'id')
  reason = identifierFault(transaction.card)
  if (reason !== null) return reject(reason, 'card')
  reason = optionalIdentifierFault(transaction.merchant)
  if (reason !== null) return reject(reason, 'merchant')
  reason = optionalIdentifierFault(transaction.merchantCategory)
  if (reason !== null) return reject(reason, 'merchantCategory')
  reason = optionalIdentifierFault(transaction.terminal)
  if (reason !== null) return reject(reason, 'terminal')
  reason = optionalIdentifierFault(transaction.device)
  if (reason !== null) return reject(reason, 'device')
  reason = optionalIdentifierFault(transaction.ipNetwork)
  if (reason !== null) return reject(reason, 'ipNetwork')
  reason = optionalIdentifierFault(transaction.intentId)
  if (reason !== null) return reject(reason, 'intentId')
  return null
}

function numbersFault(transaction: Transaction): Fault | null {
  const { currency, country, latitude, longitude, utcOffsetMinutes } = transaction
  if (!isTimeMs(transaction.eventTimeMs)) return reject('out_of_range', 'eventTimeMs')
  if (!isWithin(transaction.amountMinor, 0, AMOUNT_MINOR_MAX))
    return reject('out_of_range', 'amountMinor')
  if (currency === '') return reject('missing_field', 'currency')
  if (!isUpperLetters(currency, 3)) return reject('out_of_range', 'currency')
  if (minorDigitsOf(currency) === undefined) return reject('unknown_currency', 'currency')
  if (country !== null && !isUpperLetters(country, 2)) return reject('out_of_range', 'country')
  if (latitude !== null && !isWithin(latitude, -90, 90)) return reject('out_of_range', 'latitude')
  if (longitude !== null && !isWithin(longitude, -180, 180))
    return reject('out_of_range', 'longitude')
  if ((latitude === null) !== (longitude === null))
    return reject('missing_field', latitude === null ? 'latitude' : 'longitude')
  if (
    utcOffsetMinutes !== null &&
    !isWithin(utcOffsetMinutes, -UTC_OFFSET_MINUTES_MAX, UTC_OFFSET_MINUTES_MAX)
  )
    return reject('out_of_range', 'utcOffsetMinutes')
  return null
}

const ATTRIBUTE_NAME = /^[A-Za-z][A-Za-z0-9_]*$/

/** True for a name that an attribute may have: none that every JavaScript object has, such as `constructor`. */
export function isAttributeName(name: string): boolean {
  if (name.length > ATTRIBUTE_LIMITS.nameCharactersMax) return false
  return ATTRIBUTE_NAME.test(name) && !(name in Object.prototype)
}

/** Why a transaction cannot have this attribute; null when it can. An empty text is a value. */
export function attributeFault(name: string, value: AttributeValue): RejectReason | null {
  if (holdsCardNumber(name)) return 'card_number_suspected'
  if (!isAttributeName(name)) return 'out_of_range'
  if (typeof value === 'string') return textFault(value, ATTRIBUTE_LIMITS.textCharactersMax)
  if (typeof value === 'boolean') return null
  if (!Number.isFinite(value)) return 'out_of_range'
  return Number.isInteger(value) && holdsCardNumber(String(value)) ? 'card_number_suspected' : null
}

function attributesFault(attributes: Attributes): Fault | null {
  let count = 0
  for (const [name, value] of Object.entries(attributes)) {
    count += 1
    const reason = attributeFault(name, value)
    // A name may itself be what must not be repeated.
    if (reason !== null) return reject(reason, 'attributes')
  }
  return count > ATTRIBUTE_LIMITS.countMax ? reject('out_of_range', 'attributes') : null
}
