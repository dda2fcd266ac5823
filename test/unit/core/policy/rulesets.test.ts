// Goal: what is in force is named by what it is, changes one step at a time, and says what stands against a step.

import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import { loadRuleset } from '../../../../services/core/policy/loaded-ruleset.ts'
import { listText } from '../../../../services/core/policy/policy-lists.ts'
import {
  judgePromotion,
  missingOf,
  type PromotionEvidence,
  type PromotionLimits,
} from '../../../../services/core/policy/promotion-gates.ts'
import {
  modeOfSegment,
  readRuleset,
  rulesetText,
  textDigest,
  type Ruleset,
} from '../../../../services/core/policy/ruleset.ts'
import {
  isClimb,
  stepProblem,
  withEarlier,
  withMode,
  withPolicy,
} from '../../../../services/core/policy/ruleset-changes.ts'
import { HEAD, policyOf } from './policy-fixture.ts'

const LIST = listText({ name: 'l', entries: [] })
const RULESET: Ruleset = {
  version: 3,
  policy: textDigest(HEAD),
  mode: 'flag',
  segmentModes: { b: 'observe', a: 'enforce' },
  lists: { l: textDigest(LIST) },
  breakerResets: 2,
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

test('the next version of a policy keeps its modes, another policy begins anew; lists and resets stay', () => {
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
  deepStrictEqual([other.mode, other.segmentModes, other.breakerResets], ['observe', {}, 2])
  const { policy } = { policy: policyOf(HEAD) }
  strictEqual(withPolicy(null, null, { digest: 'd', document: policy }, 'flag', 1).mode, 'flag')
})

test('a rollback brings policy and modes back, and leaves the lists of now', () => {
  const earlier: Ruleset = { ...RULESET, version: 1, policy: null, mode: 'observe', lists: {} }
  deepStrictEqual(withEarlier(RULESET, earlier, 9), {
    ...{ version: 9, policy: null, mode: 'observe', segmentModes: earlier.segmentModes },
    ...{ lists: RULESET.lists, breakerResets: 2 },
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
const PASSED: PromotionEvidence = {
  days: 7,
  precision: { alerts: 100, frauds: 90 },
  agreementAtLeast: 0.99,
  skew: { compared: 1_000, mismatches: 0 },
  fairness: { judged: true, breaches: 0 },
}

test('a promotion needs every gate; what is not known is missing', () => {
  const missing = (change: Partial<PromotionEvidence>) =>
    missingOf(judgePromotion({ ...PASSED, ...change }, LIMITS)).map(({ gate }) => gate)
  deepStrictEqual(missing({}), [])
  deepStrictEqual(missing({ days: 6.9 }), ['days'])
  deepStrictEqual(missing({ precision: { alerts: 9, frauds: 9 } }), ['precision'])
  // Half of them were fraud, but so few cases may be chance.
  deepStrictEqual(missing({ precision: { alerts: 10, frauds: 6 } }), ['precision'])
  deepStrictEqual(missing({ agreementAtLeast: 0.98 }), ['agreement'])
  deepStrictEqual(missing({ skew: { compared: 1_000, mismatches: 1 } }), ['skew'])
  deepStrictEqual(missing({ skew: { compared: 0, mismatches: 0 } }), ['skew'])
  deepStrictEqual(missing({ fairness: { judged: true, breaches: 1 } }), ['fairness'])
  deepStrictEqual(missing({ fairness: { judged: false, breaches: 0 } }), ['fairness'])
  const nothing = {
    days: null,
    precision: null,
    agreementAtLeast: null,
    skew: null,
    fairness: null,
  }
  deepStrictEqual(missing(nothing), ['days', 'precision', 'agreement', 'skew', 'fairness'])
})
