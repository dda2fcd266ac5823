// Card numbers in text: found and masked (P8). Whatever people will read passes here: log lines, error reports.
//
// A run of digits is looked at as a whole, with the separators that people put between groups. It is masked
//  - when any 13 to 19 consecutive digits of it pass the Luhn check: so a number is found however it is grouped,
//    and also next to an expiry date or an amount; or
//  - when it has the shape of a card number and fails the check: 14 to 19 digits in one piece, or groups of four, that
//    begin with 2 to 6, as those of all card schemes do. A mistyped card number tells nearly as much as a good one.
// All else stays readable: offsets, and times in ms, which have 13 digits and begin with 1. By chance one in ten
// of those passes the check and is masked; that is cheaper than the other mistake.

/** What stands in place of a card number or a secret. */
export const REDACTED = '[redacted]'

const DIGITS_MIN = 13
const DIGITS_MAX = 19
const ZERO = 48

// Spaces of all kinds, dashes, dots, slashes, underscores, and characters without width. No colon and no letter, so
// times of day, ISO times and places in stack traces are separate runs; no comma, so lists of numbers are.
const SEPARATOR = '[\\s\\-\\u00ad\\u200b-\\u200d\\u2010-\\u2015\\u2060\\u2212._/·•]'
const RUN = new RegExp(`\\d(?:${SEPARATOR}{0,4}\\d){${DIGITS_MIN - 1},}`, 'g')
const SHAPE = /^[2-6](?:\d{13,18}|\d{3}(?:[ -]\d{4}){2}[ -]\d{2,4}(?:[ -]\d{1,3})?)$/
const CREDENTIALS = /(\/\/[^\s/@:]{0,256}:)[^\s/@]{1,256}@/g

/** The text without card numbers, and without passwords in URLs. Linear in the length of the text. */
export function redactText(text: string): string {
  return maskCardNumbers(text).replace(CREDENTIALS, `$1${REDACTED}@`)
}

/** The text with every run of digits that holds a card number replaced. */
export function maskCardNumbers(text: string): string {
  return text.replace(RUN, (run) => (isCardLike(run) ? REDACTED : run))
}

function isCardLike(run: string): boolean {
  return SHAPE.test(run) || holdsCardNumber(digitsOf(run))
}

function digitsOf(run: string): readonly number[] {
  const digits: number[] = []
  for (let index = 0; index < run.length; index += 1) {
    const digit = run.charCodeAt(index) - ZERO
    if (digit >= 0 && digit <= 9) digits.push(digit)
  }
  return digits
}

/** Whether any 13 to 19 consecutive digits pass the check. All zeros do too, and are no card number. */
function holdsCardNumber(digits: readonly number[]): boolean {
  for (let end = DIGITS_MIN; end <= digits.length; end += 1) {
    let sum = 0
    let seen = 0
    // From the last digit to the first: the doubled ones are every second from the right.
    for (let length = 1; length <= DIGITS_MAX && length <= end; length += 1) {
      const digit = digits[end - length] ?? 0
      const doubled = 2 * digit
      sum += length % 2 === 1 ? digit : doubled > 9 ? doubled - 9 : doubled
      seen |= digit
      if (length >= DIGITS_MIN && sum % 10 === 0 && seen !== 0) return true
    }
  }
  return false
}
