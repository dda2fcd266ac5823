// The contract of docs/feature-contract.md: retries, duplicates and late transactions. Each test is named by one of its
// sentences.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FEATURES } from '../../../../../services/core/features/catalogue/feature-list.ts'
import { DAY_MS, HOUR_MS } from '../../../../support/feature-streams.ts'
import { idsInOrder, Story } from '../../../../support/story.ts'

const START_MS = 100 * DAY_MS

test('A transaction is a retry when an attempt of the same intent comes before it by at most a day.', () => {
  const marksAfter = (gapMs: number, intentId: string | null = 'i'): readonly string[] => {
    const story = new Story()
    story.pay({ atMs: START_MS, intentId })
    return story.pay({ atMs: START_MS + gapMs, intentId }).annotations
  }
  assert.deepEqual(
    [1, DAY_MS].map((gapMs) => marksAfter(gapMs)),
    [['retry'], ['retry']],
  )
  assert.deepEqual(marksAfter(DAY_MS + 1), [])
  assert.deepEqual(marksAfter(1, null), [], 'no intent is not an intent')
  const chain = new Story()
  const [, , last] = chain.payAt(
    [0, 0.6, 1.2].map((days) => START_MS + days * DAY_MS),
    {
      intentId: 'i',
    },
  )
  assert.deepEqual(last?.annotations, ['retry'], 'of an attempt that is a retry itself')
})

test('A retry counts as an attempt and not as a payment.', () => {
  const story = new Story()
  story.pay({ atMs: START_MS, intentId: 'i', terminal: 't', amountMinor: 100 })
  const retry = story.pay({ atMs: START_MS + 1, intentId: 'i', terminal: 't', amountMinor: 900 })
  assert.deepEqual(retry.values('card_count_1h', 'card_attempts_1h', 'card_sum_1h'), [1, 2, 1])
  const next = story.pay({ atMs: START_MS + 2, amountMinor: 100 })
  const names = ['card_count_1h', 'card_attempts_1h', 'card_amount_maximum_30d'] as const
  assert.deepEqual(next.values(...names), [2, 3, 1])
  const weekLater = story.pay({ atMs: START_MS + 7 * DAY_MS + 2, terminal: 't' })
  assert.equal(weekLater.value('terminal_count_1d'), 2, 'attempts count at entities')
})

test("The id of an event that is not older than 3 days before the card's newest event makes another transaction of that id a duplicate.", () => {
  const marksAt = (newestAfterMs: number): readonly string[] => {
    const story = new Story()
    story.pay({ atMs: START_MS, id: 'same' })
    story.pay({ atMs: START_MS + newestAfterMs })
    return story.pay({ atMs: START_MS + 20 * DAY_MS, id: 'same' }).annotations
  }
  assert.deepEqual([3 * DAY_MS, 3 * DAY_MS + 1].map(marksAt), [['duplicate'], []])
})

test('A duplicate gets the first outcome again, no feature row, and changes nothing but how far its partition has come.', () => {
  const story = new Story()
  const first = story.pay({ atMs: START_MS, id: 'same', terminal: 't' })
  story.states[0]?.card('card').setOutcome(0, 2)
  const again = story.pay({ atMs: START_MS + HOUR_MS, id: 'same', terminal: 't' })
  assert.deepEqual([again.folded.duplicateOf, again.folded.duplicateOutcome], [0, 2])
  assert.ok(again.isEmpty && !first.isEmpty)
  assert.equal(story.pay({ atMs: START_MS + HOUR_MS + 1 }).value('card_attempts_1h'), 1)
  const weekLater = story.pay({ atMs: START_MS + 7 * DAY_MS + HOUR_MS, terminal: 't' })
  assert.equal(weekLater.value('terminal_count_1d'), 1)
  const far = new Story()
  far.pay({ atMs: START_MS, id: 'same' })
  far.pay({ atMs: START_MS + 3 * DAY_MS + 1, id: 'same' })
  assert.deepEqual(far.pay({ atMs: START_MS, card: 'other', terminal: 't' }).annotations, [
    'expired',
  ])
})

test('A corrected transaction needs a new id: the same id with other content is a duplicate.', () => {
  const story = new Story()
  story.pay({ atMs: START_MS, id: 'same', amountMinor: 100 })
  const other = { atMs: START_MS + 1, amountMinor: 200, merchant: 'm' }
  assert.deepEqual(story.pay({ ...other, id: 'same' }).annotations, ['duplicate'])
  assert.deepEqual(story.pay({ ...other, id: 'new' }).annotations, [])
})

test('A transaction that comes before an event of its card which is held already is marked late.', () => {
  const story = new Story()
  story.pay({ atMs: START_MS })
  assert.deepEqual(story.pay({ atMs: START_MS - 1 }).annotations, ['late'])
  assert.deepEqual(story.pay({ atMs: START_MS - 1, card: 'other' }).annotations, [])
  assert.deepEqual(story.pay({ atMs: START_MS + 1 }).annotations, [])
})

test('A late transaction lands in its place and counts for those after it.', () => {
  const story = new Story()
  story.pay({ atMs: START_MS, intentId: 'i' })
  story.pay({ atMs: START_MS - HOUR_MS, amountMinor: 700, intentId: 'i', merchant: 'm' })
  const next = story.pay({ atMs: START_MS + HOUR_MS, merchant: 'm' })
  const names = ['card_merchant_seconds_since_last', 'card_amount_maximum_30d', 'card_count_1d']
  assert.deepEqual(next.values(...names), [7_200, 7, 2], 'and makes a retry of the one after it')
})

test("A transaction more than 3 days behind its card's newest event, or 37 days behind its partition's, is decided, marked behind_reach, and changes no state.", () => {
  const story = new Story()
  story.pay({ atMs: START_MS })
  const names = { terminal: 't' }
  assert.deepEqual(story.pay({ atMs: START_MS - 3 * DAY_MS }).annotations, ['late'])
  const behind = story.pay({ atMs: START_MS - 3 * DAY_MS - 1, ...names })
  assert.deepEqual(behind.annotations, ['late', 'behind_reach', 'expired'])
  assert.equal(behind.value('card_count_1d'), 1, 'decided')
  const card = 'other'
  const inTime = story.pay({ atMs: START_MS - 37 * DAY_MS, card, ...names })
  assert.ok(!inTime.annotations.includes('behind_reach'))
  const outOfReach = story.pay({ atMs: START_MS - 37 * DAY_MS - 1, card, ...names })
  assert.ok(outOfReach.annotations.includes('behind_reach'))
  const [state] = story.states
  assert.deepEqual([state?.card('card').count, state?.card(card).count], [2, 1])
})

test("A card's window that begins more than 33 days and an hour before its newest event has the state expired and no value; so have entity windows of a transaction more than 3 days behind its partition.", () => {
  const story = new Story()
  story.pay({ atMs: START_MS })
  const kept = 33 * DAY_MS + HOUR_MS
  const edge = story.pay({ atMs: START_MS - kept + 30 * DAY_MS })
  assert.equal(edge.state('card_count_30d'), 'present')
  const past = story.pay({ atMs: START_MS - kept + 30 * DAY_MS - 1 })
  assert.deepEqual(
    ['card_count_30d', 'card_count_ratio_1d_30d', 'card_just_under_limit_7d'].map((name) => [
      past.state(name),
      past.value(name),
    ]),
    [1, 2, 3].map(() => ['expired', NaN]),
  )
  assert.equal(past.state('card_count_7d'), 'present')
  const stateAt = (behindMs: number): string =>
    story
      .pay({ atMs: START_MS - behindMs, terminal: 't', card: `${behindMs}` })
      .state('terminal_count_1d')
  assert.deepEqual([3 * DAY_MS, 3 * DAY_MS + 1].map(stateAt), ['present', 'expired'])
})

test('A transaction that comes after a watermark that excluded it counts for its card and for no entity.', () => {
  const story = new Story()
  story.watermark(START_MS)
  const names = { terminal: 't' }
  const annotations = [START_MS, START_MS + 1].map(
    (atMs) => story.pay({ atMs, ...names }).annotations,
  )
  assert.deepEqual(annotations, [['after_watermark'], []])
  const weekLater = story.pay({ atMs: START_MS + 7 * DAY_MS + 1, ...names })
  assert.deepEqual(weekLater.values('card_attempts_1h', 'card_count_30d'), [1, 3])
  assert.equal(weekLater.value('terminal_count_1d'), 1)
})

test('A transaction out of order recomputes the later decisions of its card that may change: of the 64 newest events, those at most 3 days older than what its partition has met before, each at most 32 times.', () => {
  const story = new Story()
  story.payAt([0, 1, 2].map((days) => START_MS + days * DAY_MS))
  story.pay({ atMs: START_MS + 3 * DAY_MS + 1 })
  const late = story.pay({ atMs: START_MS + 1.5 * DAY_MS })
  const byOffset = late.recomputed.map(({ offset, revision }) => [offset, revision])
  assert.deepEqual(byOffset, [
    [2, 1],
    [3, 1],
  ])
  const [change] = late.recomputed
  const count = FEATURES.findIndex(({ name }) => name === 'card_count_1d')
  assert.deepEqual([change?.before.row[count], change?.after.row[count]], [1, 2])
  const oldest = story.pay({ atMs: START_MS + DAY_MS - 1 })
  assert.deepEqual(
    oldest.recomputed.map(({ offset }) => offset),
    [1, 4, 2, 3],
    'the first is more than 3 days before the newest',
  )

  const [low = '', high = ''] = idsInOrder(2)
  const edge = new Story()
  edge.pay({ atMs: START_MS, id: high })
  edge.pay({ atMs: START_MS + 3 * DAY_MS })
  const before = edge.pay({ atMs: START_MS, id: low })
  assert.deepEqual(
    before.recomputed.map(({ offset }) => offset),
    [0, 1],
    'exactly 3 days before the newest is within them',
  )
  const ahead = new Story()
  ahead.pay({ atMs: START_MS, id: high })
  ahead.pay({ atMs: START_MS + 3 * DAY_MS + 1, card: 'card-2' })
  assert.deepEqual(ahead.pay({ atMs: START_MS, id: low }).recomputed, [], 'another card is further')

  const many = new Story()
  many.payAt(Array.from({ length: 70 }, (_, index) => START_MS + index))
  assert.equal(many.pay({ atMs: START_MS - 1 }).recomputed.length, 64)

  const often = new Story()
  often.pay({ atMs: START_MS })
  const revisions = Array.from(
    { length: 34 },
    (_, index) =>
      often.pay({ atMs: START_MS - 1 - index }).recomputed.find(({ offset }) => offset === 0)
        ?.revision,
  )
  assert.deepEqual(revisions.slice(30), [31, 32, undefined, undefined])
})

test("The order in which a card's transactions arrive, within these limits, changes no final card feature.", () => {
  const story = new Story()
  const times = [5, 3, 4, 1, 2].map((hours) => START_MS + hours * HOUR_MS)
  const final = new Map<string, number>()
  const count = FEATURES.findIndex(({ name }) => name === 'card_count_1d')
  for (const atMs of times) {
    const told = story.pay({ atMs, id: `${atMs}` })
    final.set(told.transaction.id, told.value('card_count_1d'))
    for (const { transaction, after } of told.recomputed) {
      final.set(transaction.id, after.row[count] ?? NaN)
    }
  }
  assert.deepEqual(
    times.map((atMs) => final.get(`${atMs}`)),
    [5, 3, 4, 1, 2],
  )
})
