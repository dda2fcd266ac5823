import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { HeldTransactions } from '../../../../services/cli/model/candidate-rows.ts'

const CARDS = 400
const EACH = 25

function heldOf(max: number, order: (index: number) => number): HeldTransactions {
  const held = new HeldTransactions(max)
  for (let at = 0; at < CARDS * EACH; at += 1) {
    const index = order(at)
    held.add(`0/${index}`, `card-${index % CARDS}`, () => ({ values: [`${index}`], payment: null }))
  }
  return held
}

function cardsIn(held: HeldTransactions): ReadonlyMap<number, number> {
  const cards = new Map<number, number>()
  for (let index = 0; index < CARDS * EACH; index += 1) {
    if (held.at(`0/${index}`) === undefined) continue
    cards.set(index % CARDS, (cards.get(index % CARDS) ?? 0) + 1)
  }
  return cards
}

test('as many transactions as there is room for are all held', () => {
  const held = heldOf(CARDS * EACH, (at) => at)
  deepStrictEqual([held.size, held.share], [CARDS * EACH, 1])
  deepStrictEqual(held.at('0/7'), { ...held.at('0/7'), values: ['7'], payment: null })
})

test('beyond that whole cards are, about the share that is told, whatever comes first', () => {
  const held = heldOf(3_000, (at) => at)
  ok(held.size <= 3_000 && held.share < 1)
  const cards = cardsIn(held)
  for (const count of cards.values()) strictEqual(count, EACH)
  ok(Math.abs(cards.size / CARDS - held.share) < 0.1, `${cards.size} cards, ${held.share}`)
  deepStrictEqual(cardsIn(heldOf(3_000, (at) => CARDS * EACH - 1 - at)), cards)
})
