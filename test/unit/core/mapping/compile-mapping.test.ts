// Goal: a message becomes exactly what the mapping says, or is refused with reason and field, and never throws; no card
// number comes out. Method: examples of each part of the language, and properties over any message.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { holdsCardNumber } from '../../../../services/core/card-numbers.ts'
import { compileMapping, type Mapped } from '../../../../services/core/mapping/compile-mapping.ts'
import { cardTokeniser } from '../../../../services/core/mapping/card-tokens.ts'
import { loadMapping, parseMapping } from '../../../../services/core/mapping/mapping-parsing.ts'
import { numberOf } from '../../../support/bridge.ts'
import { holds } from '../../../support/property.ts'
import { inputOf, mapOf, mappingWith, MESSAGE, TOKENISE } from '../../../support/mapped-message.ts'

function transactionOf(mapped: Mapped) {
  ok(mapped.kind === 'mapped' && mapped.transaction !== null, JSON.stringify(mapped))
  return mapped.transaction
}

function refusalOf(mapped: Mapped): readonly [string, string | null] {
  ok(mapped.kind === 'refused', JSON.stringify(mapped))
  return [mapped.reason, mapped.field]
}

/** The merchant that a field of this YAML gives for the message. */
function merchantOf(yaml: string, message: object): string | null {
  return transactionOf(mapOf(mappingWith({ merchant: yaml }), { ...MESSAGE, ...message })).merchant
}

test('paths are dotted or JSON Pointers, and the envelope has names', () => {
  strictEqual(merchantOf('a.b.0.c', { a: { b: [{ c: 'x' }] } }), 'x')
  strictEqual(merchantOf('/a~1b/c~0d', { 'a/b': { 'c~d': 'x' } }), 'x')
  strictEqual(merchantOf('a.b', { a: 'text' }), null)
  strictEqual(merchantOf('{ path: [a, b] }', { a: ' ', b: 'x' }), 'x')
  strictEqual(merchantOf('$key', {}), 'their-key')
  strictEqual(
    merchantOf('{ join: [$topic, $partition, $offset], with: "-" }', {}),
    'acme.payments-2-41',
  )
  const headers = { shop: 'x' }
  const mapped = mapOf(mappingWith({ merchant: '$headers.shop' }), MESSAGE, { headers })
  strictEqual(transactionOf(mapped).merchant, 'x')
})

test('constants, defaults, tables and joins', () => {
  strictEqual(merchantOf('{ value: 12 }', {}), '12')
  strictEqual(merchantOf('{ path: a, default: none }', { a: '' }), 'none')
  strictEqual(merchantOf('{ path: a, table: { x: X } }', { a: 'x' }), 'X')
  strictEqual(merchantOf('{ path: a, table: { x: X }, otherwise: keep }', { a: 'y' }), 'y')
  strictEqual(merchantOf('{ path: a, table: { x: X }, otherwise: absent }', { a: 'y' }), null)
  strictEqual(merchantOf('{ join: [a, b], with: "/" }', { a: 'x' }), null)
  const table = mappingWith({ merchant: '{ path: a, table: { x: X } }' })
  deepStrictEqual(refusalOf(mapOf(table, { ...MESSAGE, a: 'y' })), ['unknown_word', 'merchant'])
})

test('expressions give what paths cannot, and their failure is a refusal', () => {
  strictEqual(
    merchantOf('{ cel: "message.a.lowerAscii() + string(message.n + 1)" }', { a: 'X', n: 2 }),
    'x3',
  )
  const failing = mappingWith({ merchant: '{ cel: "message.a.b" }' })
  deepStrictEqual(refusalOf(mapOf(failing, MESSAGE)), ['expression_failed', 'merchant'])
})

test('amounts are exact, in the decimals of their currency', () => {
  const amountOf = (amount: unknown, currency: string, unit = 'major'): number | string => {
    const text = mappingWith({ amount: `{ path: amount, unit: ${unit} }`, currency: 'ccy' })
    const mapped = mapOf(text, { ...MESSAGE, amount, ccy: currency })
    return mapped.kind === 'refused' ? mapped.reason : transactionOf(mapped).amountMinor
  }
  strictEqual(amountOf(12.5, 'eur'), 1_250)
  strictEqual(amountOf('0.07', 'USD'), 7)
  strictEqual(amountOf(1_250, 'KRW'), 1_250)
  strictEqual(amountOf('1.234', 'KWD'), 1_234)
  strictEqual(amountOf(1_250, 'EUR', 'minor'), 1_250)
  strictEqual(amountOf(12.5, 'KRW'), 'bad_amount')
  strictEqual(amountOf(-1, 'EUR'), 'bad_amount')
  strictEqual(amountOf(0.1 + 0.2, 'EUR'), 'bad_amount')
  strictEqual(amountOf(1, 'XXQ'), 'unknown_currency')
  strictEqual(amountOf(2 ** 60, 'EUR', 'minor'), 'precision_lost')
})

test('times have formats and zones', () => {
  const timeOf = (yaml: string, at: unknown): string => {
    const mapped = mapOf(mappingWith({ eventTime: yaml }), { ...MESSAGE, at })
    return mapped.kind === 'refused'
      ? mapped.reason
      : new Date(transactionOf(mapped).eventTimeMs).toISOString()
  }
  strictEqual(
    timeOf('{ path: at, zone: Asia/Seoul }', '2026-01-01 09:00'),
    '2026-01-01T00:00:00.000Z',
  )
  strictEqual(
    timeOf('{ path: at, zone: Asia/Seoul }', '2026-01-01T09:00Z'),
    '2026-01-01T09:00:00.000Z',
  )
  strictEqual(
    timeOf('{ path: at, format: epoch_us }', 1_767_225_600_123_456),
    '2026-01-01T00:00:00.123Z',
  )
  strictEqual(timeOf('{ path: at, format: epoch_s }', 1_767_225_600.5), '2026-01-01T00:00:00.500Z')
  const pattern = `{ path: at, format: "dd.MM.yyyy 'um' HH:mm", zone: Europe/Berlin }`
  strictEqual(timeOf(pattern, '01.07.2026 um 12:00'), '2026-07-01T10:00:00.000Z')
  // An hour that occurs twice is the first; one that is skipped is as if the clock had not been changed yet.
  strictEqual(timeOf(pattern, '25.10.2026 um 02:30'), '2026-10-25T00:30:00.000Z')
  strictEqual(timeOf(pattern, '29.03.2026 um 02:30'), '2026-03-29T01:30:00.000Z')
  strictEqual(timeOf(pattern, '31.02.2026 um 12:00'), 'bad_time')
  strictEqual(timeOf('at', '1999-12-31'), 'bad_time')
})

test('identifiers of any script pass, composed', () => {
  strictEqual(merchantOf('a', { a: '서울 카페' }), '서울 카페')
  strictEqual(merchantOf('a', { a: 'ร้านกาแฟ' }), 'ร้านกาแฟ')
  strictEqual(merchantOf('a', { a: 'مقهى' }), 'مقهى')
  strictEqual(merchantOf('a', { a: 'Cafe\u0301' }), 'Caf\u00e9')
  const long = mapOf(mappingWith({ merchant: 'a' }), { ...MESSAGE, a: '가'.repeat(65) })
  deepStrictEqual(refusalOf(long), ['out_of_range', 'merchant'])
})

test('attributes are typed; those without a value are left out', () => {
  const text = mappingWith(
    {},
    { tds: 'tds', score: '{ path: score, type: number }', isNew: '{ path: new, type: boolean }' },
  )
  const mapped = mapOf(text, { ...MESSAGE, tds: 'Y', score: '1.5', new: true })
  deepStrictEqual(transactionOf(mapped).attributes, { tds: 'Y', score: 1.5, isNew: true })
  strictEqual(transactionOf(mapOf(text, MESSAGE)).attributes, null)
  deepStrictEqual(refusalOf(mapOf(text, { ...MESSAGE, new: 'perhaps' })), ['unknown_word', 'isNew'])
})

test('a card number passes as a token by hash or by declaration, and not otherwise', () => {
  const number = numberOf(1)
  const cardOf = (yaml: string, card: string): string =>
    transactionOf(mapOf(mappingWith({ card: yaml }), { ...MESSAGE, card })).card
  const token = cardOf('{ path: card, token: hmac }', number)
  ok(/^k1-[a-p]{32}$/.test(token), token)
  strictEqual(cardOf('{ path: card, token: hmac }', number.replace(/(.{4})/g, '$1 ')), token)
  strictEqual(cardOf('{ path: card, token: declared }', number), `token:${number}`)
  // Control: without either, the same number is refused.
  const plain = mapOf(mappingWith({ card: 'card' }), { ...MESSAGE, card: number })
  deepStrictEqual(refusalOf(plain), ['card_number_suspected', 'card'])
})

test('during a rotation a payment and its label have the token of their event time', () => {
  const old = { id: 'k1', fromMs: 0, bytes: Buffer.alloc(32, 1) }
  const rotatedMs = Date.parse('2026-06-01T00:00:00Z')
  const rotated = cardTokeniser([old, { id: 'k2', fromMs: rotatedMs, bytes: Buffer.alloc(32, 2) }])
  strictEqual(rotated(numberOf(1), rotatedMs - 1), cardTokeniser([old])(numberOf(1), rotatedMs))
  ok(rotated(numberOf(1), rotatedMs).startsWith('k2-'))
})

test('rules apply in order; filter, skip and unmatched leave out or refuse', () => {
  const text = (unmatched: string): string => `
apiVersion: sluice/v1
name: test
version: 1
source: { topic: acme.payments, format: json }
filter: message.env == "live"
unmatched: ${unmatched}
rules:
  - { name: ping, when: message.type == "PING", skip: true }
  - name: fraud
    when: message.type == "FRAUD"
    label: { transactionId: id, card: card, eventTime: at, verdict: verdict }
`
  const kindOf = (message: object, unmatched = 'refuse'): string => {
    const mapped = mapOf(text(unmatched), { env: 'live', ...MESSAGE, ...message })
    return mapped.kind === 'refused' ? mapped.reason : mapped.kind
  }
  strictEqual(kindOf({ env: 'test' }), 'skipped')
  strictEqual(kindOf({ type: 'PING' }), 'skipped')
  strictEqual(kindOf({ type: 'OTHER' }), 'no_rule')
  strictEqual(kindOf({ type: 'OTHER' }, 'skip'), 'skipped')
  strictEqual(kindOf({}), 'expression_failed')
  strictEqual(kindOf({ type: 'FRAUD', verdict: '1' }), 'mapped')
  strictEqual(kindOf({ type: 'FRAUD', verdict: '' }), 'skipped')
  strictEqual(kindOf({ type: 'FRAUD', verdict: 'x' }), 'unknown_word')
})

test('a label takes from its transaction what it does not map', () => {
  const text = `${mappingWith({ merchant: 'shop' })}    label: { verdict: fraud }\n`
  const mapped = mapOf(text, { ...MESSAGE, shop: 'x', fraud: 1 })
  ok(mapped.kind === 'mapped')
  deepStrictEqual(mapped.label, {
    transactionId: 'p-1',
    card: 'card-1',
    eventTimeMs: Date.parse('2026-01-01T10:00:00Z'),
    knownAtMs: Date.parse('2026-01-02T00:00:00Z'),
    verdict: 'fraud',
    source: 'unknown',
    merchant: 'x',
    terminal: null,
    device: null,
    ipNetwork: null,
  })
})

const EVERYTHING = mappingWith(
  {
    card: '{ path: card, token: hmac }',
    merchant: '{ join: [a, b], with: " " }',
    terminal: '{ cel: "has(message.c) ? string(message.c) : \'none\'" }',
    device: '{ path: [d.e, /d/0], default: x }',
    channel: '{ path: a, table: { web: ecommerce }, otherwise: absent }',
    latitude: 'b',
    longitude: 'b',
    country: 'c',
  },
  { one: 'a', two: '{ path: b, type: number }' },
)

test('no message throws, and nothing that comes out holds a card number', () => {
  const map = compileMapping(loadMapping('test.yaml', EVERYTHING).document, { tokenise: TOKENISE })
  const leaf = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.double(),
    fc.boolean(),
    fc.constant(null),
    fc.nat(1_000).map(numberOf),
    fc.constantFrom('web', 'KR', '2026-01-01', '12.50', '__proto__', 1_767_225_600_000, 2 ** 60),
  )
  const message = fc.dictionary(
    fc.constantFrom('id', 'card', 'at', 'amount', 'a', 'b', 'c', 'd'),
    fc.oneof(leaf, fc.array(leaf), fc.dictionary(fc.constantFrom('e', 'f'), leaf)),
  )
  let mappedCount = 0
  holds(
    3_000,
    fc.property(message, fc.boolean(), (own, isWhole) => {
      const mapped = map(inputOf(isWhole ? { ...own, ...MESSAGE } : own))
      if (mapped.kind !== 'mapped') return
      mappedCount += 1
      for (const value of Object.values(mapped.transaction ?? {}))
        if (typeof value === 'string') ok(!holdsCardNumber(value), value)
    }),
  )
  ok(mappedCount > 100, `only ${mappedCount} messages were mapped`)
})

test('any amount with the decimals of its currency is the number of its digits', () => {
  holds(
    200,
    fc.property(
      fc.nat(2_000_000_000),
      fc.constantFrom(['EUR', 2] as const, ['KRW', 0] as const, ['KWD', 3] as const),
      (minor, [currency, digits]) => {
        const text = minor.toString().padStart(digits + 1, '0')
        const whole = text.slice(0, text.length - digits)
        const amount = digits === 0 ? whole : `${whole}.${text.slice(text.length - digits)}`
        const mapped = mapOf(mappingWith({ currency: `{ value: ${currency} }` }), {
          ...MESSAGE,
          amount,
        })
        strictEqual(transactionOf(mapped).amountMinor, minor)
      },
    ),
  )
})

test('labels of files take what the mapping lacks from the transaction that is found', () => {
  const text = `
apiVersion: sluice/v1
name: chargebacks
version: 1
source: { format: csv }
rules:
  - name: chargeback
    label: { transactionId: ref, merchant: shop, verdict: fraud }
`
  const parsed = parseMapping(text)
  ok(!parsed.ok)
  deepStrictEqual(
    parsed.faults.map(({ message }) => message),
    ['lacks card', 'lacks eventTime'],
  )
  const { document } = loadMapping('chargebacks.yaml', text, 'label_files')
  const entities = { terminal: 't-1', device: null, ipNetwork: null }
  const transaction = { card: 'c-1', eventTimeMs: 1_767_225_600_000, merchant: 'm-1', ...entities }
  const map = compileMapping(document, {
    tokenise: null,
    find: (id) => (id === 'tx-1' ? { id, ...transaction } : null),
  })
  const found = map(inputOf({ ref: 'tx-1', shop: 'their-shop', fraud: 'yes' }))
  ok(found.kind === 'mapped' && found.label !== null, JSON.stringify(found))
  const { card, eventTimeMs, merchant, terminal } = found.label
  deepStrictEqual(
    [card, eventTimeMs, merchant, terminal],
    ['c-1', transaction.eventTimeMs, 'their-shop', 't-1'],
  )
  const unknown = map(inputOf({ ref: 'tx-2', fraud: 'yes' }))
  deepStrictEqual(refusalOf(unknown), ['missing_field', 'eventTime'])
})
