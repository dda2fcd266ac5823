import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseAmount } from '../../../../services/core/files/row-reader.ts'

test('an amount equals the result of exact integer arithmetic', () => {
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 999_999_999_999n }),
      fc.integer({ min: 0, max: 999 }),
      fc.constantFrom(['JPY', 0] as const, ['EUR', 2] as const, ['KWD', 3] as const),
      fc.nat({ max: 3 }),
      (whole, thousandths, [currency, decimals], written) => {
        const used = Math.min(written, decimals)
        const fraction = String(thousandths).padStart(3, '0').slice(0, used)
        const text = used === 0 ? `${whole}` : `${whole}.${fraction}`
        const scale = 10n ** BigInt(decimals)
        const oracle = whole * scale + BigInt(fraction.padEnd(decimals, '0') || '0')
        const parsed = parseAmount(text, currency)
        ok(parsed.ok, text)
        strictEqual(BigInt(parsed.amountMinor), oracle)
      },
    ),
  )
})

test('amounts that floats cannot represent are exact', () => {
  deepStrictEqual(parseAmount('1.15', 'EUR'), { ok: true, amountMinor: 115 })
  deepStrictEqual(parseAmount('4.35', 'EUR'), { ok: true, amountMinor: 435 })
  deepStrictEqual(parseAmount('8.5', 'GBP'), { ok: true, amountMinor: 850 })
})

test('a third decimal is an error that names the currency, even when it is 0', () => {
  for (const text of ['1.234', '1.230']) {
    const parsed = parseAmount(text, 'EUR')
    ok(!parsed.ok && parsed.problem.includes('2 decimals of EUR'))
  }
})

test('signs, separators, exponents and blanks are not amounts', () => {
  for (const text of [
    '',
    '-1.00',
    '+1',
    '1,000.00',
    '1,50',
    '1e3',
    '.5',
    '1.',
    ' 1',
    'NaN',
    '1.2.3',
  ]) {
    strictEqual(parseAmount(text, 'EUR').ok, false, text)
  }
  strictEqual(parseAmount('1234567890123', 'EUR').ok, false)
})

test('an amount in a code that is no currency is refused, never read with two decimals', () => {
  const parsed = parseAmount('1.00', 'ZZZ')
  ok(!parsed.ok && parsed.problem.includes('ZZZ'))
  deepStrictEqual(parseAmount('1.2345', 'CLF'), { ok: true, amountMinor: 12_345 })
})
