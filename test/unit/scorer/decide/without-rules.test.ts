// Goal: an alert of a rule or a list over something that is no feature has a true counterfactual: without everything
// that it names the policy gives the milder outcome, and with any one of it, it does not. Method: policies as operators
// write them, and random ones; each counterfactual is applied to the policy's text.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../../../services/core/features/catalogue/feature-list.ts'
import type { PolicyLists } from '../../../../services/core/policy/policy-lists.ts'
import type { PolicyInput } from '../../../../services/core/policy/ruling.ts'
import {
  OUTCOMES,
  type Counterfactual,
  type Outcome,
} from '../../../../services/core/wire/records.ts'
import { explainRows } from '../../../../services/scorer/decide/explain-batch.ts'
import type { Explained } from '../../../../services/scorer/decide/explained.ts'
import { rulingIf } from '../../../../services/scorer/decide/rule-batch.ts'
import { unscoredWithoutRules } from '../../../../services/scorer/decide/without-rules.ts'
import { compiledOf, inputOf } from '../../core/policy/policy-fixture.ts'
import { fullTransaction } from '../../core/wire/samples.ts'

const AMOUNT = FEATURE_NAMES.indexOf('amount')
const USUAL = FEATURE_NAMES.map(() => 10)
const { card, country } = fullTransaction

/** A model that scores an amount of 100 with 0.95, and ordinary ones with 0.05. */
function score(rows: Float64Array, count: number): Promise<Float64Array> {
  const amountOf = (row: number): number => rows[row * FEATURE_COUNT + AMOUNT] ?? NaN
  return Promise.resolve(
    Float64Array.from({ length: count }, (_, row) => (amountOf(row) > 50 ? 0.95 : 0.05)),
  )
}

interface Case {
  readonly text: string
  readonly lists?: PolicyLists
  readonly amount?: number
}

function explainedOf({ text, lists, amount = 10 }: Case, own: number): Explained {
  const policy = compiledOf(text, lists)
  const features = Object.fromEntries(FEATURE_NAMES.map((name) => [name, 10]))
  const input: PolicyInput = inputOf({ score: own }, { ...features, amount })
  const { outcome } = policy.rule(input)
  return {
    ...{ row: input.row, score: own, draftScore: own, verified: null, outcome },
    ask: (row, changed, without) => rulingIf(policy, input, row, changed, without),
  }
}

async function explain(of: Case): Promise<[Explained, Counterfactual | null]> {
  const { amount = 10 } = of
  const explained = explainedOf(of, amount > 50 ? 0.95 : 0.05)
  const [why] = await explainRows([explained], { baseline: USUAL, score, verify: null })
  return [explained, why?.counterfactual ?? null]
}

const HEAD = 'apiVersion: sluice/v1\nname: cards\n'
const ABROAD = `  - {name: abroad, when: 'has(transaction.country) && transaction.country == "${country ?? ''}"', outcome: block, reason: x}\n`
const STOLEN: PolicyLists = new Map([
  [
    'stolen',
    {
      name: 'stolen',
      entries: [{ kind: 'value', value: card, reason: 'x', author: 'jo', endMs: null }],
    },
  ],
])
const STOLEN_TEXT = 'lists:\n  - {name: stolen, field: card, effect: block, overridable: false}\n'

test('an alert of a rule over a country is told what it would have been without that rule', async () => {
  const [, found] = await explain({ text: `${HEAD}match: strictest\nrules:\n${ABROAD}` })
  deepStrictEqual(found, {
    ...{ feature: 'rule/abroad', value: 1, changedTo: 0, also: [] },
    ...{ scoreThen: 0.05, outcomeThen: 'approve' },
    text: 'without rule "abroad" it would have come with its score of 0.05 to: approve',
  })
})

test('an alert of a list is told what it would have been without its entry', async () => {
  const text = `${HEAD}match: first\n${STOLEN_TEXT}`
  const [, found] = await explain({ text, lists: STOLEN })
  strictEqual(found?.feature, 'list/stolen')
  strictEqual(found.outcomeThen, 'approve')
  ok(found.text.startsWith('without its entry in list "stolen" '), found.text)
})

test('where the score blocks as well, both the rule and the feature have to change', async () => {
  const text = `${HEAD}match: strictest\nrules:\n${ABROAD}`
  const [explained, found] = await explain({ text, amount: 100 })
  strictEqual(found?.feature, 'amount')
  deepStrictEqual(found.also, [{ feature: 'rule/abroad', value: 1, changedTo: 0 }])
  ok(found.text.startsWith('without rule "abroad" and with '), found.text)
  const row = explained.row.slice()
  row[AMOUNT] = found.changedTo ?? NaN
  const [then = NaN] = await score(row, 1)
  strictEqual(then, found.scoreThen)
  strictEqual(explained.ask(row, then, new Set(['abroad'])).outcome, found.outcomeThen)
  strictEqual(explained.ask(row, then, new Set()).outcome, 'block')
})

test('what stands behind the first match is left out, too', async () => {
  const second = ABROAD.replace('abroad', 'again')
  const [, found] = await explain({ text: `${HEAD}match: first\nrules:\n${ABROAD}${second}` })
  strictEqual(found?.feature, 'rule/abroad')
  deepStrictEqual(found.also, [{ feature: 'rule/again', value: 1, changedTo: 0 }])
})

test('an alert without a score is told of its rules, and names no score', () => {
  const of = explainedOf({ text: `${HEAD}match: strictest\nrules:\n${ABROAD}` }, NaN)
  const found = unscoredWithoutRules(of)
  // Unscored payments are flagged, so the block becomes a flag.
  deepStrictEqual(
    [found?.scoreThen, found?.outcomeThen, found?.text],
    [null, 'flag', 'without rule "abroad" it would have come to: flag'],
  )
  strictEqual(unscoredWithoutRules(explainedOf({ text: `${HEAD}match: first\n` }, NaN)), null)
})

test('of any rules the fewest are named: without them it is milder, with any one of them it is not', async () => {
  const rule = fc.record({
    outcome: fc.constantFrom(...OUTCOMES),
    overridable: fc.boolean(),
    applies: fc.boolean(),
  })
  let told = 0
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom('first', 'strictest'),
      fc.array(rule, { minLength: 1, maxLength: 6 }),
      async (match, rules) => {
        const lines = rules.map(({ outcome, overridable, applies }, index) => {
          const firm = outcome === 'block' ? `, overridable: ${overridable}` : ''
          const when = `transaction.amountMinor ${applies ? '>= 0' : '< 0'}`
          return `  - {name: r${index}, when: ${when}, outcome: ${outcome}${firm}, reason: x}\n`
        })
        const [explained, found] = await explain({
          text: `${HEAD}match: ${match}\nrules:\n${lines.join('')}`,
        })
        // The score is harmless, so every alert comes from rules.
        strictEqual(found === null, explained.outcome === 'approve')
        if (found === null) return
        told += 1
        const names = [found, ...found.also].map(({ feature }) => feature.replace('rule/', ''))
        const without = (left: readonly string[]): number => OUTCOMES.indexOf(outcomeOf(left))
        const outcomeOf = (left: readonly string[]): Outcome =>
          explained.ask(explained.row, explained.score, new Set(left)).outcome
        strictEqual(outcomeOf(names), found.outcomeThen)
        const own = OUTCOMES.indexOf(explained.outcome)
        ok(without(names) < own)
        for (const name of names) ok(without(names.filter((other) => other !== name)) >= own)
      },
    ),
  )
  ok(told > 10, `only ${told} alerts`)
})
