// Goal: a faulty policy is refused as a whole, with the position and the remedy of every fault.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { POLICY_LIMITS } from '../../../../services/core/policy/policy-document.ts'
import { parseNewPolicy, parsePolicy } from '../../../../services/core/policy/policy-parsing.ts'
import { holds } from '../../../support/property.ts'
import { HEAD, placesOf, policyOf, rule } from './policy-fixture.ts'

/** The faults of a new policy. */
function faultsOf(text: string): ReadonlyMap<string, string> {
  return placesOf(parseNewPolicy(text))
}

/** Texts with one fault each: its position, and a part of its message. */
const FAULTS: readonly [what: string, text: string, where: string, part: string][] = [
  ['no YAML', 'a: [', '1:5 ', 'Flow sequence'],
  ['no mapping', '- a\n', '1:1 ', 'must be a mapping'],
  ['a field twice', `${HEAD}name: x\n`, '4:1 ', 'unique'],
  ['an unknown field', `${HEAD}rule: []\n`, '4:1 rule', 'is not a known field; known here:'],
  [
    'a missing field',
    'apiVersion: sluice/v1\nname: x\n',
    '1:1 match',
    'is absent, but must be one of',
  ],
  ['another version', HEAD.replace('v1', 'v2'), '1:13 apiVersion', 'must be one of sluice/v1'],
  ['a bad name', HEAD.replace('cards', 'My Cards'), '2:7 name', 'lower-case letters'],
  [
    'thresholds upside down',
    `${HEAD}thresholds: {flag: 0.9, block: 0.5}\n`,
    '4:32 thresholds.block',
    'above flag',
  ],
  [
    'a score above 1',
    `${HEAD}thresholds: {flag: 0.5, block: 9}\n`,
    '4:32 thresholds.block',
    'a number 0 to 1',
  ],
  [
    'half a cost',
    `${HEAD}thresholds: {cost: {alertMinor: 1, wrongBlockFixedMinor: 1}}\n`,
    '4:20 thresholds.cost.wrongBlockShare',
    'is absent',
  ],
  [
    'an unknown caution',
    `${HEAD}allowBlockOn: [degraded, tired]\n`,
    '4:26 allowBlockOn[1]',
    'must be one of degraded, stale, unverified',
  ],
  [
    'a list without a field',
    `${HEAD}lists: [{name: a, effect: block}]\n`,
    '4:9 lists[0]',
    'has no field',
  ],
  ['an alias', `${HEAD}lists: [&a {name: a}, *a]\n`, '4:23 lists[1]', 'must be a mapping'],
  [
    'names twice',
    `${HEAD}lists: [{name: a}, {name: a}]\n`,
    '4:8 lists',
    'the name a more than once',
  ],
  [
    'a breaker without a limit',
    `${HEAD}breakers: [{windowMinutes: 5}]\n`,
    '4:12 breakers[0]',
    'limits nothing',
  ],
  [
    'two breakers of all traffic',
    `${HEAD}breakers: [{windowMinutes: 5, blocksPerMinuteMax: 1}, {windowMinutes: 9, blocksPerMinuteMax: 2}]\n`,
    '4:11 breakers',
    'the name (all traffic) more than once',
  ],
  [
    'a share above half',
    `${HEAD}controlGroup: {share: 0.9, amountMaxMinor: 1, dayMaxMinor: 1}\n`,
    '4:23 controlGroup.share',
    'a number 0 to 0.5',
  ],
  [
    'an unknown feature',
    rule('features.amont > 1'),
    '6:11 rules[0].when',
    'did you mean features.amount?',
  ],
  [
    'an unknown field of a transaction',
    rule('transaction.amuntMinor > 1'),
    '6:11 rules[0].when',
    'did you mean transaction.amountMinor?',
  ],
  ['an unknown variable', rule('amount > 1'), '6:11 rules[0].when', 'Unknown variable: amount'],
  [
    'a wrong type',
    rule('transaction.card > 1'),
    '6:11 rules[0].when',
    'no such overload: string > int',
  ],
  [
    'no boolean',
    rule('transaction.amountMinor'),
    '6:11 rules[0].when',
    'gives double, but must be true or false',
  ],
  ['a syntax error', rule('(transaction.amountMinor > 1'), '6:39 rules[0].when', 'Expected'],
  [
    'an unknown list',
    rule("inList('no', transaction.card)"),
    '6:19 rules[0].when',
    "not among the policy's lists",
  ],
  [
    'a list by a value',
    rule('inList(transaction.card, transaction.card)'),
    '6:11 rules[0].when',
    'must be written out',
  ],
  [
    'a feature that may be absent',
    rule('features.card_count_1h > 1'),
    '6:11 rules[0].when',
    'write "has(features.card_count_1h) && ..."',
  ],
  [
    'a score that may be missing',
    rule('score > 0.5'),
    '6:11 rules[0].when',
    'write "scored && ..."',
  ],
  [
    'a pattern',
    rule("transaction.card.matches('(a+)+$')"),
    '6:11 rules[0].when',
    'matches() is not known here',
  ],
  [
    'a loop over a list',
    rule("annotations.exists(m, m == 'x')"),
    '6:11 rules[0].when',
    'exists() is not known here',
  ],
  [
    'a dynamic type',
    rule("dyn(transaction.card) == 'x'"),
    '6:11 rules[0].when',
    'dyn() is not known here',
  ],
  [
    'an index',
    rule("features['amount'] > 1"),
    '6:11 rules[0].when',
    'maps and indexes are not known',
  ],
  [
    'an unknown placeholder',
    rule('transaction.amountMinor > 1', 'x {amont}'),
    '8:16 rules[0].reason',
    'did you mean {amount}?',
  ],
  [
    'a card number in a condition',
    rule("transaction.card == 'tok_4111111111111111'"),
    '6:11 rules[0].when',
    'card number',
  ],
  [
    'a card number in a reason',
    rule('transaction.amountMinor > 1', 'like 4111 1111 1111 1111'),
    '8:13 rules[0].reason',
    'card number',
  ],
  [
    'a lease of a flag',
    `${rule('transaction.amountMinor > 1')}    leaseMinutes: 5\n`,
    '9:19 rules[0].leaseMinutes',
    'is for rules whose outcome is block',
  ],
]

for (const [what, text, where, part] of FAULTS) {
  test(`refused with its place: ${what}`, () => {
    const faults = faultsOf(text)
    const message = faults.get(where)
    ok(message?.includes(part) === true, JSON.stringify([...faults]))
  })
}

test('all faults are reported at once, in the order of the text', () => {
  const text = `${rule('features.amont > 1')}  - {name: b, when: score > 1, outcome: no, reason: x}\nfoo: 1\n`
  deepStrictEqual(
    [...faultsOf(text).keys()].map((where) => where.split(':')[0]),
    ['6', '9', '9', '10'],
  )
})

test('a position in a text of several lines is that of its line', () => {
  const text = `${HEAD}rules:\n  - name: a\n    when: |\n      transaction.amountMinor > 1 &&\n        transaction.contry == 'x'\n    outcome: flag\n    reason: x\n`
  ok(faultsOf(text).has('8:9 rules[0].when'), JSON.stringify([...faultsOf(text)]))
})

test('conditions that test the presence of a value are accepted, in any order', () => {
  for (const when of [
    'has(features.card_count_1h) && features.card_count_1h > 1',
    'features.card_count_1h > 1 && has(features.card_count_1h)',
    '"!has(features.card_count_1h) || features.card_count_1h > 1"',
    '"has(features.card_count_1h) ? features.card_count_1h > 1 : scored && score > 0.5"',
    '"!(scored && score > 0.5)"',
    '"!scored || score < 0.1"',
    'features.amount > 10',
  ]) {
    deepStrictEqual([...faultsOf(rule(when))], [], when)
  }
  for (const when of [
    'has(features.card_count_1h) || features.card_count_1h > 1',
    'has(features.card_count_1d) && features.card_count_1h > 1',
    '"!has(features.card_count_1h) && features.card_count_1h > 1"',
    '"!(has(features.card_count_1h) || scored) && score > 0.5"',
  ]) {
    strictEqual(faultsOf(rule(when)).size > 0, true, when)
  }
})

test('a condition is bounded in length, size and depth', () => {
  const long = Array.from({ length: 300 }, () => 'scored').join(' && ')
  const deep = `${'('.repeat(40)}scored${')'.repeat(40)}`
  for (const when of [long, deep, `transaction.card == '${'x'.repeat(3_000)}'`]) {
    strictEqual(faultsOf(rule(when)).size, 1, when.slice(0, 40))
  }
})

test('no text makes the parser throw, and each fault has a position in the text', () => {
  const parts = [
    ...HEAD.split('\n'),
    'rules:',
    '  - name: a',
    '    when: ',
    '&',
    '*',
    '{',
    '"',
    ': ',
  ]
  const text = fc
    .array(fc.oneof(fc.constantFrom(...parts), fc.string()), { maxLength: 12 })
    .map((lines) => lines.join('\n'))
  holds(
    300,
    fc.property(text, (found) => {
      const parsed = parsePolicy(found)
      if (parsed.ok) return
      ok(parsed.faults.length > 0)
      for (const { line, column } of parsed.faults) {
        ok(line >= 1 && line <= found.split('\n').length && column >= 1)
      }
    }),
  )
})

test('too many rules and oversized texts are refused', () => {
  const rules = Array.from(
    { length: POLICY_LIMITS.rulesMax + 1 },
    (_, index) => `  - {name: r${index}, when: scored, outcome: flag, reason: x}`,
  )
  ok(faultsOf(`${HEAD}rules:\n${rules.join('\n')}\n`).has('5:3 rules'))
  const comment = `# ${'x'.repeat(POLICY_LIMITS.bytesMax)}\n`
  ok(faultsOf(`${HEAD}${comment}`).get('1:1 ')?.includes('larger than') === true)
})

test('the policy of the documentation has no fault and the documented meaning', () => {
  const text = readFileSync(
    join(import.meta.dirname, '../../../../docs/examples/policy.yaml'),
    'utf8',
  )
  const policy = policyOf(text)
  deepStrictEqual(policy.thresholds, {
    kind: 'cost',
    costs: {
      ...{ alertMinor: 400, wrongBlockFixedMinor: 2_500, wrongBlockShare: 0.1 },
      flagSavesShare: 0.6,
    },
  })
  deepStrictEqual(
    policy.rules.map(({ name, outcome }) => `${name} ${outcome}`),
    [
      'card-testing block',
      'impossible-journey flag',
      'watched-merchant flag',
      'small-contactless approve',
    ],
  )
  strictEqual(policy.leaseMs, 86_400_000)
  strictEqual(policy.rules[0]?.leaseMs, 43_200_000)
  strictEqual(policy.breakers[0]?.windowMs, 600_000)
})

test('omitted fields have defaults', () => {
  const policy = policyOf(HEAD)
  deepStrictEqual(policy, {
    name: 'cards',
    match: 'strictest',
    thresholds: { kind: 'model' },
    alertsPerDayMax: null,
    leaseMs: 86_400_000,
    unscoredOutcome: 'flag',
    allowBlockOn: [],
    onFailure: 'flag',
    attributes: [],
    lists: [],
    segments: [],
    rules: [],
    breakers: [],
    controlGroup: null,
  })
})
