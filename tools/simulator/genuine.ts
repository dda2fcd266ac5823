// A payment before it becomes a transaction: the fields of the message, and what the simulator knows and the bank does
// not (the fraud to which it belongs).

import assert from 'node:assert/strict'
import type { Transaction } from '../../services/core/transaction.ts'
import type { FraudPattern } from '../../services/producer/stream-event.ts'
import type { Chance } from './chance.ts'
import {
  type Card,
  type City,
  ipNetworkOf,
  type Merchant,
  roughDistanceKm,
  type Terminal,
  type World,
} from './world.ts'

export interface Payment {
  readonly card: Card
  readonly timeMs: number
  readonly amountMinor: number
  readonly merchant: Merchant
  /** Null when no terminal was used. */
  readonly terminal: Terminal | null
  readonly channel: 'pos' | 'atm' | 'ecommerce' | 'moto'
  readonly entryMode: NonNullable<Transaction['entryMode']>
  readonly authorisation: 'approved' | 'declined'
  readonly device: string | null
  readonly ipNetwork: string | null
  /** Local time of the payer. */
  readonly utcOffsetMinutes: number
  /** The number of the purchase, for a retry; null for a new purchase. */
  readonly intent: number | null
  readonly fraudPattern: FraudPattern | null
}

/** The transaction that the bank sees. `number` counts the transactions of one seed, `intent` its purchases. */
export function transactionOf(
  payment: Payment,
  seed: number,
  number: number,
  intent: number,
): Transaction {
  const { merchant, terminal } = payment
  const { city } = merchant
  return {
    // A letter separates the two numbers: the log redactor takes long runs of digits and dashes for card numbers.
    id: `tx-${seed}-n${number}`,
    card: payment.card.token,
    eventTimeMs: payment.timeMs,
    amountMinor: payment.amountMinor,
    currency: city.currency,
    merchant: merchant.id,
    merchantCategory: merchant.category.code,
    terminal: terminal === null ? null : terminal.id,
    country: city.country,
    latitude: terminal === null ? null : terminal.latitude,
    longitude: terminal === null ? null : terminal.longitude,
    utcOffsetMinutes: payment.utcOffsetMinutes,
    device: payment.device,
    ipNetwork: payment.ipNetwork,
    channel: payment.channel,
    entryMode: payment.entryMode,
    authorisation: payment.authorisation,
    intentId: `intent-${seed}-n${intent}`,
    attributes: null,
  }
}

const AMOUNT_MINOR_MIN = 50
const AMOUNT_MINOR_MAX = 1_000_000

/** An amount around the merchant's usual one for this card, from 0.50 to 10,000.00. */
export function usualAmountMinor(card: Card, merchant: Merchant, factor: number): number {
  const minor = merchant.category.amountMinor * merchant.level * card.level * factor
  return Math.min(AMOUNT_MINOR_MAX, Math.max(AMOUNT_MINOR_MIN, Math.round(minor)))
}

// Payment times: a daily and weekly rhythm in local time, drawn as an inhomogeneous Poisson process by thinning (draws
// at the busiest rate, of which each is kept with the relative rate of its hour).

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
/** 1970-01-01 was a Thursday; days count from Sunday = 0. */
const EPOCH_WEEKDAY = 4
const DRAWS_MAX = 200
const GAP_MS_MIN = 2_000

// Percent of the busiest hour, from local midnight on.
const WORKDAY = [
  6, 3, 2, 1, 2, 5, 18, 42, 58, 55, 58, 70, 88, 80, 62, 60, 70, 88, 100, 92, 74, 52, 32, 15,
]
const WEEKEND = [
  14, 9, 5, 3, 2, 3, 8, 20, 42, 66, 86, 98, 100, 92, 86, 82, 80, 78, 80, 82, 74, 60, 44, 26,
]

/** Mean of a week's hours, as a share of the busiest hour. */
const MEAN_SHARE = (sum(WORKDAY) * 5 + sum(WEEKEND) * 2) / (7 * 24 * 100)

/** Hour of the day, 0 to 23, in local time. */
export function localHour(timeMs: number, utcOffsetMinutes: number): number {
  return Math.floor((timeMs + utcOffsetMinutes * 60_000) / HOUR_MS) % 24
}

/** Activity at this time, in percent of the busiest. */
function busyPercent(timeMs: number, utcOffsetMinutes: number): number {
  const localMs = timeMs + utcOffsetMinutes * 60_000
  const weekday = (Math.floor(localMs / DAY_MS) + EPOCH_WEEKDAY) % 7
  const hour = Math.floor(localMs / HOUR_MS) % 24
  const percent = weekday === 0 || weekday === 6 ? WEEKEND[hour] : WORKDAY[hour]
  assert(percent !== undefined, 'A day has 24 hours.')
  return percent
}

/** The next payment time after `afterMs` of somebody who pays every `meanGapMs` on average. */
export function nextPaymentMs(
  afterMs: number,
  meanGapMs: number,
  utcOffsetMinutes: number,
  chance: Chance,
): number {
  const busiestGapMs = meanGapMs * MEAN_SHARE
  let timeMs = afterMs + GAP_MS_MIN
  for (let draw = 0; draw < DRAWS_MAX; draw += 1) {
    timeMs += Math.floor(chance.exponential() * busiestGapMs)
    if (chance.below(100) < busyPercent(timeMs, utcOffsetMinutes)) break
  }
  return timeMs
}

/** Local midnight at or before the time, as a time in UTC. */
export function localMidnightMs(timeMs: number, utcOffsetMinutes: number): number {
  const offsetMs = utcOffsetMinutes * 60_000
  return Math.floor((timeMs + offsetMs) / DAY_MS) * DAY_MS - offsetMs
}

function sum(percents: readonly number[]): number {
  return percents.reduce((total, percent) => total + percent, 0)
}

// Genuine behaviour of card holders. It has tails (trips, big purchases, retries, new phones), so no single number
// separates fraud from genuine payments.

const FAVOURITE_SHARE = 0.82
const BIG_PURCHASE_SHARE = 0.012
const DECLINE_SHARE = 0.025
const RETRY_SHARE = 0.6
const MOTO_SHARE = 0.02
const MAGSTRIPE_SHARE = 0.012
const NEW_DEVICE_SHARE = 0.003
const GUEST_CHECKOUT_SHARE = 0.05
const TRIP_SHARE = 0.004
const CONTACTLESS_MINOR_MAX = 5_000
const CASH_STEP_MINOR = 1_000
const AIRCRAFT_KM_PER_HOUR = 700
const AIRPORT_MS = 3 * HOUR_MS

/** The card holder's payment at this time. */
export function genuinePayment(card: Card, timeMs: number, world: World, chance: Chance): Payment {
  const hour = localHour(timeMs, card.at.utcOffsetMinutes)
  const isEvening = hour >= 20 || hour < 6
  const isOnline = chance.happens(card.ecommerceShare * (isEvening ? 1.6 : 0.9))
  return isOnline
    ? onlinePayment(card, timeMs, world, chance)
    : presentPayment(card, timeMs, world, chance)
}

/** A second attempt after a decline, or null when the holder gives up. It shares the intent of the first. */
export function retryOf(declined: Payment, intent: number, chance: Chance): Payment | null {
  if (declined.authorisation !== 'declined' || !chance.happens(RETRY_SHARE)) return null
  return {
    ...declined,
    timeMs: declined.timeMs + chance.integer(8_000, 150_000),
    authorisation: chance.happens(0.7) ? 'approved' : 'declined',
    entryMode: declined.entryMode === 'contactless' ? 'chip' : declined.entryMode,
    intent,
  }
}

/** The card's next payment time; a trip may begin or end before it, which delays the payment. */
export function nextGenuineMs(card: Card, nowMs: number, world: World, chance: Chance): number {
  let readyMs = nowMs
  if (card.at !== card.home && nowMs >= card.tripEndsMs) {
    readyMs += travelMs(card.at, card.home)
    card.at = card.home
  } else if (card.at === card.home && chance.happens(TRIP_SHARE)) {
    const destination = chance.pick(world.cities)
    readyMs += travelMs(card.home, destination)
    card.at = destination
    card.tripEndsMs = readyMs + chance.integer(DAY_MS, 10 * DAY_MS)
  }
  return nextPaymentMs(readyMs, card.meanGapMs, card.at.utcOffsetMinutes, chance)
}

function travelMs(from: City, to: City): number {
  if (from === to) return 0
  return AIRPORT_MS + Math.floor((roughDistanceKm(from, to) / AIRCRAFT_KM_PER_HOUR) * HOUR_MS)
}

function presentPayment(card: Card, timeMs: number, world: World, chance: Chance): Payment {
  const terminal = presentTerminal(card, world, chance)
  const { merchant } = terminal
  const isCash = merchant.category.channel === 'atm'
  const amountMinor = genuineAmountMinor(card, merchant, chance)
  const rounded = Math.max(1, Math.round(amountMinor / CASH_STEP_MINOR)) * CASH_STEP_MINOR
  return {
    card,
    timeMs,
    amountMinor: isCash ? rounded : amountMinor,
    merchant,
    terminal,
    channel: isCash ? 'atm' : 'pos',
    entryMode: isCash ? 'chip' : presentEntryMode(card, amountMinor, chance),
    authorisation: chance.happens(DECLINE_SHARE) ? 'declined' : 'approved',
    device: null,
    ipNetwork: null,
    utcOffsetMinutes: card.at.utcOffsetMinutes,
    intent: null,
    fraudPattern: null,
  }
}

function presentTerminal(card: Card, world: World, chance: Chance): Terminal {
  if (card.at === card.home && chance.happens(FAVOURITE_SHARE)) {
    // The smaller of two draws: the first favourites are visited most.
    const { favouriteTerminals } = card
    const index = Math.min(
      chance.below(favouriteTerminals.length),
      chance.below(favouriteTerminals.length),
    )
    const favourite = favouriteTerminals[index]
    if (favourite !== undefined) return favourite
  }
  return chance.pick(world.terminalsOf.get(card.at) ?? [])
}

function presentEntryMode(card: Card, amountMinor: number, chance: Chance): Payment['entryMode'] {
  if (chance.happens(MAGSTRIPE_SHARE)) return 'magstripe'
  const mayTap = amountMinor <= CONTACTLESS_MINOR_MAX
  return mayTap && chance.happens(card.contactlessShare) ? 'contactless' : 'chip'
}

function onlinePayment(card: Card, timeMs: number, world: World, chance: Chance): Payment {
  const merchant = chance.happens(FAVOURITE_SHARE)
    ? chance.pick(card.favouriteMerchants)
    : chance.pick(world.onlineMerchants)
  const isMoto = chance.happens(MOTO_SHARE)
  // A new phone replaces one of the old devices.
  if (chance.happens(NEW_DEVICE_SHARE)) {
    card.devices[chance.below(card.devices.length)] = world.newDevice()
  }
  const device = chance.happens(GUEST_CHECKOUT_SHARE) ? null : chance.pick(card.devices)
  const isAway = card.at !== card.home
  return {
    card,
    timeMs,
    amountMinor: genuineAmountMinor(card, merchant, chance),
    merchant,
    terminal: null,
    channel: isMoto ? 'moto' : 'ecommerce',
    entryMode: isMoto ? 'manual' : 'credential',
    authorisation: chance.happens(DECLINE_SHARE) ? 'declined' : 'approved',
    device: isMoto ? null : device,
    ipNetwork: isMoto ? null : isAway ? ipNetworkOf(chance.below(65_536)) : card.ipNetwork,
    utcOffsetMinutes: card.at.utcOffsetMinutes,
    intent: null,
    fraudPattern: null,
  }
}

function genuineAmountMinor(card: Card, merchant: Merchant, chance: Chance): number {
  const factor = chance.factor(merchant.category.spread)
  const isBig = chance.happens(BIG_PURCHASE_SHARE)
  return usualAmountMinor(card, merchant, isBig ? factor * chance.integer(4, 15) : factor)
}
