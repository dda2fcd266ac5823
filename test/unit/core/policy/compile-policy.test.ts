// Goal: precedence, the two kinds of match, and the inputs on which a block must not be based.
// Method: properties over random policies against a simple oracle, and examples.

import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { STATE } from '../../../../services/core/features/engine/feature-states.ts'
import { compilePolicy } from '../../../../services/core/policy/compile-policy.ts'
import type { PolicyRule } from '../../../../services/core/policy/policy-document.ts'
import type { ListContent } from '../../../../services/core/policy/policy-lists.ts'
import { OUTCOMES, type Outcome } from '../../../../services/core/wire/records.ts'
import { holds } from '../../../support/property.ts'
import { fullTransaction } from '../wire/samples.ts'
import { compiledOf, HEAD, inputOf, policyOf, withState } from './policy-fixture.ts'

const CARD = fullTransaction.card

/** A list or rule that matches or not. */
interface Part {
  readonly outcome: Outcome
  readonly overridable: boolean
  readonly applies: boolean
}

const rule: fc.Arbitrary<Part> = fc.record({
  outcome: fc.constantFrom(...OUTCOMES),
  overridable: fc.boolean(),
  applies: fc.boolean(),
})
const list = rule.filter(({ outcome }) => outcome !== 'flag')

function textOf(match: string, lists: readonly Part[], rules: readonly Part[]): string {
  const firm = ({ outcome, overridable }: Part): string =>
    outcome === 'block' ? `, overridable: ${overridable}` : ''
  const listLines = lists.map(
    (part, index) =>
      `  - {name: l${index}, field: card, effect: ${part.outcome === 'block' ? 'block' : 'allow'}${firm(part)}}`,
  )
  const ruleLines = rules.map(
    (part, index) =>
      `  - {name: r${index}, when: transaction.amountMinor ${part.applies ? '>= 0' : '< 0'}, outcome: ${part.outcome}${firm(part)}, reason: x}`,
  )
  return [
    `apiVersion: sluice/v1\nname: cards\nmatch: ${match}`,
    ...(listLines.length > 0 ? ['lists:', ...listLines] : []),
    ...(ruleLines.length > 0 ? ['rules:', ...ruleLines] : []),
  ].join('\n')
}

function contentOf(name: string, holdsCard: boolean): ListContent {
  const entry = { kind: 'value', value: CARD, reason: 'x', author: 'jo', endMs: null } as const
  return { name, entries: holdsCard ? [entry] : [] }
}

const strictest = (outcomes: readonly Outcome[]): Outcome =>
  outcomes.reduce((a, b) => (OUTCOMES.indexOf(b) > OUTCOMES.indexOf(a) ? b : a), 'approve')

/** Precedence by the simplest algorithm. */
function expected(match: string, parts: readonly Part[], byScore: Outcome): Outcome {
  const applying = parts.filter(({ applies }) => applies)
  if (applying.some(({ outcome, overridable }) => outcome === 'block' && !overridable))
    return 'block'
  if (applying.some(({ outcome }) => outcome === 'approve')) return 'approve'
  const said = applying.map(({ outcome }) => outcome)
  return match === 'strictest' ? strictest([...said, byScore]) : (said[0] ?? byScore)
}

test('a firm block beats an override, an override beats the rest; then the match, then the score', () => {
  holds(
    400,
    fc.property(
      fc.constantFrom('first', 'strictest'),
      fc.array(list, { maxLength: 4 }),
      fc.array(rule, { maxLength: 5 }),
      fc.constantFrom(0.1, 0.6, 0.95),
      (match, lists, rules, score) => {
        const contents = lists.map(({ applies }, index) => contentOf(`l${index}`, applies))
        const compiled = compiledOf(
          textOf(match, lists, rules),
          new Map(contents.map((content) => [content.name, content])),
        )
        const byScore = score < 0.5 ? 'approve' : score < 0.9 ? 'flag' : 'block'
        const ruling = compiled.rule(inputOf({ score }))
        strictEqual(ruling.outcome, expected(match, [...lists, ...rules], byScore))
        const overridden =
          ruling.outcome === 'approve' &&
          ([...lists, ...rules].some(({ applies, outcome }) => applies && outcome === 'block') ||
            byScore === 'block')
        strictEqual(ruling.annotations.includes('overridden'), overridden)
      },
    ),
  )
})

test('evaluation is repeatable, also with another transaction in between', () => {
  const compiled = compiledOf(`${HEAD}rules:
  - {name: many, when: has(features.card_count_1h) && features.card_count_1h > 3, outcome: block, reason: "{card_count_1h} in an hour"}
`)
  const many = inputOf({}, { card_count_1h: 5 })
  const first = compiled.rule(many)
  strictEqual(compiled.rule(inputOf()).outcome, 'approve')
  deepStrictEqual(compiled.rule(many), first)
  strictEqual(first.rules[0]?.text, '5 in an hour')
})

test('first stops at the first matching rule; strictest names all of them', () => {
  const rules = `rules:
  - {name: a, when: transaction.amountMinor > 0, outcome: flag, reason: x}
  - {name: b, when: transaction.amountMinor > 0, outcome: block, leaseMinutes: 5, grade: confirmed, reason: y}
`
  const names = (match: string) => {
    const {
      outcome,
      rules: fired,
      leaseMs,
      grade,
    } = compiledOf(`apiVersion: sluice/v1\nname: c\nmatch: ${match}\n${rules}`).rule(inputOf())
    return [outcome, fired.map(({ name }) => name), leaseMs, grade]
  }
  deepStrictEqual(names('first'), ['flag', ['a'], 86_400_000, 'suspected'])
  deepStrictEqual(names('strictest'), ['block', ['a', 'b'], 300_000, 'confirmed'])
})

test('an absent feature is neither high nor low, nor zero', () => {
  const compiled = compiledOf(`${HEAD}rules:
  - {name: low, when: has(features.card_count_1h) && features.card_count_1h < 1, outcome: flag, reason: x}
  - {name: none, when: "!has(features.card_amount_ratio_30d)", outcome: flag, reason: x}
`)
  const fired = (features: Record<string, number>) =>
    compiled.rule(inputOf({}, features)).rules.map(({ name }) => name)
  deepStrictEqual(fired({}), ['none'])
  deepStrictEqual(fired({ card_count_1h: 0 }), ['low', 'none'])
  deepStrictEqual(fired({ card_count_1h: 2, card_amount_ratio_30d: 0 }), [])
})

test('a block is based on the features of its condition; other degraded or stale features do not matter', () => {
  const compiled = compiledOf(`${HEAD}rules:
  - {name: one, when: has(features.card_count_1h) && features.card_count_1h > 3, outcome: block, reason: x}
`)
  const input = inputOf({}, { card_count_1h: 5 })
  const said = (asked: typeof input) => {
    const { outcome, annotations } = compiled.rule(asked)
    return [outcome, annotations]
  }
  deepStrictEqual(said(input), ['block', []])
  deepStrictEqual(said(withState(input, 'terminal_count_1d', STATE.degraded)), ['block', []])
  // The value is present, but its state marks it as unreliable.
  for (const state of [STATE.degraded, STATE.expired]) {
    deepStrictEqual(said(withState(input, 'card_count_1h', state)), ['flag', ['block_withheld']])
  }
})

test('a block by the score is based on all features and the second stage; a policy may allow it', () => {
  const input = inputOf({ score: 0.95 })
  const doubtful = {
    degraded: withState(input, 'terminal_count_1d', STATE.degraded),
    stale: { ...input, annotations: ['entity_lagging'] },
    unverified: { ...input, annotations: ['draft_stands'] },
  }
  const careful = compiledOf(HEAD)
  strictEqual(careful.rule(input).outcome, 'block')
  for (const [caution, asked] of Object.entries(doubtful)) {
    deepStrictEqual(careful.rule(asked).annotations, ['block_withheld'], caution)
    strictEqual(careful.rule(asked).outcome, 'flag')
    const bold = compiledOf(`${HEAD}allowBlockOn: [${caution}]\n`)
    strictEqual(bold.rule(asked).outcome, 'block', caution)
  }
})

test('a list blocks despite degraded features, until its entry expires', () => {
  const endMs = fullTransaction.eventTimeMs + 1
  const entry = { kind: 'value', value: CARD, reason: 'stolen', author: 'jo', endMs } as const
  const compiled = compiledOf(
    `${HEAD}lists: [{name: stolen, field: card, effect: block}]\n`,
    new Map([['stolen', { name: 'stolen', entries: [entry] }]]),
  )
  const degraded = withState(inputOf(), 'card_count_1h', STATE.degraded)
  const ruling = compiled.rule(degraded)
  strictEqual(ruling.outcome, 'block')
  deepStrictEqual(ruling.rules, [
    { name: 'list/stolen', outcome: 'block', text: 'stolen (list stolen, jo)' },
  ])
  const later = { ...fullTransaction, eventTimeMs: endMs }
  strictEqual(compiled.rule({ ...degraded, transaction: later }).outcome, 'approve')
})

test('a failed condition is never "no match": it gives at least a flag, marked and named', () => {
  const text = (onFailure: string): string => `${HEAD}onFailure: ${onFailure}
segments:
  - {name: numeric, when: double(transaction.id) > 3}
rules:
  - {name: broken, when: int(transaction.id) > 3, outcome: block, reason: x}
  - {name: fine, when: transaction.amountMinor > 0, outcome: approve, reason: x}
`
  const transaction = { ...fullTransaction, id: 'not-a-number' }
  for (const onFailure of ['flag', 'block'] as const) {
    const ruling = compiledOf(text(onFailure)).rule(inputOf({ transaction }))
    strictEqual(ruling.outcome, onFailure)
    deepStrictEqual(ruling.failed, ['segment/numeric', 'broken'])
    ok(ruling.annotations.includes('policy_failed'))
  }
  const answered = compiledOf(text('flag')).rule(
    inputOf({ transaction: { ...fullTransaction, id: '2' } }),
  )
  deepStrictEqual([answered.outcome, answered.failed, answered.segment], ['approve', [], null])
})

test('the first matching segment determines name, mode and own rules', () => {
  const document = policyOf(`${HEAD}segments:
  - {name: small, when: transaction.referenceMinor < 100}
  - {name: rest}
rules:
  - {name: in-small, segment: small, when: transaction.amountMinor >= 0, outcome: flag, reason: x}
`)
  const compiled = compilePolicy(document, new Map(), {
    mode: 'flag',
    segmentModes: { small: 'observe' },
  })
  const said = (referenceMinor: number) => {
    const { segment, mode, outcome } = compiled.rule(inputOf({ referenceMinor }))
    return [segment, mode, outcome]
  }
  deepStrictEqual(said(50), ['small', 'observe', 'flag'])
  deepStrictEqual(said(500), ['rest', 'flag', 'approve'])
})

test('an unscored transaction gets the outcome of the policy and no threshold', () => {
  const ruling = compiledOf(`${HEAD}unscored: block\n`).rule(inputOf({ score: NaN }))
  deepStrictEqual([ruling.outcome, ruling.threshold], ['block', null])
  strictEqual(compiledOf(HEAD).rule(inputOf({ score: 0.6 })).threshold, 0.5)
  strictEqual(compiledOf(HEAD).rule(inputOf({ score: 0.95 })).threshold, 0.9)
})

test('a policy with a condition unknown to this build is refused as a whole', () => {
  const document = policyOf(HEAD)
  const rule: PolicyRule = {
    name: 'r',
    when: 'features.gone > 1',
    outcome: 'flag',
    grade: 'suspected',
    leaseMs: null,
    overridable: true,
    segment: null,
    reason: 'x',
  }
  const modes = { mode: 'flag', segmentModes: {} } as const
  throws(() => compilePolicy({ ...document, rules: [rule] }, new Map(), modes), {
    code: 'SLUICE_POLICY_CORRUPT',
  })
})
