// The contract of docs/feature-contract.md: values. Each test is named by one of its sentences.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ABSENCES } from '../../../../../services/core/features/catalogue/feature-definition.ts'
import { FEATURES } from '../../../../../services/core/features/catalogue/feature-list.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS } from '../../../../support/feature-streams.ts'
import { idsInOrder, Story, type Payment, type Told } from '../../../../support/story.ts'

/** A Sunday at midnight. */
const START_MS = 98 * DAY_MS

/** The features that the last of these payments sees. */
function lastOf(payments: readonly Payment[]): Told {
  const told = payments.map((payment) => story.pay(payment))
  return told.at(-1) ?? assert.fail('nothing was paid')
}
let story = new Story()
const tell = (payments: readonly Payment[]): Told => {
  story = new Story()
  return lastOf(payments)
}

/** Amounts a minute apart. */
const amounts = (...list: readonly number[]): readonly Payment[] =>
  list.map((amountMinor, index) => ({ atMs: START_MS + index * MINUTE_MS, amountMinor }))

test('An absent value is NaN in the row, never 0.', () => {
  const first = tell([{ atMs: START_MS }])
  for (const { name, absence } of FEATURES) {
    if (absence === 'never') assert.ok(!Number.isNaN(first.value(name)), name)
    else if (absence !== 'payments')
      assert.ok(Number.isNaN(first.value(name)), `${name}: ${ABSENCES[absence]}`)
    assert.equal(first.state(name) === 'absent', Number.isNaN(first.value(name)), name)
  }
  const [retried] = [
    tell([
      { atMs: START_MS, intentId: 'i' },
      { atMs: START_MS + DAY_MS, intentId: 'i' },
    ]),
  ]
  assert.ok(Number.isNaN(retried.value('card_mean_amount_1d')), 'only a retry in the window')
})

test('A mean is the sum over the count, payments only, the transaction included.', () => {
  const told = tell([...amounts(100, 200), { atMs: START_MS + HOUR_MS, amountMinor: 600 }])
  assert.equal(told.value('card_mean_amount_1d'), 3)
  const retried = tell([
    { atMs: START_MS, amountMinor: 100, intentId: 'i' },
    { atMs: START_MS + 1, amountMinor: 900, intentId: 'i' },
    { atMs: START_MS + 2, amountMinor: 300 },
  ])
  assert.equal(retried.value('card_mean_amount_1d'), 2)
})

test('A ratio against an amount of nothing is absent.', () => {
  const told = tell(amounts(0, 0))
  assert.deepEqual(told.values('card_amount_ratio_30d', 'card_sum_ratio_1d_30d'), [NaN, NaN])
  assert.equal(told.value('card_count_ratio_1d_30d'), 30)
})

test('A standard deviation is that of the population of earlier payments, from exact integer sums.', () => {
  assert.equal(tell(amounts(100, 300, 5)).value('card_amount_deviation_30d'), 1)
  const [low, high] = [10 ** 12 - 1, 10 ** 12]
  const huge = tell(amounts(low, high, low, high, 5))
  assert.equal(huge.value('card_amount_deviation_30d'), 0.005)
  assert.equal(huge.value('card_amount_z_score_30d'), (5 - (low + 0.5)) / 0.5)
  assert.ok(Number.isNaN(tell(amounts(7, 7, 7)).value('card_amount_z_score_30d')))
  assert.ok(Number.isNaN(tell(amounts(7, 7)).value('card_amount_deviation_30d')))
})

test('A quantile is the share of earlier payments below the amount, those of the same amount counting one half.', () => {
  const quantile = (...list: readonly number[]): number =>
    tell(amounts(...list)).value('card_amount_quantile_30d')
  assert.equal(quantile(100, 200, 200, 300, 200), 0.5)
  assert.equal(quantile(100, 200, 201), 1)
  assert.equal(quantile(100, 200, 99), 0)
})

test('A distinct count is exact while no hour of the window has more than 32 cards of one partition, and an estimate from the 32 smallest hashes above.', () => {
  const cardsOf = (cards: number): Told => {
    story = new Story()
    for (let index = 0; index < cards; index += 1) {
      story.pay({ atMs: START_MS + index, ipNetwork: 'n', card: `card-${index}` })
    }
    return story.pay({ atMs: START_MS + 3 * HOUR_MS, ipNetwork: 'n' })
  }
  const full = cardsOf(32)
  assert.equal(full.value('network_distinct_cards_1d'), 32)
  const more = cardsOf(400)
  assert.ok(Math.abs(more.value('network_distinct_cards_1d') - 400) < 0.6 * 400)
  assert.ok(more.value('network_distinct_cards_1d') !== 400)
  assert.deepEqual(more.annotations, ['windows_approximate'])
})

test('A reference is new when no earlier attempt in the window has it; absent when the transaction names none or no earlier attempt in the window names any.', () => {
  const isNew = (merchants: readonly (string | null)[], gapMs = HOUR_MS): number => {
    const payments = merchants.map((merchant, index) => ({
      atMs: START_MS + index * gapMs,
      merchant,
    }))
    return tell(payments).value('card_merchant_is_new')
  }
  assert.deepEqual([isNew(['a', 'b']), isNew(['b', 'b'])], [1, 0])
  assert.deepEqual([isNew(['a', null]), isNew([null, 'a']), isNew(['a'])], [NaN, NaN, NaN])
  assert.deepEqual([isNew(['a', 'b'], 30 * DAY_MS), isNew(['a', 'b'], 30 * DAY_MS - 1)], [NaN, 1])
})

test('The share of the hour counts earlier payments whose local time of day, in whole minutes, is at most an hour away, midnight in between or not.', () => {
  const share = (otherMs: number, ownMs: number): number =>
    tell([{ atMs: START_MS + otherMs }, { atMs: START_MS + DAY_MS + ownMs }]).value(
      'card_hour_share_30d',
    )
  const seen = [HOUR_MS, HOUR_MS + MINUTE_MS - 1, HOUR_MS + MINUTE_MS].map((ownMs) =>
    share(0, ownMs),
  )
  assert.deepEqual(seen, [1, 1, 0])
  assert.equal(share(30 * MINUTE_MS, 23.5 * HOUR_MS), 1, 'over midnight')
  assert.equal(share(30 * MINUTE_MS, 23.5 * HOUR_MS - MINUTE_MS), 0)
})

test('The speed is the distance to the previous attempt with a place over the time since, 0 for no distance and at most 100000 km/h.', () => {
  const berlin = { latitude: 52.52, longitude: 13.405 }
  const paris = { latitude: 48.8566, longitude: 2.3522 }
  const between = (payments: readonly Payment[]): readonly number[] =>
    tell(payments).values('card_distance_km', 'card_speed_kmh')
  const [km = NaN, speed = NaN] = between([
    { atMs: START_MS, ...berlin },
    { atMs: START_MS + HOUR_MS },
    { atMs: START_MS + 2 * HOUR_MS, ...paris },
  ])
  assert.ok(Math.abs(km - 877.5) < 1)
  assert.equal(speed, km / 2)
  const same = between([
    { atMs: START_MS, id: 'a', ...berlin },
    { atMs: START_MS + 1, ...berlin },
  ])
  assert.deepEqual(same, [0, 0])
  const [, atOnce] = between([
    { atMs: START_MS, ...berlin },
    { atMs: START_MS + 1, ...paris },
  ])
  assert.equal(atOnce, 100_000)
  const [low = '', high = ''] = idsInOrder(2)
  const [, sameMoment] = between([
    { atMs: START_MS, id: low, ...berlin },
    { atMs: START_MS, id: high, ...paris },
  ])
  assert.equal(sameMoment, 100_000)
  assert.deepEqual(between([{ atMs: START_MS, ...berlin }, { atMs: START_MS + 1 }]), [NaN, NaN])
})

test('A declined attempt was tried again when the next attempt comes within 10 minutes.', () => {
  const tries = (gapMs: number): readonly number[] =>
    tell([
      { atMs: START_MS, authorisation: 'declined' },
      { atMs: START_MS + gapMs },
      { atMs: START_MS + HOUR_MS - 1 },
    ]).values('card_declined_then_retried_1d', 'card_declines_1h')
  assert.deepEqual([10 * MINUTE_MS, 10 * MINUTE_MS + 1].map(tries), [
    [1, 1],
    [0, 1],
  ])
  const own = tell([
    { atMs: START_MS, authorisation: 'declined' },
    { atMs: START_MS + 10 * MINUTE_MS },
  ])
  assert.equal(own.value('card_declined_then_retried_1d'), 1, 'the next may be the transaction')
})

test('The limit of a card is the smallest amount of its attempts that were declined in the 30 days before; just under it are payments from nine tenths of it up to below it that were not declined.', () => {
  const declined = (atMs: number, amountMinor: number): Payment => ({
    atMs,
    amountMinor,
    authorisation: 'declined',
  })
  const atMs = START_MS + DAY_MS
  const under = (amountMinor: number, more: Partial<Payment> = {}): number =>
    tell([
      declined(START_MS, 2_000),
      declined(START_MS + 1, 1_000),
      { atMs, amountMinor, ...more },
    ]).value('card_just_under_limit_7d')
  assert.deepEqual(
    [899, 900, 999, 1_000].map((amount) => under(amount)),
    [0, 1, 1, 0],
  )
  assert.equal(under(950, { authorisation: 'declined' }), 0)
  assert.equal(under(950, { atMs: START_MS + 30 * DAY_MS }), 1, 'one limit is forgotten, one not')
  assert.ok(Number.isNaN(under(950, { atMs: START_MS + 1 + 30 * DAY_MS })), 'both are')
})

test("Local time is event time plus the transaction's own offset from UTC.", () => {
  const calendar = (atMs: number, utcOffsetMinutes: number | null): readonly number[] =>
    tell([{ atMs: START_MS + atMs, utcOffsetMinutes }]).values(
      'hour_of_day',
      'is_night',
      'is_weekend',
    )
  assert.deepEqual(calendar(0, null), [0, 1, 1])
  assert.deepEqual(calendar(0, 14 * 60), [14, 0, 1])
  assert.deepEqual(calendar(12 * HOUR_MS, 14 * 60), [2, 1, 0], 'Monday there')
  assert.deepEqual(calendar(7 * HOUR_MS, 0), [7, 0, 1])
  assert.deepEqual(calendar(7 * HOUR_MS, -1), [7 - 1 / 60, 1, 1])
  const weekdays = tell([
    { atMs: START_MS, utcOffsetMinutes: -60 },
    { atMs: START_MS + 6 * DAY_MS },
  ])
  assert.equal(weekdays.value('card_weekday_share_30d'), 1, 'both on a Saturday')
})

test('A merchant category of four digits is the number that they make, leading zeros included; any other is a number of seven digits made from its name.', () => {
  const code = (merchantCategory: string | null): number =>
    tell([{ atMs: START_MS, merchantCategory }]).value('merchant_category')
  assert.deepEqual(['5411', '0742', '0000', '9999'].map(code), [5_411, 742, 0, 9_999])
  const named = ['541', '54110', '54l1', '5411 ', '-541', '5e11', 'groceries', ''].map(code)
  assert.ok(
    named.every((number) => number >= 1_000_000 && number < 10_000_000 && Number.isInteger(number)),
    named.join(),
  )
  assert.equal(new Set(named).size, named.length)
  assert.equal(code('groceries'), code('groceries'))
  assert.ok(Number.isNaN(code(null)))
})
