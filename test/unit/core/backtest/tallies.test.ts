import { ok, strictEqual, throws } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DistinctCards, MoneySum } from '../../../../services/core/backtest/tallies.ts'
import { holds } from '../../../support/property.ts'

test('sums of money are exact, also beyond the safe integers', () => {
  holds(
    100,
    fc.property(fc.array(fc.maxSafeNat(), { maxLength: 50 }), (amounts) => {
      const sum = new MoneySum()
      for (const amount of amounts) sum.add(amount)
      strictEqual(
        sum.minor,
        amounts.reduce((total, amount) => total + BigInt(amount), 0n),
      )
    }),
  )
  for (const wrong of [-1, 0.5, NaN, 2 ** 53])
    throws(() => {
      new MoneySum().add(wrong)
    })
})

test('cards are counted exactly up to the limit, in any order and with repetitions', () => {
  holds(
    100,
    fc.property(fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 200 }), (numbers) => {
      const cards = new DistinctCards(41)
      for (const number of numbers) cards.add(`card-${number}`)
      const { cards: count, isExact } = cards.count
      strictEqual(count, new Set(numbers).size)
      ok(isExact)
    }),
  )
})

test('beyond the limit the count is a close estimate that does not depend on the order', () => {
  const limit = 1_024
  for (const different of [1_025, 3_000, 50_000]) {
    const [forward, backward] = [new DistinctCards(limit), new DistinctCards(limit)]
    for (let at = 0; at < different; at += 1) {
      forward.add(`card-${at}`)
      backward.add(`card-${different - 1 - at}`)
      // Often the same again.
      forward.add(`card-${at % 7}`)
    }
    const { cards, isExact } = forward.count
    ok(!isExact)
    // Five times the standard error of 1,024 smallest hashes.
    const errorMax = (5 * different) / Math.sqrt(limit - 2)
    ok(Math.abs(cards - different) <= errorMax, `${cards} for ${different}`)
    strictEqual(backward.count.cards, cards)
  }
})
