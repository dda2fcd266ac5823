import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { RejectReason } from '../../../../services/core/dead-letters.ts'
import type { Label, Transaction } from '../../../../services/core/transaction.ts'
import {
  identifierFault,
  isUpperLetters,
  validateDisposition,
  validateLabel,
  validateReceipt,
  validateTransaction,
  validateWatermark,
} from '../../../../services/core/wire/validation.ts'
import { fullLabel, fullTransaction, minimalLabel, minimalTransaction } from './samples.ts'

// Test numbers published by card networks; they pass the Luhn check and belong to nobody.
const TEST_CARD_NUMBERS = ['4111111111111111', '378282246310005', '6304000000000000000']

type Change<Value> = readonly [change: Partial<Value>, reason: RejectReason]

const transactionFaults: readonly Change<Transaction>[] = [
  [{ id: '' }, 'missing_field'],
  [{ id: 'x'.repeat(65) }, 'out_of_range'],
  [{ id: 'tx\n1' }, 'out_of_range'],
  [{ card: '' }, 'missing_field'],
  [{ card: 'card\u202e-1' }, 'out_of_range'],
  [{ card: '４１１１１１１１１１１１１１１１' }, 'card_number_suspected'],
  [{ merchant: '٤١١١ ١١١١ ١١١١ ١١١١' }, 'card_number_suspected'],
  [{ merchant: 'Café \ud83d' }, 'out_of_range'],
  [{ merchant: '가'.repeat(65) }, 'out_of_range'],
  [{ card: '4111 1111 1111 1111' }, 'card_number_suspected'],
  [{ eventTimeMs: 946_684_799_999 }, 'out_of_range'],
  [{ eventTimeMs: 4_102_444_800_001 }, 'out_of_range'],
  [{ amountMinor: -1 }, 'out_of_range'],
  [{ amountMinor: 1_000_000_000_001 }, 'out_of_range'],
  [{ currency: '' }, 'missing_field'],
  [{ currency: 'eur' }, 'out_of_range'],
  [{ currency: 'EURO' }, 'out_of_range'],
  [{ currency: 'ZZZ' }, 'unknown_currency'],
  [{ currency: 'XAU' }, 'unknown_currency'],
  [{ merchant: '' }, 'out_of_range'],
  [{ merchantCategory: 'x'.repeat(65) }, 'out_of_range'],
  [{ terminal: '\u007f' }, 'out_of_range'],
  [{ country: 'de' }, 'out_of_range'],
  [{ country: 'DEU' }, 'out_of_range'],
  [{ latitude: 90.001 }, 'out_of_range'],
  [{ latitude: Number.NaN }, 'out_of_range'],
  [{ longitude: -180.001 }, 'out_of_range'],
  [{ longitude: Number.POSITIVE_INFINITY }, 'out_of_range'],
  [{ latitude: null }, 'missing_field'],
  [{ longitude: null }, 'missing_field'],
  [{ utcOffsetMinutes: 841 }, 'out_of_range'],
  [{ utcOffsetMinutes: -841 }, 'out_of_range'],
  [{ device: '378282246310005' }, 'card_number_suspected'],
  [{ ipNetwork: '' }, 'out_of_range'],
  [{ intentId: '4111-1111-1111-1111' }, 'card_number_suspected'],
  [{ attributes: { '3ds': 'yes' } }, 'out_of_range'],
  [{ attributes: { constructor: 'yes' } }, 'out_of_range'],
  [{ attributes: { ['x'.repeat(65)]: true } }, 'out_of_range'],
  [{ attributes: { a4111111111111111: true } }, 'card_number_suspected'],
  [{ attributes: { account: '4111 1111 1111 1111' } }, 'card_number_suspected'],
  [{ attributes: { account: 4_111_111_111_111_111 } }, 'card_number_suspected'],
  [{ attributes: { account: 'x'.repeat(257) } }, 'out_of_range'],
  [{ attributes: { account: 'a\u0000' } }, 'out_of_range'],
  [{ attributes: { ageDays: Number.NaN } }, 'out_of_range'],
  [
    { attributes: Object.fromEntries(Array.from({ length: 33 }, (_, at) => [`a${at}`, at])) },
    'out_of_range',
  ],
]

describe('validation of a transaction', () => {
  for (const [change, reason] of transactionFaults) {
    const field = Object.keys(change)[0] ?? ''
    test(`rejects ${field} ${JSON.stringify(change)} as ${reason} and names the field`, () => {
      const changed = { ...fullTransaction, ...change }
      assert.deepStrictEqual(validateTransaction(changed), { ok: false, reason, field })
    })
  }

  test('accepts the smallest and the largest values', () => {
    const edges: readonly Partial<Transaction>[] = [
      { eventTimeMs: 946_684_800_000 },
      { eventTimeMs: 4_102_444_800_000 },
      { amountMinor: 1_000_000_000_000 },
      { latitude: -90, longitude: 180 },
      { latitude: 90, longitude: -180 },
      { utcOffsetMinutes: 840 },
      { utcOffsetMinutes: -840 },
      { id: 'x'.repeat(64) },
      { id: ' ' },
      { device: '~' },
      { card: 'cärd-1' },
      { merchant: '가'.repeat(64) },
      { merchant: 'ร้านกาแฟ' },
      { merchant: 'مقهى ١٢٣' },
      { terminal: '東京駅-０１２' },
      { attributes: {} },
      { attributes: Object.fromEntries(Array.from({ length: 32 }, (_, at) => [`a${at}`, at])) },
      { attributes: { x: '', y: '가'.repeat(256), z: -1e300, amount: 1_000_000 } },
    ]
    for (const edge of edges) {
      const value = { ...fullTransaction, ...edge }
      assert.deepStrictEqual(validateTransaction(value), { ok: true, value })
    }
    assert.equal(validateTransaction(minimalTransaction).ok, true)
  })
})

const labelFaults: readonly Change<Label>[] = [
  [{ transactionId: '' }, 'missing_field'],
  [{ card: '6304000000000000000' }, 'card_number_suspected'],
  [{ eventTimeMs: 0 }, 'out_of_range'],
  [{ knownAtMs: 4_102_444_800_001 }, 'out_of_range'],
  [{ verdict: 'unknown' }, 'out_of_range'],
  [{ merchant: '' }, 'out_of_range'],
  [{ terminal: 'x'.repeat(65) }, 'out_of_range'],
  [{ device: '\t' }, 'out_of_range'],
  [{ ipNetwork: '4111111111111111' }, 'card_number_suspected'],
]

describe('validation of a label', () => {
  for (const [change, reason] of labelFaults) {
    const field = Object.keys(change)[0] ?? ''
    test(`rejects ${field} ${JSON.stringify(change)} as ${reason} and names the field`, () => {
      const changed = { ...fullLabel, ...change }
      assert.deepStrictEqual(validateLabel(changed), { ok: false, reason, field })
    })
  }

  test('accepts a label that is known before its event, since clocks differ', () => {
    const value = { ...minimalLabel, knownAtMs: minimalLabel.eventTimeMs - 1 }
    assert.deepStrictEqual(validateLabel(value), { ok: true, value })
  })
})

test('a watermark is from 2000 to 2100, the end of a replay included', () => {
  assert.equal(validateWatermark({ timeMs: 4_102_444_800_000 }).ok, true)
  for (const timeMs of [946_684_799_999, 4_102_444_800_001]) {
    const expected = { ok: false, reason: 'out_of_range', field: 'timeMs' }
    assert.deepStrictEqual(validateWatermark({ timeMs }), expected)
  }
})

test('receipts and dispositions hold no card number, in ids or in text', () => {
  const receipt = {
    alertId: '5f0c9a2b3c4d5e6f708192a3b4c5d6e7',
    revision: 1,
    subscriber: 'bank',
    status: 'refused',
    reason: 'card is abroad',
    atMs: 1_767_225_600_000,
  } as const
  assert.equal(validateReceipt(receipt).ok, true)
  assert.equal(validateReceipt({ ...receipt, reason: null }).ok, true)
  for (const field of ['reason', 'subscriber'] as const) {
    const changed = { ...receipt, [field]: 'no block for 4111 1111 1111 1111' }
    const expected = { ok: false, reason: 'card_number_suspected', field }
    assert.deepStrictEqual(validateReceipt(changed), expected)
  }
  const disposition = {
    transactionId: 'tx-1',
    alertId: receipt.alertId,
    card: 'card-1',
    finding: 'inconclusive',
    source: 'analyst',
    author: 'ana',
    reason: 'nobody answers the phone',
    requestKey: null,
    atMs: 1_767_225_600_000,
  } as const
  assert.equal(validateDisposition(disposition).ok, true)
  for (const field of ['transactionId', 'card', 'author', 'reason'] as const) {
    const changed = { ...disposition, [field]: 'tok_4111111111111111' }
    const expected = { ok: false, reason: 'card_number_suspected', field }
    assert.deepStrictEqual(validateDisposition(changed), expected)
  }
})

describe('what looks like a card number', () => {
  test('is suspected with spaces or dashes anywhere', () => {
    const grouped = fc
      .tuple(
        fc.constantFrom(...TEST_CARD_NUMBERS),
        fc.array(fc.constantFrom('', '', ' ', '-'), { minLength: 19, maxLength: 19 }),
      )
      .map(([digits, separators]) =>
        Array.from(digits, (digit, index) => digit + (separators[index] ?? '')).join(''),
      )
    fc.assert(
      fc.property(grouped, (text) => {
        assert.equal(identifierFault(text), 'card_number_suspected')
      }),
    )
  })

  test('is suspected even when separators make it longer than an identifier', () => {
    assert.equal(
      identifierFault(Array.from('4111111111111111').join(' - - ')),
      'card_number_suspected',
    )
  })

  test('is no card number with another last digit or fewer than 13 digits', () => {
    for (const text of ['4111111111111112', '411111111117', 'x4111111111111112', '0'.repeat(16)]) {
      assert.equal(identifierFault(text), null, text)
    }
  })

  test('is suspected inside of a longer text, as cards, tracks and people show it', () => {
    for (const text of [
      '4111.1111.1111.1111',
      '4111/1111/1111/1111',
      '4111_1111_1111_1111',
      '4111111111111111=25121010000',
      '%B4111111111111111^DOE/J^2512',
      'tok_4111111111111111',
      'PAN:4111111111111111',
      '4111111111111111;12/28',
      '4111 1111 1111 1111 12/28',
      '12/28 4111 1111 1111 1111',
      'x4111111111111111',
      'card4111111111111111x',
      'amex 3782 822463 10005',
      'diners-3056-930902-5904!',
      'maestro 6304 0000 0000 0000 000',
      'mir:2200000000000004',
    ]) {
      assert.equal(identifierFault(text), 'card_number_suspected', text)
    }
  })

  test('is not suspected in ids and times that systems make', () => {
    const digits = (count: number): fc.Arbitrary<string> =>
      fc.stringMatching(RegExp(`^[0-9]{${count}}$`))
    const hex = (count: number): fc.Arbitrary<string> =>
      fc.stringMatching(RegExp(`^[0-9a-f]{${count}}$`)).filter((text) => /[a-f].*[a-f]/.test(text))
    const ids = fc.oneof(
      fc.uuid(),
      hex(16),
      hex(24),
      hex(32),
      hex(40),
      hex(64),
      hex(32).map((text) => `tx_${text}`),
      digits(9).map((text) => `tx-2026-12-02-${text.slice(0, 6)}`),
      digits(9).map((text) => `tx-1${text.slice(0, 3)}-${text}`),
      digits(12).map((text) => `tx-1${text}`), // ms, us and ns since 1970
      digits(15).map((text) => `tx-1${text}`),
      digits(18).map((text) => `tx-1${text}`),
      digits(12).map((text) => `p20${text}`), // 20261202090242, with a count of up to 3 digits
      digits(15).map((text) => `p20${text}`),
    )
    fc.assert(
      fc.property(ids, (text) => {
        assert.equal(identifierFault(text), null, text)
      }),
      { numRuns: 2_000 },
    )
    for (const text of ['4990', 'card-01090', 'term-7/12', '192.0.2.0/24', '2001:db8::/32']) {
      assert.equal(identifierFault(text), null, text)
    }
  })

  test('is suspected exactly when an independent Luhn check says so', () => {
    const digits = fc.stringMatching(/^[0-9]{12,20}$/)
    fc.assert(
      fc.property(digits, (text) => {
        const isSuspected =
          text.length >= 13 && text.length <= 19 && luhnOracle(text) && !/^0+$/.test(text)
        assert.equal(identifierFault(text) === 'card_number_suspected', isSuspected)
      }),
      { numRuns: 2_000 },
    )
  })

  function luhnOracle(text: string): boolean {
    const doubled = Array.from(text)
      .toReversed()
      .map((digit, index) => String(Number(digit) * (1 + (index % 2))))
    const sum = Array.from(doubled.join(''), Number).reduce((total, digit) => total + digit, 0)
    return sum % 10 === 0
  }
})

test('upper-case letters are A to Z only, and exactly as many as asked for', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 4 }), (text) => {
      assert.equal(isUpperLetters(text, 3), /^[A-Z]{3}$/.test(text))
    }),
  )
  assert.equal(isUpperLetters('EUR', 3), true)
})
