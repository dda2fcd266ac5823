import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  GuardedPolicy,
  type GuardSettings,
} from '../../../../services/core/backtest/guarded-policy.ts'
import { BEGIN_MS, DAY_MS, policyAt, backtestRow } from '../../../support/backtest-rows.ts'

const HOUR_MS = 3_600_000
const NOTHING: GuardSettings['document'] = {
  breakers: [],
  controlGroup: null,
  alertsPerDayMax: null,
}

function guarded(document: Partial<GuardSettings['document']>): GuardedPolicy {
  const settings = { document: { ...NOTHING, ...document }, digest: 'ab', resetAfterMs: HOUR_MS }
  return new GuardedPolicy(() => policyAt(0.9), settings)
}

function row(index: number, timeMs: number, score = 1) {
  return backtestRow({ id: `tx-${index}`, eventTimeMs: timeMs }, score, 'approve')
}

const BREAKER = {
  segment: null,
  windowMs: 60_000,
  blocksPerMinuteMax: 3,
  trafficShareMax: null,
  valueShareMax: null,
  sampleMin: 1,
}

test('a tripped breaker turns blocks into flags until it is reset', () => {
  const policy = guarded({ breakers: [BREAKER] })
  const outcomes = Array.from({ length: 6 }, (_, at) => policy.decide(row(at, BEGIN_MS + at)))
  deepStrictEqual(
    outcomes.map(({ outcome }) => outcome),
    ['block', 'block', 'block', 'flag', 'flag', 'flag'],
  )
  deepStrictEqual(outcomes[3]?.annotations, ['breaker_open'])
  strictEqual(policy.trips, 1)
  // The minute is over, but nobody has reset the breaker.
  strictEqual(policy.decide(row(6, BEGIN_MS + HOUR_MS / 2)).outcome, 'flag')
  strictEqual(policy.decide(row(7, BEGIN_MS + HOUR_MS + 10)).outcome, 'block')
  strictEqual(policy.trips, 1)
})

test('flags by the score alone stop at the daily budget', () => {
  // Flags by rules may exceed the budget, so this policy names none.
  const plain = policyAt(0.9)
  const byScore = {
    ...plain,
    rule: (of: Parameters<typeof plain.rule>[0]) => ({
      ...plain.rule(of),
      rules: [],
    }),
  }
  const document = { ...NOTHING, alertsPerDayMax: 2 }
  const policy = new GuardedPolicy(() => byScore, { document, digest: 'ab', resetAfterMs: HOUR_MS })
  const ruled = [0, 1, 2].map((at) => policy.decide(row(at, BEGIN_MS + at, 0.5)))
  deepStrictEqual(
    ruled.map(({ outcome, annotations }) => [outcome, ...annotations]),
    [['flag'], ['flag'], ['approve', 'over_capacity']],
  )
  strictEqual(policy.decide(row(3, BEGIN_MS + DAY_MS, 0.5)).outcome, 'flag')
})

test('a share of the blocks passes as control group, the same each time', () => {
  const controlGroup = { share: 0.3, amountMaxMinor: 1_000, dayMaxMinor: 1_000_000 }
  const run = (): readonly string[] => {
    const policy = guarded({ controlGroup })
    return Array.from({ length: 400 }, (_, at) => policy.decide(row(at, BEGIN_MS + at)).outcome)
  }
  const first = run()
  const through = first.filter((outcome) => outcome === 'approve').length
  ok(through > 60 && through < 180, `${through} of 400`)
  deepStrictEqual(run(), first)
})

test('without settings rulings apply unchanged', () => {
  const policy = new GuardedPolicy(() => policyAt(0.9), null)
  for (let at = 0; at < 100; at += 1) strictEqual(policy.decide(row(at, BEGIN_MS)).outcome, 'block')
  strictEqual(policy.trips, 0)
})
