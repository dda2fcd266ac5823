// What card holders do by themselves. Their habits have tails (trips, big purchases, retries, new phones),
// so that no single number tells fraud from life.

import type { Chance } from './chance.ts'
import { usualAmountMinor } from './payment.ts'
import type { Payment } from './payment.ts'
import { roughDistanceKm } from './places.ts'
import type { City } from './places.ts'
import { localHour, nextPaymentMs } from './rhythm.ts'
import { ipNetworkOf } from './world.ts'
import type { Card, Merchant, Terminal, World } from './world.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000

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

/** A second try after a decline, or null when the holder gives up. Shares the intent of the first. */
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

/** When the card pays next; a trip may begin or end in between, which takes its time. */
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
