// Goal: the blocks are those of the newest revisions while their leases run. Method: by hand, and against a plain model
// that keeps every alert and evaluates all of them each time.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ActiveBlocks, type ActiveBlocksOptions } from '../../../services/core/active-blocks.ts'
import type { Alert } from '../../../services/core/wire/records.ts'
import { holds } from '../../support/property.ts'
import { minimalAlert } from './wire/samples.ts'

function open(more: Partial<ActiveBlocksOptions> = {}): ActiveBlocks {
  return new ActiveBlocks({
    blocksMax: 1_000,
    leaseMsMax: 300,
    isNeverBlocked: () => false,
    ...more,
  })
}

function alertOf(
  alertId: string,
  revision: number,
  action: Alert['action'],
  endMs: number | null,
  card = 'c',
): Alert {
  const lease = endMs === null ? null : { grade: 'suspected' as const, startMs: 0, endMs }
  return { ...minimalAlert, alertId, revision, action, card, lease, eventTimeMs: 0, decidedAtMs: 0 }
}

const APPLIED = { status: 'applied', reason: null }

test('a block holds until the first millisecond of its end, and ends by itself', () => {
  const blocks = open()
  assert.deepEqual(blocks.apply(alertOf('a', 0, 'block', 100), 10), APPLIED)
  assert.equal(blocks.blockOf('c', 99)?.alertId, 'a')
  assert.equal(blocks.blockOf('c', 100), null)
  assert.equal(blocks.blockOf('d', 50), null)
  blocks.sweep(100)
  assert.equal(blocks.size, 0)
})

test('a block whose lease is over comes too late', () => {
  const blocks = open()
  const late = { status: 'too_late', reason: 'lease_over' }
  assert.deepEqual(blocks.apply(alertOf('a', 0, 'block', 100), 100), late)
  assert.equal(blocks.size, 0)
  // The same holds for a release of a block that has ended by itself.
  blocks.apply(alertOf('b', 0, 'block', 200), 100)
  assert.deepEqual(blocks.apply(alertOf('b', 1, 'release', null), 200), late)
})

test('a release, a flag or an earlier end let go; an old revision does not block again', () => {
  for (const [action, endMs] of [
    ['release', null],
    ['flag', null],
    ['block', 20],
  ] as const) {
    const blocks = open()
    blocks.apply(alertOf('a', 0, 'block', 100), 10)
    blocks.apply(alertOf('a', 1, action, endMs), 15)
    assert.equal(blocks.blockOf('c', 20), null, action)
    const again = blocks.apply(alertOf('a', 0, 'block', 100), 16)
    assert.deepEqual(again, { status: 'too_late', reason: 'superseded' }, action)
    assert.equal(blocks.blockOf('c', 20), null, action)
  }
})

test('a later end holds longer, and another alert of the card keeps it blocked', () => {
  const blocks = open()
  blocks.apply(alertOf('a', 0, 'block', 100), 0)
  blocks.apply(alertOf('b', 0, 'block', 150), 0)
  blocks.apply(alertOf('a', 1, 'block', 300), 0)
  assert.equal(blocks.blockOf('c', 120)?.alertId, 'a')
  blocks.apply(alertOf('a', 2, 'release', null), 120)
  assert.equal(blocks.blockOf('c', 120)?.alertId, 'b')
  assert.deepEqual(
    blocks.list(120, 10).map(({ alertId }) => alertId),
    ['b'],
  )
})

test('what this enforcer never blocks, has no room for, or that has no lease is refused', () => {
  const never = open({ isNeverBlocked: (card) => card === 'vip' })
  assert.equal(never.apply(alertOf('a', 0, 'block', 100, 'vip'), 0)?.reason, 'card_never_blocked')
  assert.equal(never.apply(alertOf('a', 0, 'block', null), 0)?.reason, 'no_lease')
  const small = open({ blocksMax: 1 })
  small.apply(alertOf('a', 0, 'block', 100), 0)
  assert.equal(small.apply(alertOf('b', 0, 'block', 100), 50)?.reason, 'no_room')
  assert.equal(small.blockOf('c', 50)?.alertId, 'a')
  // Ended blocks make room.
  assert.deepEqual(small.apply(alertOf('b', 0, 'block', 200), 100), APPLIED)
})

test('a flag that never was a block needs no answer', () => {
  assert.equal(open().apply(alertOf('a', 0, 'flag', null), 0), null)
})

const steps = fc.array(
  fc.record({
    alertId: fc.constantFrom('a', 'b', 'c'),
    revision: fc.integer({ min: 0, max: 4 }),
    action: fc.constantFrom('block' as const, 'release' as const, 'flag' as const),
    endMs: fc.integer({ min: -10, max: 300 }),
    gapMs: fc.integer({ min: 0, max: 40 }),
  }),
  { maxLength: 40 },
)

test('a card is blocked when the newest revision of one of its alerts is a block that runs, in whatever order they came', () => {
  holds(
    1_000,
    fc.property(steps, (list) => {
      const blocks = open()
      const newest = new Map<string, Alert>()
      let nowMs = 0
      for (const { alertId, revision, action, endMs, gapMs } of list) {
        nowMs += gapMs
        const card = alertId === 'c' ? 'other' : 'card'
        const alert = alertOf(alertId, revision, action, action === 'block' ? endMs : null, card)
        blocks.apply(alert, nowMs)
        blocks.sweep(nowMs)
        const before = newest.get(alertId)
        if (before === undefined || before.revision <= revision) newest.set(alertId, alert)
        for (const each of ['card', 'other']) {
          const isBlocked = [...newest.values()].some(
            (known) => known.card === each && blockEnd(known) > nowMs,
          )
          assert.equal(blocks.blockOf(each, nowMs) !== null, isBlocked)
        }
      }
    }),
  )
})

function blockEnd({ action, lease }: Alert): number {
  return action === 'block' ? (lease?.endMs ?? 0) : 0
}
