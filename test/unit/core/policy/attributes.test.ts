// Goal: policies read the attributes that they declare, by their types, and an absent one is never a value.

import { deepStrictEqual, equal, match } from 'node:assert/strict'
import { test } from 'node:test'
import { parsePolicy } from '../../../../services/core/policy/policy-parsing.ts'
import type { Attributes, AttributeValue } from '../../../../services/core/transaction.ts'
import type { Outcome } from '../../../../services/core/wire/records.ts'
import { fullTransaction } from '../wire/samples.ts'
import { compiledOf, HEAD, inputOf, placesOf } from './policy-fixture.ts'

const DECLARED = `${HEAD}attributes:
  - { name: threeDSecure, type: string }
  - { name: customerAgeDays, type: number }
  - { name: isNewBeneficiary, type: boolean }
`

function policy(when: string, reason = 'x'): string {
  return `${DECLARED}rules:\n  - name: a\n    when: '${when}'\n    outcome: block\n    reason: "${reason}"\n`
}

function outcomeOf(when: string, attributes: Attributes | null): Outcome {
  const input = inputOf({ transaction: { ...fullTransaction, attributes } })
  return compiledOf(policy(when)).rule(input).outcome
}

test('conditions read texts, numbers and booleans', () => {
  const attributes = { threeDSecure: 'failed', customerAgeDays: 2, isNewBeneficiary: true }
  for (const when of [
    'has(attributes.threeDSecure) && attributes.threeDSecure == "failed"',
    'has(attributes.customerAgeDays) && attributes.customerAgeDays < 3',
    'has(attributes.isNewBeneficiary) && attributes.isNewBeneficiary',
  ]) {
    equal(outcomeOf(when, attributes), 'block', when)
    equal(outcomeOf(when, { ...attributes, ...other(attributes) }), 'approve', when)
    equal(outcomeOf(when, null), 'approve', when)
    equal(outcomeOf(when, {}), 'approve', when)
  }
})

/** Valid values for which none of the conditions above holds. */
function other(attributes: Attributes): Attributes {
  return Object.fromEntries(
    Object.entries(attributes).map(([name, value]): [string, AttributeValue] => {
      if (typeof value === 'boolean') return [name, !value]
      return [name, typeof value === 'number' ? value + 10 : 'passed']
    }),
  )
}

test('a value of another type counts as absent', () => {
  const when = 'has(attributes.customerAgeDays) && attributes.customerAgeDays < 3'
  equal(outcomeOf(when, { customerAgeDays: '2' }), 'approve')
  equal(outcomeOf('!has(attributes.customerAgeDays)', { customerAgeDays: '2' }), 'block')
})

test('an attribute may have the name of a variable', () => {
  const text = policy('has(attributes.input)').replace('threeDSecure', 'input')
  const transaction = { ...fullTransaction, attributes: { threeDSecure: 'x' } }
  equal(compiledOf(text).rule(inputOf({ transaction })).outcome, 'approve')
})

test('an attribute without a test for its presence, or not declared, is refused', () => {
  const untested = placesOf(parsePolicy(policy('attributes.isNewBeneficiary')))
  match([...untested.values()].join(), /may be absent: write "has\(attributes.isNewBeneficiary\)/)
  const unknown = placesOf(parsePolicy(policy('has(attributes.beneficiary)')))
  match([...unknown.values()].join(), /attributes.beneficiary is not known; declare it/)
  const mistyped = placesOf(parsePolicy(policy('has(attributes.threeDSecur)')))
  match([...mistyped.values()].join(), /did you mean attributes.threeDSecure\?/)
  const compared = placesOf(
    parsePolicy(policy('has(attributes.threeDSecure) && attributes.threeDSecure > 3')),
  )
  equal(compared.size, 1)
})

test('declarations name a type, once, with a name that an attribute can have', () => {
  const faults = placesOf(
    parsePolicy(
      `${HEAD}attributes:\n  - { name: a, type: date }\n  - { name: constructor, type: string }\n` +
        '  - { name: b, type: number }\n  - { name: b, type: string }\n',
    ),
  )
  deepStrictEqual([...faults.keys()].map((place) => place.split(' ')[1]).sort(), [
    'attributes',
    'attributes[0].type',
    'attributes[1].name',
  ])
})

test('reasons show attributes, and "none" for an absent one', () => {
  const text = policy(
    'transaction.currency == "GBP"',
    '{attributes.threeDSecure} {attributes.customerAgeDays} {attributes.isNewBeneficiary}',
  )
  const attributes = { threeDSecure: '실패', isNewBeneficiary: false }
  const input = inputOf({ transaction: { ...fullTransaction, attributes } })
  equal(compiledOf(text).rule(input).rules[0]?.text, '실패 none false')
})
