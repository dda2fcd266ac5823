// The contract of docs/feature-contract.md: visibility. Each test is named by one of its sentences.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rowsInBatches, rowsOneByOne } from '../../../../support/batched-partition.ts'
import {
  DAY_MS,
  HOUR_MS,
  itemsOf,
  MINUTE_MS,
  stepsOf,
} from '../../../../support/feature-streams.ts'
import { logsOf, StoredPartition, StoredPartitions } from '../../../../support/stored-partitions.ts'
import { idsInOrder, Story } from '../../../../support/story.ts'
import fc from 'fast-check'

test('A transaction sees only events with a smaller offset in its own partition.', () => {
  const story = new Story()
  const terminal = 'terminal'
  const transactions = [0, 1, 2, 8 * DAY_MS].map(
    (atMs) => story.pay({ atMs, terminal }).transaction,
  )
  const items = transactions.map((transaction) => ({ kind: 'transaction' as const, transaction }))
  const [log] = logsOf(items, 1, () => 0)
  assert.ok(log !== undefined)
  const partition = new StoredPartition(new StoredPartitions(1), 0, log)
  const first = partition.step({ entryCount: 4, labelCount: 0 })
  partition.crash()
  // Everything is in the state now, but only earlier events are visible.
  assert.deepEqual(partition.step({ entryCount: 4, labelCount: 0 }), first)
})

test('A transaction sees of another partition only events below the frontier.', () => {
  const story = new Story(2)
  const terminal = 'terminal'
  story.payAt([0, 1, 2], { terminal, partition: 1, card: 'other' })
  const [own] = story.states
  assert.ok(own !== undefined)
  const countAt = (nextOffset: number): number => {
    own.frontiers = [null, { nextOffset, labelNextOffset: 0 }]
    return story.pay({ atMs: 7 * DAY_MS + 10, terminal }).value('terminal_count_1d')
  }
  assert.deepEqual([0, 1, 3].map(countAt), [0, 1, 3])
  own.frontiers = [null, null]
  assert.equal(story.pay({ atMs: 7 * DAY_MS + 10, terminal }).value('terminal_count_1d'), 0)
})

test('Events are ordered by event time, and events of one moment by the reference of the transaction id.', () => {
  const ids = idsInOrder(3)
  const [low = '', middle = '', high = ''] = ids
  const story = new Story()
  story.pay({ atMs: 0, id: high, merchant: 'last of its moment' })
  story.pay({ atMs: 0, id: low, merchant: 'first of its moment' })
  const now = story.pay({ atMs: 0, id: middle })
  assert.equal(now.value('card_attempts_1h'), 2, 'only the first comes before')
  const later = story.pay({ atMs: 10_000, merchant: 'last of its moment' })
  assert.equal(later.value('card_merchant_seconds_since_last'), 10)
  assert.equal(later.value('card_attempts_1h'), 4)
})

test('A card feature counts only events that come before the transaction in that order.', () => {
  const story = new Story()
  story.payAt([MINUTE_MS, 2 * MINUTE_MS, 3 * MINUTE_MS])
  const between = story.pay({ atMs: 2.5 * MINUTE_MS })
  assert.equal(between.value('card_count_1d'), 3)
  assert.equal(between.value('card_seconds_since_last'), 30)
})

test('A late transaction does not see what happened after it.', () => {
  const story = new Story()
  story.pay({ atMs: HOUR_MS, amountMinor: 100 })
  story.pay({ atMs: DAY_MS, amountMinor: 90_000, merchant: 'after' })
  const late = story.pay({ atMs: 2 * HOUR_MS, amountMinor: 100, merchant: 'after' })
  assert.deepEqual(late.annotations, ['late'])
  assert.equal(late.value('card_amount_maximum_30d'), 1)
  assert.ok(Number.isNaN(late.value('card_merchant_is_new')), 'nobody has named a merchant yet')
})

test('How a stream is cut into batches changes no feature.', () => {
  const [steps] = fc.sample(stepsOf({ stepsMin: 60, stepsMax: 60, cards: 2, terminals: 2 }), {
    numRuns: 1,
    seed: 3,
  })
  assert.ok(steps !== undefined)
  const [log] = logsOf(itemsOf(steps), 1, () => 0)
  assert.ok(log !== undefined)
  const expected = rowsOneByOne(log)
  for (const entries of [1, 7, 60]) {
    const plan = [{ entries, labelsAhead: 0, end: 'commit', evicts: true }] as const
    const rows = rowsInBatches(log, plan)
    for (const row of expected) assert.deepEqual(rows.get(row.offset), row, `${entries} at a time`)
  }
})
