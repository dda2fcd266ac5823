// Goal: rulesets are named by their content, modes change one step at a time, and objections are stated.

import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { loadRuleset } from '../../../../services/core/policy/loaded-ruleset.ts'
import { listText } from '../../../../services/core/policy/policy-lists.ts'
import {
  findingText,
  judgePromotion,
  missingOf,
  type PromotionEvidence,
  type PromotionLimits,
} from '../../../../services/core/policy/promotion-gates.ts'
import {
  isClimb,
  modeOfSegment,
  readRuleset,
  type Ruleset,
  rulesetText,
  stepProblem,
  textDigest,
  withEarlier,
  withMode,
  withPolicy,
} from '../../../../services/core/policy/ruleset.ts'
import { HEAD, policyOf } from './policy-fixture.ts'

const LIST = listText({ name: 'l', entries: [] })
const RULESET: Ruleset = {
  version: 3,
  policy: textDigest(HEAD),
  mode: 'flag',
  segmentModes: { b: 'observe', a: 'enforce' },
  lists: { l: textDigest(LIST) },
}

test('a ruleset has one text, whatever the order of its names, and is read back', () => {
  const text = rulesetText(RULESET)
  strictEqual(rulesetText({ ...RULESET, segmentModes: { a: 'enforce', b: 'observe' } }), text)
  strictEqual(rulesetText(readRuleset(text)), text)
  for (const bad of [
    '',
    '{}',
    text.replace('"flag"', '"all"'),
    text.replace('"version":3', '"version":0'),
  ]) {
    throws(() => readRuleset(bad), { code: 'SLUICE_POLICY_CORRUPT' })
  }
})

test('a ruleset is loaded only when every text is the one of its digest', () => {
  const ruleset = rulesetText(RULESET)
  const texts = { ruleset, policy: HEAD, lists: new Map([['l', LIST]]) }
  const digest = textDigest(ruleset)
  strictEqual(loadRuleset(digest, texts).policy?.document.name, 'cards')
  const corrupt = { code: 'SLUICE_POLICY_CORRUPT' }
  throws(() => loadRuleset(textDigest('x'), texts), corrupt)
  throws(() => loadRuleset(digest, { ...texts, policy: `${HEAD}#` }), corrupt)
  throws(() => loadRuleset(digest, { ...texts, lists: new Map() }), corrupt)
})

test('a new version of a policy keeps its modes, another policy starts again; lists stay', () => {
  const segments = [{ name: 'a', when: null }]
  const next = withPolicy(
    RULESET,
    'cards',
    { digest: 'd', document: { name: 'cards', segments } },
    'observe',
    4,
  )
  deepStrictEqual(next, { ...RULESET, version: 4, policy: 'd', segmentModes: { a: 'enforce' } })
  const other = withPolicy(
    RULESET,
    'cards',
    { digest: 'd', document: { name: 'other', segments } },
    'observe',
    4,
  )
  deepStrictEqual([other.mode, other.segmentModes], ['observe', {}])
  const { policy } = { policy: policyOf(HEAD) }
  strictEqual(withPolicy(null, null, { digest: 'd', document: policy }, 'flag', 1).mode, 'flag')
})

test('a rollback restores policy and modes, and keeps the current lists', () => {
  const earlier: Ruleset = { ...RULESET, version: 1, policy: null, mode: 'observe', lists: {} }
  deepStrictEqual(withEarlier(RULESET, earlier, 9), {
    ...{ version: 9, policy: null, mode: 'observe', segmentModes: earlier.segmentModes },
    lists: RULESET.lists,
  })
})

test('modes climb one step at a time and fall freely, each segment by itself', () => {
  strictEqual(modeOfSegment(RULESET, 'b'), 'observe')
  strictEqual(modeOfSegment(RULESET, 'elsewhere'), 'flag')
  ok(stepProblem(RULESET, 'b', 'enforce')?.includes('one step at a time'))
  strictEqual(stepProblem(RULESET, 'b', 'flag'), null)
  strictEqual(stepProblem(RULESET, 'a', 'observe'), null)
  ok(stepProblem(RULESET, null, 'flag')?.includes('already'))
  deepStrictEqual([isClimb(RULESET, 'b', 'flag'), isClimb(RULESET, 'a', 'flag')], [true, false])
  deepStrictEqual(withMode(RULESET, 'b', 'flag', 4).segmentModes, { a: 'enforce', b: 'flag' })
  strictEqual(withMode(RULESET, null, 'enforce', 4).mode, 'enforce')
})

const LIMITS: PromotionLimits = {
  ...{ daysMin: 7, precisionMin: 0.5, alertsMin: 10, agreementMin: 0.99, skewShareMax: 0 },
}
const found = <Found>(what: Found) => ({ found: what, source: 'a test' })
const unknown = { found: null, why: 'nobody asked' } as const
const PASSED: PromotionEvidence = {
  days: found(7),
  precision: found({ alerts: 100, frauds: 90 }),
  agreement: found({ kind: 'stated', atLeast: 0.99 }),
  skew: found({ compared: 1_000, mismatches: 0 }),
  fairness: found({ rows: 900, isJudged: true, breaches: 0 }),
}

test('a promotion needs every gate; an unknown one is missing', () => {
  const missing = (change: Partial<PromotionEvidence>) =>
    missingOf(judgePromotion({ ...PASSED, ...change }, LIMITS)).map(({ gate }) => gate)
  deepStrictEqual(missing({}), [])
  deepStrictEqual(missing({ days: found(6.9) }), ['days'])
  deepStrictEqual(missing({ precision: found({ alerts: 9, frauds: 9 }) }), ['precision'])
  // Half of them were fraud, but so few cases may be coincidence.
  deepStrictEqual(missing({ precision: found({ alerts: 10, frauds: 6 }) }), ['precision'])
  deepStrictEqual(missing({ agreement: found({ kind: 'stated', atLeast: 0.98 }) }), ['agreement'])
  deepStrictEqual(missing({ skew: found({ compared: 1_000, mismatches: 1 }) }), ['skew'])
  deepStrictEqual(missing({ skew: found({ compared: 0, mismatches: 0 }) }), ['skew'])
  deepStrictEqual(missing({ fairness: found({ rows: 900, isJudged: true, breaches: 1 }) }), [
    'fairness',
  ])
  deepStrictEqual(missing({ fairness: found({ rows: 900, isJudged: false, breaches: 0 }) }), [
    'fairness',
  ])
  const nothing: PromotionEvidence = {
    ...{ days: unknown, precision: unknown, agreement: unknown, skew: unknown, fairness: unknown },
  }
  deepStrictEqual(missing(nothing), ['days', 'precision', 'agreement', 'skew', 'fairness'])
})

test('a measured agreement counts at the low end of its interval', () => {
  const agreed = (same: number, different: number) => {
    const agreement = found({ kind: 'live', same, different } as const)
    return missingOf(judgePromotion({ ...PASSED, agreement }, LIMITS)).length === 0
  }
  strictEqual(agreed(5_000, 0), true)
  // All of them, but too few to distinguish 99 % from 98 %.
  strictEqual(agreed(100, 0), false)
  strictEqual(agreed(9_900, 100), false)
})

test('every finding has a figure, a bound and a source, or a reason why it is unknown', () => {
  for (const finding of judgePromotion(PASSED, LIMITS)) {
    ok(/\d/.test(finding.figure), finding.figure)
    ok(findingText(finding).endsWith('(a test)'), findingText(finding))
    ok(findingText(finding).includes(`asked: ${finding.bound}`))
  }
  const [, , , skew] = judgePromotion({ ...PASSED, skew: unknown }, LIMITS)
  ok(skew !== undefined)
  strictEqual(findingText(skew), 'not known: nobody asked; asked: at most 0%')
})
