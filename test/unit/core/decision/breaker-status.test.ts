// Behaviour of a breaker with little traffic, and under a policy that lacks it.

import { deepStrictEqual, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { BlockGuard, type GuardRules } from '../../../../services/core/decision/block-guard.ts'
import { BREAKER, ruled, RULES, run, START_MS } from './guard-fixture.ts'

test('a partition with little traffic is capped, too: a model that blocks everything trips the breaker', () => {
  const breakers = [{ ...BREAKER, windowMs: 3_600_000, blocksPerMinuteMax: 60, sampleMin: 1_000 }]
  const day = Array.from({ length: 24 * 600 }, (_, index) => ruled(index, START_MS + index * 6_000))
  const settled = run(new BlockGuard(null), day, { ...RULES, breakers })
  const blocked = settled.filter(({ outcome }) => outcome === 'block').length
  ok(blocked > 0 && blocked <= 0.2 * 1_000, `${blocked} blocked`)
})

test('a trip outlives a policy without the breaker, and a crash under it', () => {
  const guard = new BlockGuard(null)
  run(
    guard,
    Array.from({ length: 8 }, (_, index) => ruled(index, START_MS)),
    RULES,
  )
  const others: GuardRules = { ...RULES, breakers: [{ ...BREAKER, segment: 'online' }] }
  guard.applyGuards(ruled(8, START_MS), others)
  const later = new BlockGuard(guard.encode())
  later.applyGuards(ruled(9, START_MS), others)
  const again = later.applyGuards(ruled(10, START_MS + 3_600_000), RULES)
  deepStrictEqual(again, { outcome: 'flag', mark: 'breaker_open' })
})
