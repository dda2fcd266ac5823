// Card numbers in text (P8): the one definition for identifiers, for what people write, and for logs.
//
// A card number is 13 to 19 digits that pass the Luhn check, with separators of people between groups. How strictly a
// run of digits is judged depends on the price of a mistake:
//  - `holdsCardNumber`, for identifiers: a refusal costs a payment its decision. The digits must be the whole text, or
//    have the length, the beginning and the grouping of a card scheme.
//  - `mentionsCardNumber`, for reasons and notes that people write: a refusal costs a second try. `maskCardNumbers`, for
//    logs and error reports: a mistake costs a readable number. Both take any 13 to 19 consecutive digits of a run that
//    pass the check, so a number is found however it is grouped, and also next to an expiry date or an amount; and
//    mistyped numbers in the shape of a card number: 14 to 19 digits in one piece, or groups of four, that begin with
//    2 to 6. A mistyped card number tells nearly as much as a good one.
// Whatever the first refuses, the others find (a property test says so).
//
// All else stays readable: offsets, and times in ms, which have 13 digits and begin with 1. By chance one in ten
// of those passes the check and is masked; that is cheaper than the other mistake.

import assert from 'node:assert/strict'

// Character codes on the hot path. A method called on the string itself is resolved for each string representation of
// the engine (flat, joined, sliced, interned ...). A call site that sees many representations stops caching and
// resolves it for every character. Called through the prototype, nothing needs resolving.

// eslint-disable-next-line @typescript-eslint/unbound-method -- bound by each call below
const { charCodeAt } = String.prototype

/** `text.charCodeAt(index)`. Hot path. */
export function codeAt(text: string, index: number): number {
  return charCodeAt.call(text, index)
}

/** Replaces a card number or a secret. */
export const REDACTED = '[redacted]'

const DIGITS_MIN = 13
const DIGITS_MAX = 19
const ZERO = 48

// Spaces of all kinds, dashes, dots, slashes, underscores, and characters without width. No colon and no letter, so
// times of day, ISO times and places in stack traces are separate runs; no comma, so lists of numbers are.
const SEPARATOR = '[\\s\\-\\u00ad\\u200b-\\u200d\\u2010-\\u2015\\u2060\\u2212._/·•]'
const SEPARATORS = `${SEPARATOR}{0,8}`
const RUN = new RegExp(`\\d(?:${SEPARATORS}\\d){${DIGITS_MIN - 1},}`, 'g')
const SHAPE = /^[2-6](?:\d{13,18}|\d{3}(?:[ -]\d{4}){2}[ -]\d{2,4}(?:[ -]\d{1,3})?)$/
const WHOLE = new RegExp(`^${SEPARATOR}*(?:\\d${SEPARATORS})*${SEPARATOR}*$`)
/** Digits as cards show them: in one piece, or in the groups of the schemes. Each finds also what overlaps. */
const GROUPS = [
  '\\d{13,19}',
  ...[
    [4, 4, 4, 4],
    [4, 4, 4, 4, 1],
    [4, 4, 4, 4, 2],
    [4, 4, 4, 4, 3],
    [4, 6, 5],
    [4, 6, 4],
  ].map((sizes) => sizes.map((size) => `\\d{${size}}`).join(`${SEPARATOR}{1,8}`)),
].map((digits) => new RegExp(`(?<!\\d)(?=(${digits})(?!\\d))`, 'g'))
/**
 * Length and beginning of the schemes' numbers. Times are outside: 13, 16 and 19 digits that begin with 1, and dates of
 * this century, 14 to 17 digits that begin with 20.
 */
const SCHEME = /^(?:4\d{12}|3\d{13,14}|(?:[345689]\d|2[2-7])\d{14}|[345689]\d{16,18})$/
/** Words of 16, 24, ... 64 hexadecimal digits, and UUIDs: ids, whose digits are no number. */
const HEX_ID =
  /(?<![0-9a-z])(?:(?:[0-9a-f]{8}){2,8}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?![0-9a-z])/gi
/** Track 1 puts one letter before a number; an id with two letters is one. */
const HEX_LETTERS = /[a-f].*[a-f]/i
const DIGIT_OF_ANY_SCRIPT = /\p{Nd}/gu
const IS_DIGIT = /^\p{Nd}$/u
const CREDENTIALS = /(\/\/[^\s/@:]{0,256}:)[^\s/@]{1,256}@/g

/** The text without card numbers, and without passwords in URLs. Linear in the length of the text. */
export function redactText(text: string): string {
  return maskCardNumbers(text).replace(CREDENTIALS, `$1${REDACTED}@`)
}

/** The text with every run of digits that holds a card number replaced. */
export function maskCardNumbers(text: string): string {
  return text.replace(RUN, (run) => (isCardLike(run) ? REDACTED : run))
}

/** True when text that a person writes holds a number that `maskCardNumbers` would mask. */
export function mentionsCardNumber(text: string): boolean {
  return maskCardNumbers(text) !== text
}

/** True when an identifier is, or holds, a card number: without its separators, or as the schemes write it. */
export function holdsCardNumber(text: string): boolean {
  if (WHOLE.test(text)) {
    const digits = digitsOf(text)
    const isLong = digits.length >= DIGITS_MIN && digits.length <= DIGITS_MAX
    if (isLong && passesLuhn(digits)) return true
  }
  const rest = text.replaceAll(HEX_ID, (id) => (HEX_LETTERS.test(id) ? ' id ' : id))
  return GROUPS.some((groups) => {
    for (const [, found = ''] of rest.matchAll(groups)) {
      const digits = digitsOf(found)
      if (SCHEME.test(digits.join('')) && passesLuhn(digits)) return true
    }
    return false
  })
}

/**
 * The text with the digits of all scripts as ASCII digits, so that a card number is found in each of them. Other
 * characters may change too: only for checks.
 */
export function withAsciiDigits(text: string): string {
  return text.normalize('NFKC').replaceAll(DIGIT_OF_ANY_SCRIPT, (digit) => {
    // Unicode encodes the digits of a script in order, from zero to nine.
    const code = digit.codePointAt(0) ?? 0
    let value = 0
    while (value < 9 && IS_DIGIT.test(String.fromCodePoint(code - value - 1))) value += 1
    return String(value)
  })
}

function isCardLike(run: string): boolean {
  return SHAPE.test(run) || anyPasses(digitsOf(run))
}

function digitsOf(run: string): readonly number[] {
  const digits: number[] = []
  for (let index = 0; index < run.length; index += 1) {
    const digit = run.charCodeAt(index) - ZERO
    if (digit >= 0 && digit <= 9) digits.push(digit)
  }
  return digits
}

/** True when any 13 to 19 consecutive digits pass the check. */
function anyPasses(digits: readonly number[]): boolean {
  for (let end = DIGITS_MIN; end <= digits.length; end += 1) {
    if (luhnEndsAt(digits, end, DIGITS_MIN, Math.min(end, DIGITS_MAX))) return true
  }
  return false
}

function passesLuhn(digits: readonly number[]): boolean {
  return luhnEndsAt(digits, digits.length, digits.length, digits.length)
}

/** True when `min` to `max` digits before `end` pass the check. All zeros do too, and are no card number. */
function luhnEndsAt(digits: readonly number[], end: number, min: number, max: number): boolean {
  let sum = 0
  let seen = 0
  // From the last digit to the first: the doubled ones are every second from the right.
  for (let length = 1; length <= max; length += 1) {
    const digit = digits[end - length]
    assert(digit !== undefined)
    const doubled = 2 * digit
    sum += length % 2 === 1 ? digit : doubled > 9 ? doubled - 9 : doubled
    seen |= digit
    if (length >= min && sum % 10 === 0 && seen !== 0) return true
  }
  return false
}
