// Goal: a fault of a mapping is reported with its line, all at once, and nothing else is accepted. Method: one change of a
// good mapping at a time; the example of docs/bridge.md is one.

import { deepStrictEqual, match, ok, throws } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { loadMapping, parseMapping } from '../../../../services/core/mapping/mapping-parsing.ts'
import { authorisation } from '../../../support/bridge.ts'
import { mapOf, mappingWith } from '../../../support/mapped-message.ts'

const PAGE = join(import.meta.dirname, '../../../../docs/bridge.md')

function faultsOf(text: string): readonly string[] {
  const parsed = parseMapping(text)
  return parsed.ok
    ? []
    : parsed.faults.map(({ line, path, message }) => `${line} ${path} ${message}`)
}

test('the example of the page is a mapping, and maps', () => {
  const [, text = ''] = /```yaml\n(.*?)```/s.exec(readFileSync(PAGE, 'utf8')) ?? []
  deepStrictEqual(faultsOf(text), [])
  const shop = { name: 'Café', branch: 'B1', mcc: 5_411 }
  const mapped = mapOf(
    text,
    authorisation(1, { shop, auth: { tds: 'Y' }, customer: { new: false } }),
  )
  ok(mapped.kind === 'mapped', JSON.stringify(mapped))
  deepStrictEqual(
    [
      mapped.transaction?.merchant,
      mapped.transaction?.merchantCategory,
      mapped.transaction?.attributes,
    ],
    ['Café / B1', '5411', { threeDs: 'Y', newCustomer: false }],
  )
})

for (const [what, fields, expected] of [
  [
    'a path that is none',
    { merchant: 'a..b' },
    /^13 rules\[0\].transaction.merchant is "a..b", which is no path/,
  ],
  ['an inherited name', { merchant: 'a.constructor' }, /is no path/],
  [
    'two sources',
    { merchant: '{ path: a, value: b }' },
    /^13 .* exactly one of path, value, join and cel/,
  ],
  ['an unknown option', { merchant: '{ path: a, dflt: b }' }, /merchant.dflt is not a known field/],
  ['an unknown field', { merchnt: 'a' }, /transaction.merchnt is not a known field/],
  ['a zone that is none', { eventTime: '{ path: at, zone: Mars/X }' }, /zone is "Mars\/X"/],
  ['a format that is none', { eventTime: '{ path: at, format: hurry }' }, /format is "hurry"/],
  ['an expression that is none', { merchant: '{ cel: "mesage.a" }' }, /Unknown variable: mesage/],
  [
    'a pattern in an expression',
    { merchant: '{ cel: "message.a.matches(\'(a+)+\')" }' },
    /matches\(\) is not known here/,
  ],
  [
    'a loop in an expression',
    { merchant: '{ cel: "message.a.map(x, x)" }' },
    /map\(\) is not known here/,
  ],
  ['a card number', { merchant: '{ value: "4111111111111111" }' }, /seems to hold a card number/],
  [
    'a token of no identifier',
    { amount: '{ path: a, token: hmac }' },
    /amount.token is not a known field/,
  ],
] as const) {
  test(`refused: ${what}`, () => {
    const faults = faultsOf(mappingWith(fields))
    deepStrictEqual(faults.length, 1, faults.join('\n'))
    match(faults[0] ?? '', expected)
  })
}

test('all faults are named at once, with the file', () => {
  const text = mappingWith({ merchant: 'a..b', country: '{}' }).replace('version: 1', 'version: x')
  throws(
    () => loadMapping('payments.yaml', text),
    /3 fault\(s\), and nothing was started:\n {2}payments.yaml, line 3: .*\n.*line 13: .*\n.*line 14: /,
  )
})

test('a rule after one that always applies, and a rule that makes nothing, are faults', () => {
  const text = `${mappingWith({})}  - { name: other, when: message.a == 1 }\n`
  const faults = faultsOf(text).join('\n')
  match(faults, /has rules after payment, which always applies/)
  match(faults, /makes nothing/)
})
