// What a card forgets, and when: only what is committed, and only what no rule asks for any more.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CardEvent } from '../../../../../services/core/features/state/card-event.ts'
import { COLUMN, FLAG } from '../../../../../services/core/features/state/card-columns.ts'
import { CardHistory } from '../../../../../services/core/features/state/card-history.ts'
import { CARD_RAW_MAX } from '../../../../../services/core/features/state/card-limits.ts'
import { DAY_MS, HOUR_MS, STREAM_START_MS } from '../../../../support/feature-streams.ts'
import { PLAIN_EVENT } from '../plain-event.ts'

const START_MS = STREAM_START_MS

function add(history: CardHistory, fields: Partial<CardEvent>): void {
  const event = { ...PLAIN_EVENT, idHash: (fields.offset ?? 0) + 1, ...fields }
  history.insert(event, history.isRetry(event.timeMs, event.idHash, event.intentHash))
}

function offsetsOf(history: CardHistory): readonly number[] {
  return Array.from({ length: history.count }, (_, index) => history.at(index, COLUMN.offset))
}

function merged(history: CardHistory): number {
  return history.buckets.reduce((sum, { attempts }) => sum + attempts, 0)
}

test('as many committed events stay single as count singly, whatever is not committed', () => {
  const history = new CardHistory()
  const committed = CARD_RAW_MAX + 20
  for (let offset = 0; offset < committed; offset += 1) {
    add(history, { timeMs: START_MS + HOUR_MS + offset, offset })
  }
  add(history, { timeMs: START_MS + DAY_MS, offset: committed })
  add(history, { timeMs: START_MS, offset: committed + 1 })
  history.compact(committed, 0)
  assert.equal(merged(history), 20)
  assert.equal(history.count, CARD_RAW_MAX + 2)
  assert.deepEqual(offsetsOf(history).slice(0, 2), [committed + 1, 20])
})

test('what is not committed is neither settled nor out of reach, and makes nothing else so', () => {
  const history = new CardHistory()
  for (const [offset, days] of [0, 1, 3].entries()) {
    add(history, { timeMs: START_MS + days * DAY_MS, offset })
  }
  add(history, { timeMs: START_MS + 50 * DAY_MS, offset: 3 })
  history.compact(3, 0)
  assert.deepEqual([history.finalisedCount, history.count], [0, 4])
  history.compact(4, 0)
  assert.deepEqual([history.finalisedCount, history.count], [0, 1])
  const other = new CardHistory()
  add(other, { timeMs: START_MS, offset: 0 })
  add(other, { timeMs: START_MS + 1, offset: 2 })
  add(other, { timeMs: START_MS + 5 * DAY_MS, offset: 1 })
  other.compact(2, 0)
  assert.deepEqual(offsetsOf(other), [-1, 2, 1])
})

test('dropping an attempt after a crash unmarks no retry that another attempt made one', () => {
  const history = new CardHistory()
  add(history, { timeMs: START_MS, offset: 0, intentHash: 7 })
  add(history, { timeMs: START_MS + HOUR_MS, offset: 1, intentHash: 7 })
  add(history, { timeMs: START_MS + 4 * DAY_MS + 1, offset: 2 })
  history.compact(3, 0)
  assert.deepEqual(offsetsOf(history), [-1, 1, 2], 'the first of the intent is settled')
  add(history, { timeMs: START_MS + 4 * DAY_MS + 2, offset: 3, intentHash: 7 })
  history.forgetFrom(3)
  assert.equal(history.at(1, COLUMN.flags) & FLAG.retry, FLAG.retry)
})

test('dropping an attempt after a crash unmarks what only it made a retry', () => {
  const history = new CardHistory()
  add(history, { timeMs: START_MS + DAY_MS, offset: 0, intentHash: 7 })
  add(history, { timeMs: START_MS, offset: 1, intentHash: 7 })
  assert.equal(history.at(1, COLUMN.flags) & FLAG.retry, FLAG.retry, 'a day later is in time')
  history.forgetFrom(1)
  assert.equal(history.at(0, COLUMN.flags) & FLAG.retry, 0)
  add(history, { timeMs: START_MS - 1, offset: 1, intentHash: 7 })
  assert.equal(history.at(1, COLUMN.flags) & FLAG.retry, 0, 'a millisecond more is not')
})
