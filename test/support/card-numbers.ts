// Card numbers for tests, built by the definition of the check digit, and an oracle that finds them in output. Neither
// knows how they are masked.

import fc from 'fast-check'

/** The digit that makes the number valid: twice every second digit from the right, digits of that summed up. */
function checkDigit(digits: string): number {
  const doubled = Array.from(digits)
    .reverse()
    .map((digit, index) => {
      if (index % 2 === 1) return digit
      return String(2 * Number(digit))
    })
  const sum = Array.from(doubled.join('')).reduce((total, digit) => total + Number(digit), 0)
  return (10 - (sum % 10)) % 10
}

/** Valid numbers of 13 to 19 digits, of any scheme. */
export const cardNumbers: fc.Arbitrary<string> = fc
  .tuple(
    fc.integer({ min: 1, max: 9 }),
    fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 11, maxLength: 17 }),
  )
  .map(([first, rest]) => {
    const digits = [first, ...rest].join('')
    return digits + String(checkDigit(digits))
  })

/** Ways to write a number: in one piece, in fours, or with separators anywhere. */
export const groupings: fc.Arbitrary<(number: string) => string> = fc
  .record({
    separator: fc.constantFrom(
      ' ',
      '-',
      ' - ',
      '  ',
      '.',
      '_',
      '/',
      '\u00a0',
      '\u2009',
      '–',
      '\t',
      '\n',
      '\u200b',
    ),
    sizes: fc.oneof(
      fc.constant([19]),
      fc.constant([4, 4, 4, 7]),
      fc.constant([4, 6, 9]),
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 19, maxLength: 19 }),
    ),
  })
  .map(({ separator, sizes }) => (number: string) => {
    const groups: string[] = []
    let at = 0
    for (const size of sizes) {
      if (at < number.length) groups.push(number.slice(at, at + size))
      at += size
    }
    return groups.join(separator)
  })

/** True when the text shows the number: its digits in order, with at most a few other characters between. */
export function showsNumber(text: string, number: string): boolean {
  const digits = Array.from(text)
    .map((character) => (/[0-9]/.test(character) ? character : ' '))
    .join('')
  return new RegExp(Array.from(number).join(' {0,8}')).test(digits)
}
