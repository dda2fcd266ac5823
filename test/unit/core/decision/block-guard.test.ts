// Goal: no stream is blocked beyond the caps; how a stream is split into batches and where a crash falls changes
// nothing. Method: random streams with bursts and edges of buckets, against the definition written the obvious way.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  BlockGuard,
  type GuardedRuling,
  type GuardRules,
  type Ruled,
} from '../../../../services/core/decision/block-guard.ts'
import {
  breakerKey,
  BREAKERS_MAX,
  shareOfPartition,
} from '../../../../services/core/decision/breaker.ts'
import { holds } from '../../../support/property.ts'
import { BREAKER, ruled, RULES, run, START_MS } from './guard-fixture.ts'

const MINUTE_MS = 60_000
const DAY_MS = 86_400_000

interface Step {
  readonly gapMs: number
  readonly outcome: 'approve' | 'flag' | 'block'
  readonly amountMinor: number
  readonly segment: string | null
}

const gap = fc.oneof(
  fc.integer({ min: 0, max: 2_000 }),
  fc.constantFrom(0, 5_999, 6_000, 6_001, 59_999, MINUTE_MS, MINUTE_MS + 1, 600_000, DAY_MS),
)
const steps = fc.array(
  fc.record<Step>({
    gapMs: gap,
    outcome: fc.constantFrom('approve', 'flag', 'block', 'block'),
    amountMinor: fc.integer({ min: 0, max: 100_000 }),
    segment: fc.constantFrom(null, 'online'),
  }),
  { maxLength: 120 },
)

function streamOf(made: readonly Step[]): readonly Ruled[] {
  let timeMs = START_MS
  return made.map(({ gapMs, ...change }, index) => {
    timeMs += gapMs
    return ruled(index, timeMs, change)
  })
}

/** Most blocks in any minute, ends included, by comparing every pair. */
function mostInAMinute(stream: readonly Ruled[], settled: readonly GuardedRuling[]): number {
  const times = stream.filter((_, index) => settled[index]?.outcome === 'block')
  let most = 0
  for (const { partitionTimeMs: endMs } of times) {
    const within = times.filter(
      ({ partitionTimeMs }) => partitionTimeMs <= endMs && partitionTimeMs > endMs - MINUTE_MS,
    )
    most = Math.max(most, within.length)
  }
  return most
}

test('no minute of event time has more blocks than the cap, whatever comes and however often people reset', () => {
  holds(
    200,
    fc.property(steps, fc.array(fc.nat(119), { maxLength: 5 }), (made, resetsAt) => {
      const stream = streamOf(made)
      const guard = new BlockGuard(null)
      let breakerResets = 0
      const settled = stream.map((one, index) => {
        if (resetsAt.includes(index)) breakerResets += 1
        return guard.applyGuards(one, { ...RULES, breakers: RULES.breakers, breakerResets })
      })
      ok(mostInAMinute(stream, settled) <= 5)
    }),
  )
})

test('control: without the cap such streams do have more blocks in a minute', () => {
  const breakers = [{ ...BREAKER, blocksPerMinuteMax: null, trafficShareMax: 1, valueShareMax: 1 }]
  const stream = Array.from({ length: 50 }, (_, index) => ruled(index, START_MS + index))
  const settled = run(new BlockGuard(null), stream, { ...RULES, breakers })
  strictEqual(mostInAMinute(stream, settled), 50)
})

test('at no block is the share of traffic or of value above its cap, of little traffic as if it were the sample', () => {
  holds(
    200,
    fc.property(steps, (made) => {
      const stream = streamOf(made)
      const settled = run(new BlockGuard(null), stream, RULES)
      for (const [index, one] of stream.entries()) {
        if (settled[index]?.outcome !== 'block') continue
        // The window in whole buckets, as the contract defines it.
        const bucket = (timeMs: number): number => Math.floor(timeMs / 60_000)
        const inside = stream
          .slice(0, index + 1)
          .map((other, position) => ({ other, outcome: settled[position]?.outcome }))
          .filter(({ other }) => bucket(other.partitionTimeMs) > bucket(one.partitionTimeMs) - 10)
        const blocked = inside.filter(({ outcome }) => outcome === 'block')
        const sum = (of: typeof inside): number =>
          of.reduce((total, { other }) => total + other.amountMinor, 0)
        const least = Math.max(inside.length, BREAKER.sampleMin)
        ok(blocked.length <= 0.2 * least)
        ok(sum(blocked) <= 0.4 * sum(inside) * (least / inside.length) + 1e-6)
      }
    }),
  )
})

test('a stream that is cut anywhere, with a crash at each frontier, is settled as in one piece', () => {
  const rules: GuardRules = {
    ...RULES,
    breakers: [BREAKER, { ...BREAKER, segment: 'online', blocksPerMinuteMax: 2 }],
    alertsPerDayMax: 7,
    controlGroup: { share: 0.3, amountMaxMinor: 90_000, dayMaxMinor: 200_000 },
  }
  holds(
    200,
    fc.property(steps, fc.array(fc.nat(119), { maxLength: 8 }), (made, frontiers) => {
      const stream = streamOf(made)
      const whole = run(new BlockGuard(null), stream, rules)
      let guard = new BlockGuard(null)
      const pieces = stream.map((one, index) => {
        if (frontiers.includes(index)) guard = new BlockGuard(guard.encode())
        return guard.applyGuards(one, rules)
      })
      deepStrictEqual(pieces, whole)
    }),
  )
})

test('a tripped breaker makes flags of all blocks until a person resets it, and says so', () => {
  const guard = new BlockGuard(null)
  const burst = Array.from({ length: 8 }, (_, index) => ruled(index, START_MS))
  const first = run(guard, burst, RULES)
  deepStrictEqual(
    first.map(({ outcome }) => outcome),
    [...Array<string>(5).fill('block'), ...Array<string>(3).fill('flag')],
  )
  strictEqual(first[5]?.mark, 'breaker_open')
  deepStrictEqual(guard.takeTrips(), ['blocks_per_minute'])
  strictEqual(guard.openCount(RULES), 1)
  // An hour later there is room, and still it stays open.
  const later = ruled(9, START_MS + 3_600_000)
  strictEqual(guard.applyGuards(later, RULES).mark, 'breaker_open')
  const reset = { ...RULES, breakerResets: 1 }
  strictEqual(guard.applyGuards({ ...later, transactionId: 't10' }, reset).outcome, 'block')
  strictEqual(guard.openCount(reset), 0)
})

test('a breaker of a segment leaves the blocks of others alone', () => {
  const rules = { ...RULES, breakers: [{ ...BREAKER, segment: 'online', blocksPerMinuteMax: 1 }] }
  const guard = new BlockGuard(null)
  const inOnline = (index: number) => ruled(index, START_MS, { segment: 'online' })
  const settled = run(guard, [inOnline(0), inOnline(1), ruled(2, START_MS)], rules)
  deepStrictEqual(
    settled.map(({ outcome }) => outcome),
    ['block', 'flag', 'block'],
  )
})

test('a trip outlives a change of the limits, and a decision that publishes no block trips nothing', () => {
  const guard = new BlockGuard(null)
  const flags = Array.from({ length: 50 }, (_, index) => ruled(index, START_MS, { action: 'flag' }))
  strictEqual(
    run(guard, flags, RULES).every(({ outcome, mark }) => outcome === 'block' && mark === null),
    true,
  )
  run(
    guard,
    Array.from({ length: 6 }, (_, index) => ruled(index, START_MS)),
    RULES,
  )
  const other = { ...RULES, breakers: [{ ...BREAKER, blocksPerMinuteMax: 100, windowMs: 60_000 }] }
  const restored = new BlockGuard(guard.encode())
  strictEqual(restored.applyGuards(ruled(7, START_MS), other).mark, 'breaker_open')
})

test('shares of partitions add up to the whole', () => {
  holds(
    100,
    fc.property(fc.nat(10_000), fc.integer({ min: 1, max: 64 }), (total, count) => {
      const shares = Array.from({ length: count }, (_, partition) =>
        shareOfPartition(total, partition, count),
      )
      strictEqual(
        shares.reduce((sum, share) => sum + share, 0),
        total,
      )
    }),
  )
})

test('the control group lets through the same few on every run, within its money', () => {
  const controlGroup = { share: 0.1, amountMaxMinor: 5_000, dayMaxMinor: 20_000 }
  const rules: GuardRules = { ...RULES, breakers: [], controlGroup }
  const stream = Array.from({ length: 2_000 }, (_, index) =>
    ruled(index, START_MS, { amountMinor: index % 2 === 0 ? 1_000 : 6_000 }),
  )
  const settled = run(new BlockGuard(null), stream, rules)
  const through = stream.filter((_, index) => settled[index]?.mark === 'control_group')
  strictEqual(through.length, 20)
  ok(through.every(({ amountMinor }) => amountMinor === 1_000))
  ok(settled.every(({ outcome, mark }) => (mark === 'control_group') === (outcome === 'approve')))
  deepStrictEqual(run(new BlockGuard(null), stream, rules), settled)
  const [drawn] = through
  if (drawn === undefined) throw new Error('Nothing was let through.')
  const nextDay = { ...drawn, partitionTimeMs: START_MS + DAY_MS }
  const guard = new BlockGuard(null)
  run(guard, stream, rules)
  strictEqual(guard.applyGuards(nextDay, rules).mark, 'control_group')
  strictEqual(
    run(new BlockGuard(null), stream, { ...rules, controlGroup: null }).every(
      ({ outcome }) => outcome === 'block',
    ),
    true,
  )
})

test('of the flags by score alone those beyond the day of the analysts are let go; rules and breakers flag on', () => {
  const rules: GuardRules = { ...RULES, breakers: [], alertsPerDayMax: 3 }
  const guard = new BlockGuard(null)
  const flag = (index: number, change: Partial<Ruled> = {}) =>
    guard.applyGuards(ruled(index, START_MS, { outcome: 'flag', ...change }), rules)
  deepStrictEqual(
    [0, 1, 2, 3].map((index) => flag(index).outcome),
    ['flag', 'flag', 'flag', 'approve'],
  )
  strictEqual(flag(4).mark, 'over_capacity')
  deepStrictEqual(flag(5, { isByRule: true }), { outcome: 'flag', mark: null })
  strictEqual(flag(6, { partitionTimeMs: START_MS + DAY_MS }).outcome, 'flag')
})

test('without room for a lease a block is a flag, and counts as no block', () => {
  const guard = new BlockGuard(null)
  for (let index = 0; index < 20; index += 1) {
    deepStrictEqual(guard.applyGuards(ruled(index, START_MS, { hasRoom: false }), RULES), {
      outcome: 'flag',
      mark: 'leases_full',
    })
  }
  strictEqual(guard.applyGuards(ruled(21, START_MS), RULES).outcome, 'block')
})

test('the state of as many breakers as there may be, all at their largest, fits beside an offset', () => {
  const breakers = Array.from({ length: BREAKERS_MAX + 3 }, (_, index) => ({
    ...BREAKER,
    segment: `segment-${index}`,
    windowMs: 7 * DAY_MS,
    blocksPerMinuteMax: null,
    trafficShareMax: null,
    valueShareMax: null,
  }))
  const rules = { ...RULES, breakers, breakerResets: Number.MAX_SAFE_INTEGER }
  const bucket = ['zzzzzz', 'zzzzzz', 'z'.repeat(10), 'z'.repeat(10)].join('.')
  const newest = (bucketMs: number) => Math.floor((START_MS * 10) / bucketMs).toString(36)
  const minute = `${newest(6_000)}:${Array<string>(11).fill('zzzzzz').join(',')}`
  const shares = `${newest(60_480_000)}:${Array<string>(10).fill(bucket).join(',')}`
  const state = ['zzzzzz', minute, (7 * DAY_MS).toString(36), shares].join(';')
  const entries = breakers
    .slice(0, BREAKERS_MAX)
    .map(({ segment }) => `${breakerKey(segment)}=${state}`)
  const largest = Number.MAX_SAFE_INTEGER.toString(36)
  const text = `g1 ${[newest(DAY_MS), largest, largest].join('.')} ${entries.join(' ')}`
  ok(text.length < 4_000, `${text.length} characters`)
  const guard = new BlockGuard(text)
  strictEqual(guard.openCount({ ...rules, breakerResets: 0 }), BREAKERS_MAX)
  strictEqual(guard.encode(), text)
})

test('a text that is not ours begins anew', () => {
  for (const text of ['', 'g1', 'g2 1.2.3', 'g1 a.b all=;;;', 'g1 zz.1.1 all=%;1:%;q;1:2']) {
    const guard = new BlockGuard(text)
    strictEqual(guard.applyGuards(ruled(1, START_MS), RULES).outcome, 'block')
  }
})
