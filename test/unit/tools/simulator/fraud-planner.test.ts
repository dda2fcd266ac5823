// Goal: each planned pattern has the characteristics by which it is meant to be found. Method: many episodes from many
// seeds in one world; the characteristics are those of the table in fraud-episodes.ts.

import { ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Chance } from '../../../../tools/simulator/chance.ts'
import {
  impossibleTravel,
  planEpisode,
  type PlannedPattern,
} from '../../../../tools/simulator/fraud-planner.ts'
import { genuinePayment, type Payment, localHour } from '../../../../tools/simulator/genuine.ts'
import { SIMULATOR_DEFAULTS } from '../../../../tools/simulator/options.ts'
import { roughDistanceKm, buildWorld } from '../../../../tools/simulator/world.ts'

const NOW_MS = SIMULATOR_DEFAULTS.startMs
const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const world = buildWorld({ ...SIMULATOR_DEFAULTS, cards: 300 })

function forEpisodes(pattern: PlannedPattern, check: (payments: readonly Payment[]) => void): void {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const payments = planEpisode(pattern, NOW_MS, world, new Chance(seed, 1))
      ok(payments.length > 0)
      let lastMs = NOW_MS
      for (const payment of payments) {
        strictEqual(payment.fraudPattern, pattern)
        ok(payment.timeMs > NOW_MS && payment.timeMs >= lastMs, 'in time order, after now')
        ok(Number.isInteger(payment.amountMinor) && payment.amountMinor > 0)
        lastMs = payment.timeMs
      }
      check(payments)
    }),
  )
}

function distinct(payments: readonly Payment[], keyOf: (payment: Payment) => unknown): number {
  return new Set(payments.map(keyOf)).size
}

function spanMs(payments: readonly Payment[]): number {
  return (payments.at(-1)?.timeMs ?? 0) - (payments[0]?.timeMs ?? 0)
}

test('card testing is many tiny payments of one card from one device within minutes', () => {
  forEpisodes('card_testing', (payments) => {
    const tiny = payments.filter((payment) => payment.amountMinor <= 300)
    ok(tiny.length >= 8 && tiny.length >= payments.length - 1)
    ok(spanMs(tiny) <= 20 * 40_000)
    strictEqual(
      distinct(payments, (payment) => payment.card),
      1,
    )
    strictEqual(
      distinct(payments, (payment) => payment.device),
      1,
    )
    ok(payments.every((payment) => payment.channel === 'ecommerce' && payment.device !== null))
  })
})

test('stolen-card spending is card-present, fast, and where the holder is', () => {
  forEpisodes('stolen_card', (payments) => {
    ok(payments.length >= 3 && payments.length <= 8)
    ok(payments.every((payment) => payment.terminal !== null))
    ok(payments.every((payment) => payment.merchant.city === payment.card.at))
    ok(spanMs(payments) <= payments.length * 35 * MINUTE_MS)
  })
})

test('an account takeover uses one device that the card never had', () => {
  forEpisodes('account_takeover', (payments) => {
    strictEqual(
      distinct(payments, (payment) => payment.device),
      1,
    )
    const [first] = payments
    ok(first?.device !== null && first?.device !== undefined)
    ok(!world.cards.some((card) => card.devices.includes(first.device ?? '')))
  })
})

test('walking below a limit stays within two percent under one and the same limit', () => {
  forEpisodes('below_limit', (payments) => {
    ok(payments.length >= 5)
    const fitting = [5_000, 10_000, 15_000, 25_000, 50_000].filter((limitMinor) =>
      payments.every(
        ({ amountMinor }) => amountMinor < limitMinor && amountMinor >= limitMinor * 0.98,
      ),
    )
    strictEqual(fitting.length, 1)
  })
})

test('a leaked card is used online at night, over several nights', () => {
  forEpisodes('leaked_card', (payments) => {
    ok(payments.every((payment) => payment.channel === 'ecommerce'))
    ok(payments.every((payment) => localHour(payment.timeMs, payment.utcOffsetMinutes) < 6))
    const nights = distinct(payments, (payment) =>
      Math.floor((payment.timeMs + payment.utcOffsetMinutes * MINUTE_MS) / DAY_MS),
    )
    ok(nights >= 2 && nights <= 4)
  })
})

test('a device sweep is one device with many cards at few merchants', () => {
  forEpisodes('device_sweep', (payments) => {
    strictEqual(
      distinct(payments, (payment) => payment.device),
      1,
    )
    ok(distinct(payments, (payment) => payment.merchant) <= 3)
    // Cards are drawn one by one from the 300 of the world, so some occur twice: 1.5 of 30 on average, and never 13.
    ok(distinct(payments, (payment) => payment.card) > payments.length * 0.6)
    ok(payments.length >= 12 && spanMs(payments) <= 1.6 * HOUR_MS)
  })
})

test('impossible travel pays in a city that nobody reaches in the time since the last payment', () => {
  fc.assert(
    fc.property(fc.integer(), (seed) => {
      const chance = new Chance(seed, 1)
      const seen = genuinePayment(chance.pick(world.cards), NOW_MS, world, chance)
      const copies = impossibleTravel(seen, world, chance) ?? []
      ok(copies.length >= 2)
      for (const copy of copies.slice(0, 1)) {
        const hours = (copy.timeMs - seen.timeMs) / HOUR_MS
        const km = roughDistanceKm(seen.merchant.city, copy.merchant.city)
        ok(km >= 1_000 && km / hours > 700, `${km} km in ${hours} h`)
        strictEqual(copy.card, seen.card)
        strictEqual(copy.entryMode, 'magstripe')
      }
    }),
  )
})

test('a world with one city has no impossible travel', () => {
  const small = buildWorld({ ...SIMULATOR_DEFAULTS, cards: 5, terminals: 1, merchants: 2 })
  const chance = new Chance(1, 1)
  let seen = genuinePayment(chance.pick(small.cards), NOW_MS, small, chance)
  while (seen.terminal === null) {
    seen = genuinePayment(chance.pick(small.cards), NOW_MS, small, chance)
  }
  strictEqual(impossibleTravel(seen, small, chance), null)
})
