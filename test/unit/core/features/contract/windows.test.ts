// The contract of docs/feature-contract.md: windows. Each test is named by one of its sentences.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FEATURES } from '../../../../../services/core/features/catalogue/feature-list.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../../support/feature-streams.ts'
import { idsInOrder, Story, type Told } from '../../../../support/story.ts'

const START_MS = 100 * DAY_MS

const CARD_COUNTS = [
  ['card_count_1m', MINUTE_MS],
  ['card_count_10m', 10 * MINUTE_MS],
  ['card_count_1h', HOUR_MS],
  ['card_count_1d', DAY_MS],
  ['card_count_7d', 7 * DAY_MS],
  ['card_count_30d', 30 * DAY_MS],
] as const

const ENTITY_COUNTS = [
  ['terminal_count_1d', 7 * DAY_MS, DAY_MS],
  ['terminal_count_7d', 7 * DAY_MS, 7 * DAY_MS],
  ['terminal_count_30d', 7 * DAY_MS, 30 * DAY_MS],
  ['terminal_distinct_cards_1d', 2 * HOUR_MS, DAY_MS],
  ['merchant_count_1d', 2 * HOUR_MS, DAY_MS],
  ['merchant_distinct_cards_1d', 2 * HOUR_MS, DAY_MS],
  ['device_distinct_cards_1d', 2 * HOUR_MS, DAY_MS],
  ['network_count_1h', 2 * HOUR_MS, HOUR_MS],
  ['network_distinct_cards_1d', 2 * HOUR_MS, DAY_MS],
] as const

/** One earlier event of this age, and the features that a transaction sees then. */
function withOneOfAge(ageMs: number, id = 'later'): Told {
  const story = new Story()
  const names = { terminal: 't', merchant: 'm', device: 'd', ipNetwork: 'n' }
  story.pay({ atMs: START_MS - ageMs, id: 'earlier', card: 'card', ...names })
  return story.pay({ atMs: START_MS, id, ...names })
}

/** As many events as are stored singly in the day before `atMs`, a minute apart. */
function crowd(story: Story, count: number, fromMs: number, stepMs: number): void {
  story.payAt(Array.from({ length: count }, (_, index) => fromMs + index * stepMs))
}

test('A card window of length w is (t - w, t].', () => {
  for (const [name, windowMs] of CARD_COUNTS) {
    const definition = FEATURES.find((each) => each.name === name)
    assert.deepEqual([definition?.windowMs, definition?.delayMs], [windowMs, 0], name)
    assert.equal(withOneOfAge(windowMs / 2).value(name), 2, name)
    assert.equal(withOneOfAge(windowMs).value(name), 1, name)
  }
})

test('An event exactly w old is outside, one a millisecond younger is inside.', () => {
  for (const [name, windowMs] of CARD_COUNTS) {
    const seen = [windowMs - 1, windowMs, windowMs + 1].map((ageMs) =>
      withOneOfAge(ageMs).value(name),
    )
    assert.deepEqual(seen, [2, 1, 1], name)
  }
})

test('An event of the same moment counts when it comes before in the order of references.', () => {
  const [low = '', high = ''] = idsInOrder(2)
  for (const [id, other, count] of [
    [high, low, 2],
    [low, high, 1],
  ] as const) {
    const story = new Story()
    story.pay({ atMs: 0, id: other })
    assert.equal(story.pay({ atMs: 0, id }).value('card_count_1m'), count)
  }
})

test('An entity window of length w and delay d is (t - d - w, t - d].', () => {
  for (const [name, delayMs, windowMs] of ENTITY_COUNTS) {
    const ages = [delayMs - 1, delayMs, delayMs + windowMs - 1, delayMs + windowMs]
    const seen = ages.map((ageMs) => withOneOfAge(ageMs).value(name))
    assert.deepEqual(seen, [0, 1, 1, 0], name)
  }
})

test('The transaction itself counts where its feature says so, and never in an entity window.', () => {
  const story = new Story()
  const names = { terminal: 't', merchant: 'm', device: 'd', ipNetwork: 'n', country: 'DE' }
  const first = story.pay({ atMs: START_MS, amountMinor: 500, ...names })
  for (const definition of FEATURES) {
    const { name, entity, includesCurrent } = definition
    if (entity === 'transaction') continue
    if (entity !== 'card') assert.ok(!includesCurrent, name)
    if (!includesCurrent) assert.ok(!(first.value(name) > 0), `${name} of a first transaction`)
  }
  assert.deepEqual(first.values('card_count_1d', 'card_sum_1d', 'card_merchants_1d'), [1, 5, 1])
})

test('The newest 512 events of a card count singly; an older one counts as if it happened at the start of its hour.', () => {
  const story = new Story()
  const firstMs = START_MS + 30 * MINUTE_MS
  story.pay({ atMs: firstMs, amountMinor: 70_000, merchant: 'm' })
  crowd(story, 511, firstMs + DAY_MS, 1)
  const whileSingle = story.pay({ atMs: firstMs + 30 * DAY_MS - 1 })
  assert.deepEqual(whileSingle.values('card_count_30d', 'card_amount_maximum_30d'), [513, 700])
  const justInside = firstMs + 30 * DAY_MS - 30 * MINUTE_MS - 1
  const merged = new Story()
  merged.pay({ atMs: firstMs, amountMinor: 70_000, merchant: 'm' })
  crowd(merged, 512, firstMs + DAY_MS, 1)
  const before = merged.pay({ atMs: justInside, merchant: 'm' })
  assert.deepEqual(before.values('card_count_30d', 'card_amount_maximum_30d'), [514, 700])
  assert.ok(Number.isNaN(before.value('card_merchant_is_new')), 'merchants are known singly')
  const after = merged.pay({ atMs: justInside + 1 })
  assert.deepEqual(after.values('card_count_30d', 'card_amount_maximum_30d'), [514, 10])
  const out = new Story()
  out.pay({ atMs: firstMs })
  crowd(out, 512, firstMs + DAY_MS, 1)
  const gone = out.pay({ atMs: START_MS + 30 * DAY_MS })
  assert.deepEqual([gone.value('card_count_30d'), gone.annotations], [513, ['windows_approximate']])
  const late = new Story()
  late.pay({ atMs: firstMs })
  crowd(late, 512, firstMs + DAY_MS, 1)
  const atStart = late.pay({ atMs: START_MS })
  assert.deepEqual(
    [atStart.value('card_count_1m'), atStart.annotations],
    [2, ['late', 'windows_approximate']],
  )
  const earlier = late.pay({ atMs: START_MS - 1 })
  assert.deepEqual([earlier.value('card_count_1m'), earlier.annotations], [1, ['late']])
})

test("An hour of an entity's partition with more than 16 events counts as if all of them happened at its start.", () => {
  const countOf = (events: number): number => {
    const story = new Story(2)
    const hourMs = START_MS
    for (let index = 0; index < events; index += 1) {
      story.pay({ atMs: hourMs + 50 * MINUTE_MS, ipNetwork: 'n', card: `card-${index}` })
    }
    story.pay({ atMs: hourMs + 50 * MINUTE_MS, ipNetwork: 'n', card: 'other', partition: 1 })
    const atMs = hourMs + 20 * MINUTE_MS + 2 * HOUR_MS
    return story.pay({ atMs, ipNetwork: 'n' }).value('network_count_1h')
  }
  assert.deepEqual([16, 17].map(countOf), [0, 17])
  const cardsAt = (atMs: number): number => {
    const story = new Story()
    for (let index = 0; index < 17; index += 1) {
      story.pay({ atMs: START_MS + 50 * MINUTE_MS, device: 'd', card: `card-${index}` })
    }
    return story.pay({ atMs, device: 'd' }).value('device_distinct_cards_1d')
  }
  const edgeMs = START_MS + 2 * HOUR_MS + DAY_MS
  assert.deepEqual([edgeMs - 1, edgeMs].map(cardsAt), [17, 0])
})

test('Windows that this may have changed are marked windows_approximate.', () => {
  const story = new Story()
  crowd(story, 512, START_MS, 1)
  assert.deepEqual(story.pay({ atMs: START_MS + HOUR_MS }).annotations, [])
  assert.deepEqual(story.pay({ atMs: START_MS + HOUR_MS + 1 }).annotations, ['windows_approximate'])
  const busy = new Story()
  const ipNetwork = 'n'
  for (let index = 0; index < 17; index += 1) {
    busy.pay({ atMs: START_MS + 50 * MINUTE_MS, ipNetwork, card: `card-${index}` })
  }
  const across = busy.pay({ atMs: START_MS + 20 * MINUTE_MS + 2 * HOUR_MS, ipNetwork })
  assert.deepEqual(across.annotations, ['windows_approximate'])
  const clear = busy.pay({ atMs: START_MS + 4 * HOUR_MS, ipNetwork, card: 'clear' })
  assert.deepEqual([clear.annotations, clear.value('network_distinct_cards_1d')], [[], 17])
})
