// Goal: a word that a value never has is a fault in new policies, and never prevents the use of a stored one.

import { deepStrictEqual, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { parseNewPolicy, parsePolicy } from '../../../../services/core/policy/policy-parsing.ts'
import { placesOf, rule } from './policy-fixture.ts'

// Columns of the words in `when: ...`.
const NEVER_MET: readonly [when: string, where: string, said: string][] = [
  ['freshness.amount == "stael"', '6:32', 'freshness.amount is never "stael"; has present, absent'],
  [
    '"absnt" != freshness.amount',
    '6:12',
    'freshness.amount is never "absnt"; did you mean "absent"?',
  ],
  ['freshness.amount in ["absent", "Degraded"]', '6:43', 'did you mean "degraded"?'],
  [
    'scored || !("lat" in annotations)',
    '6:24',
    'annotations never has "lat"; did you mean "late"?',
  ],
  [
    'has(transaction.channel) && transaction.channel == "POS"',
    '6:63',
    'transaction.channel is never "POS"; did you mean "pos"?',
  ],
]

for (const [when, where, said] of NEVER_MET) {
  test(`a comparison that nothing can meet is a fault of a new policy, not of a stored one: ${when}`, () => {
    const text = rule(`'${when}'`)
    const message = placesOf(parseNewPolicy(text)).get(`${where} rules[0].when`)
    ok(message?.includes(said) === true, JSON.stringify([...placesOf(parseNewPolicy(text))]))
    deepStrictEqual([...placesOf(parsePolicy(text))], [])
  })
}

test('possible words, and words of other values, are not faults', () => {
  for (const when of [
    'freshness.amount in ["present", "absent", "expired", "degraded"]',
    '"late" in annotations || "verified" in annotations || "entity_lagging" in annotations',
    'has(transaction.entryMode) && transaction.entryMode != "chip"',
    'transaction.card == "tok_1" || "a" == "b"',
    'freshness.amount == freshness.card_count_1h',
  ]) {
    deepStrictEqual([...placesOf(parseNewPolicy(rule(`'${when}'`)))], [], when)
  }
})
