// One transaction as the features see it: numbers and references instead of strings.

import { codeAt } from '../../card-numbers.ts'
import type { RateTable } from '../../rates/rate-table.ts'
import { murmur2Text } from '../../murmur2.ts'
import { hashOf } from '../../id-hash.ts'
import type { Label, Transaction } from '../../transaction.ts'
import type { EntityKind } from '../catalogue/feature-definition.ts'

const PLACE_SCALE = 10_000
const CARD_HASH_SEED = 0x1b873593
const DIGIT_0 = 48
const CODE_DIGITS = 4
/** Categories that are no ISO 18245 codes have numbers of seven digits. */
const NAMED_CODE_MIN = 1_000_000
const NAMED_CODES = 9_000_000

/** Whether the card was at hand, as stored in two bits. */
export const PRESENCE = { unknown: 0, present: 1, notPresent: 2 } as const

/** References are 48-bit hashes, 0 for none; places are in 1e-4 degrees. */
export interface CardEvent {
  readonly timeMs: number
  readonly offset: number
  /** Minor units of the reference currency; NaN when there is no rate. */
  readonly amountMinor: number
  readonly idHash: number
  readonly intentHash: number
  readonly merchantHash: number
  readonly terminalHash: number
  readonly deviceHash: number
  readonly networkHash: number
  readonly categoryHash: number
  /** See categoryCodeOf; NaN for none. */
  readonly categoryCode: number
  /** ISO 3166-1 alpha-2 as a number, 1 to 676. */
  readonly countryHash: number
  readonly hasPlace: boolean
  readonly latitudeE4: number
  readonly longitudeE4: number
  readonly utcOffsetMinutes: number
  readonly presence: 0 | 1 | 2
  readonly isDeclined: boolean
  /** 32-bit hash of the card, for counts of distinct cards. */
  readonly cardHash: number
}

/** What of an event the features of a plan look at: other references stay 0. */
export interface EventNeeds {
  readonly merchant: boolean
  readonly terminal: boolean
  readonly device: boolean
  readonly network: boolean
  readonly category: boolean
  readonly categoryCode: boolean
}

const NEEDS_ALL: EventNeeds = {
  merchant: true,
  terminal: true,
  device: true,
  network: true,
  category: true,
  categoryCode: true,
}

/** An event that is filled again and again. */
export type MutableCardEvent = { -readonly [Field in keyof CardEvent]: CardEvent[Field] }

export function blankCardEvent(): MutableCardEvent {
  // Not small integers at first, so that the engine gives these fields room for any number.
  return {
    timeMs: 0.5,
    offset: 0.5,
    amountMinor: 0.5,
    idHash: 0.5,
    intentHash: 0.5,
    merchantHash: 0.5,
    terminalHash: 0.5,
    deviceHash: 0.5,
    networkHash: 0.5,
    categoryHash: 0.5,
    categoryCode: 0.5,
    countryHash: 0,
    hasPlace: false,
    latitudeE4: 0,
    longitudeE4: 0,
    utcOffsetMinutes: 0,
    presence: 0,
    isDeclined: false,
    cardHash: 0.5,
  }
}

/** Degrees as the stored integer, 1e-4 degrees (about 11 m). */
export function toE4(degrees: number): number {
  return Math.round(degrees * PLACE_SCALE)
}

/** A stored place in degrees. */
export function fromE4(stored: number): number {
  return stored / PLACE_SCALE
}

/** The amount is NaN when the table has no rate. */
export function cardEventOf(transaction: Transaction, offset: number, rates: RateTable): CardEvent {
  const event = blankCardEvent()
  fillCardEvent(event, transaction, offset, rates, NEEDS_ALL)
  return event
}

/** `cardEventOf` into an event that is there already, with what is needed of it. Hot path. */
export function fillCardEvent(
  event: MutableCardEvent,
  transaction: Transaction,
  offset: number,
  rates: RateTable,
  needs: EventNeeds,
): void {
  const { latitude, longitude, currency, eventTimeMs } = transaction
  const amountMinor = rates.toReferenceMinor(transaction.amountMinor, currency, eventTimeMs)
  const hasPlace = latitude !== null && longitude !== null
  event.timeMs = eventTimeMs
  event.offset = offset
  event.amountMinor = amountMinor ?? NaN
  event.idHash = hashOf(transaction.id)
  event.intentHash = optional(transaction.intentId)
  event.merchantHash = needs.merchant ? optional(transaction.merchant) : 0
  event.terminalHash = needs.terminal ? optional(transaction.terminal) : 0
  event.deviceHash = needs.device ? optional(transaction.device) : 0
  event.networkHash = needs.network ? optional(transaction.ipNetwork) : 0
  event.categoryHash = needs.category ? optional(transaction.merchantCategory) : 0
  event.categoryCode = needs.categoryCode ? categoryCodeOf(transaction.merchantCategory) : NaN
  event.countryHash = countryRefOf(transaction.country)
  event.hasPlace = hasPlace
  event.latitudeE4 = hasPlace ? toE4(latitude) : 0
  event.longitudeE4 = hasPlace ? toE4(longitude) : 0
  event.utcOffsetMinutes = transaction.utcOffsetMinutes ?? 0
  event.presence = presenceOf(transaction.channel)
  event.isDeclined = transaction.authorisation === 'declined'
  event.cardHash = murmur2Text(transaction.card, CARD_HASH_SEED)
}

function optional(identifier: string | null): number {
  return identifier === null ? 0 : hashOf(identifier)
}

/**
 * A merchant category as a number: the code itself where it is one of ISO 18245, four digits; else a number of seven
 * digits made from its name, which two of a few hundred names share with probability < 1e-2. NaN for none. Hot path.
 */
export function categoryCodeOf(category: string | null): number {
  if (category === null) return NaN
  let code = 0
  for (let at = 0; at < category.length && code >= 0; at += 1) {
    const digit = codeAt(category, at) - DIGIT_0
    code = digit >= 0 && digit <= 9 ? code * 10 + digit : -1
  }
  if (code >= 0 && category.length === CODE_DIGITS) return code
  return NAMED_CODE_MIN + (hashOf(category) % NAMED_CODES)
}

function countryRefOf(country: string | null): number {
  if (country === null) return 0
  return (codeAt(country, 0) - 65) * 26 + (codeAt(country, 1) - 65) + 1
}

function presenceOf(channel: Transaction['channel']): CardEvent['presence'] {
  switch (channel) {
    case null:
    case 'unknown':
      return PRESENCE.unknown
    case 'pos':
    case 'atm':
      return PRESENCE.present
    case 'ecommerce':
    case 'moto':
      return PRESENCE.notPresent
  }
}

/** Reference of an entity that the transaction names; 0 for none. */
export function entityRefOf(event: CardEvent, kind: EntityKind): number {
  switch (kind) {
    case 'terminal':
      return event.terminalHash
    case 'merchant':
      return event.merchantHash
    case 'device':
      return event.deviceHash
    case 'network':
      return event.networkHash
  }
}

/** Reference of an entity that a label names; 0 for none. */
export function entityRefOfLabel(label: Label, kind: EntityKind): number {
  return optional(kind === 'network' ? label.ipNetwork : label[kind])
}
