// Features of the transaction itself and of its card's past, each from the list of everything before it. Tests only.

import type {
  FeatureDefinition,
  Reference,
} from '../../services/core/features/catalogue/feature-definition.ts'
import { hashOf } from '../../services/core/id-hash.ts'
import type { Transaction } from '../../services/core/transaction.ts'
import {
  compareEvents,
  hourStartMs,
  HOUR_MS,
  isWithin,
  MINUTE_MS,
  type Past,
} from './naive-past.ts'
import { arcKm, localTimeOf, minutesApart, type LocalTime } from './naive-place-and-time.ts'

type OfTransaction = Extract<FeatureDefinition, { readonly entity: 'transaction' }>
type OfCard = Extract<FeatureDefinition, { readonly entity: 'card' }>

/** A card's past, oldest first: the newest events singly, earlier ones by hour only. */
export interface NaiveCard {
  readonly singles: readonly Past[]
  readonly merged: readonly Past[]
}

const SPEED_KMH_MAX = 100_000

export function transactionValue({ aggregate }: OfTransaction, own: Past): number {
  const { weekday, hour, hoursOfDay } = localTimeOf(own.transaction)
  const { channel } = own.transaction
  switch (aggregate) {
    case 'amount':
      return own.amountMinor / 100
    case 'weekend':
      return weekday === 0 || weekday === 6 ? 1 : 0
    case 'night':
      return hour < 7 ? 1 : 0
    case 'hour':
      return hoursOfDay
    case 'card_not_present':
      if (channel === null || channel === 'unknown') return NaN
      return channel === 'ecommerce' || channel === 'moto' ? 1 : 0
    case 'category_code':
      return naiveCode(own.transaction.merchantCategory)
  }
}

function naiveCode(category: string | null): number {
  if (category === null) return NaN
  return /^\d{4}$/.test(category) ? Number(category) : 1e6 + (hashOf(category) % 9e6)
}

/** The value by the definition; NaN is absent. */
export function cardValue(definition: OfCard, own: Past, card: NaiveCard): number {
  const { windowMs, longWindowMs = windowMs, of } = definition
  const past = new NaiveWindow(own, card, windowMs)
  const nameAt = ({ transaction }: Past): string | null =>
    of === undefined ? null : nameOf(transaction, of)
  const named = past.singles.filter((each) => nameAt(each) !== null)
  const name = nameAt(own)
  return VALUES[definition.aggregate]({
    own,
    past,
    long: new NaiveWindow(own, card, longWindowMs),
    longShare: windowMs / longWindowMs,
    name,
    names: new Set(named.map(nameAt)),
    same: named.filter((each) => nameAt(each) === name),
  })
}

/** Input to a definition. */
interface Asked {
  readonly own: Past
  readonly past: NaiveWindow
  readonly long: NaiveWindow
  readonly longShare: number
  /** Value that the transaction names; null for none, or when no value is needed. */
  readonly name: string | null
  /** Values named by earlier attempts, and the attempts that name the same value. */
  readonly names: ReadonlySet<string | null>
  readonly same: readonly Past[]
}

/** Aggregates that need single events use these: merged events are left out. */
const VALUES: Readonly<Record<OfCard['aggregate'], (asked: Asked) => number>> = {
  count: ({ past }) => past.countWithOwn,
  attempts: ({ past }) => past.attempts.length + 1,
  sum: ({ past }) => past.sumWithOwn / 100,
  mean: ({ past }) => past.sumWithOwn / past.countWithOwn / 100,
  deviation: ({ past }) => (past.payments.length < 2 ? NaN : deviation(past.amounts) / 100),
  minimum: ({ past }) => (past.payments.length === 0 ? NaN : Math.min(...past.amounts) / 100),
  maximum: ({ past }) => (past.payments.length === 0 ? NaN : Math.max(...past.amounts) / 100),
  ratio_to_mean: ({ own, past }) =>
    past.sum === 0 ? NaN : own.amountMinor / (past.sum / past.payments.length),
  z_score: ({ own, past }) => {
    const spread = deviation(past.amounts)
    if (past.payments.length < 2 || spread === 0) return NaN
    return (own.amountMinor - past.sum / past.payments.length) / spread
  },
  quantile: ({ own, past }) => {
    const below = past.singlePayments.filter((each) => each.amountMinor < own.amountMinor)
    const equal = past.singlePayments.filter((each) => each.amountMinor === own.amountMinor)
    return (below.length + equal.length / 2) / past.singlePayments.length
  },
  count_ratio: ({ past, long, longShare }) => past.countWithOwn / (long.countWithOwn * longShare),
  sum_ratio: ({ past, long, longShare }) =>
    long.sumWithOwn === 0 ? NaN : past.sumWithOwn / (long.sumWithOwn * longShare),
  seconds_since_last: ({ own, past }) => secondsSince(own, past.singles),
  distinct: ({ name, names }) => (name === null ? NaN : new Set([...names, name]).size),
  is_new: ({ name, names, same }) => {
    if (name === null || names.size === 0) return NaN
    return same.length === 0 ? 1 : 0
  },
  hour_share: ({ own, past }) => {
    const local = localTimeOf(own.transaction)
    return shareOf(past.singlePayments, (each) => minutesApart(local, each) <= 60)
  },
  weekday_share: ({ own, past }) => {
    const { weekday } = localTimeOf(own.transaction)
    return shareOf(past.singlePayments, (each) => each.weekday === weekday)
  },
  speed: ({ own, past }) => {
    const [km, hours] = journey(own, past.singles)
    return km === 0 ? 0 : Math.min(SPEED_KMH_MAX, km / hours)
  },
  distance: ({ own, past }) => journey(own, past.singles)[0],
  declines: ({ past }) => past.singles.filter(isDeclined).length,
  declined_then_retried: ({ past }) =>
    past.singles.filter((each) => isDeclined(each) && past.isTriedAgain(each)).length,
  just_under_limit: ({ past, long }) => {
    const declined = long.singles.filter(isDeclined).map((each) => each.amountMinor)
    if (declined.length === 0) return NaN
    const limit = Math.min(...declined)
    const isJustUnder = (each: Past): boolean =>
      !isDeclined(each) && each.amountMinor < limit && 10 * each.amountMinor >= 9 * limit
    return [...past.singlePayments, ...past.ownPayments].filter(isJustUnder).length
  },
  pair_count: ({ name, past, same }) =>
    name === null ? NaN : same.filter((each) => !each.isRetry).length + past.ownPayments.length,
  pair_seconds_since_last: ({ own, name, same }) => (name === null ? NaN : secondsSince(own, same)),
}

function secondsSince(own: Past, before: readonly Past[]): number {
  const last = before.at(-1)
  return last === undefined ? NaN : (own.timeMs - last.timeMs) / 1_000
}

function shareOf(payments: readonly Past[], isAlike: (local: LocalTime) => boolean): number {
  const alike = payments.filter(({ transaction }) => isAlike(localTimeOf(transaction)))
  return alike.length / payments.length
}

/** Events in (t - windowMs, t] that come before the transaction. */
class NaiveWindow {
  readonly singles: readonly Past[]
  readonly attempts: readonly Past[]
  readonly #own: Past
  readonly #all: readonly Past[]

  constructor(own: Past, { singles, merged }: NaiveCard, windowMs: number) {
    const before = singles.filter((each) => compareEvents(each, own) < 0)
    this.#own = own
    this.#all = before
    this.singles = before.filter((each) => isWithin(each.timeMs, own.timeMs, windowMs))
    const hours = merged.filter((each) => isWithin(hourStartMs(each.timeMs), own.timeMs, windowMs))
    this.attempts = [...hours, ...this.singles]
  }

  get payments(): readonly Past[] {
    return this.attempts.filter((each) => !each.isRetry)
  }

  get singlePayments(): readonly Past[] {
    return this.singles.filter((each) => !each.isRetry)
  }

  get ownPayments(): readonly Past[] {
    return this.#own.isRetry ? [] : [this.#own]
  }

  get amounts(): readonly number[] {
    return this.payments.map((each) => each.amountMinor)
  }

  get sum(): number {
    return this.amounts.reduce((sum, amount) => sum + amount, 0)
  }

  get sumWithOwn(): number {
    return this.sum + (this.#own.isRetry ? 0 : this.#own.amountMinor)
  }

  get countWithOwn(): number {
    return this.payments.length + this.ownPayments.length
  }

  /** The next attempt, which may be the transaction itself, comes within ten minutes. */
  isTriedAgain(declined: Past): boolean {
    const next = [...this.#all, this.#own].find((each) => compareEvents(each, declined) > 0)
    return next !== undefined && next.timeMs - declined.timeMs <= 10 * MINUTE_MS
  }
}

/** Distance from the previous place, and the hours since. */
function journey(own: Past, before: readonly Past[]): readonly [number, number] {
  const { latitude, longitude } = own.transaction
  const from = before.findLast(({ transaction }) => transaction.latitude !== null)
  if (from === undefined || latitude === null || longitude === null) return [NaN, NaN]
  const { latitude: fromLatitude, longitude: fromLongitude } = from.transaction
  const km = arcKm(fromLatitude ?? 0, fromLongitude ?? 0, latitude, longitude)
  return [km, (own.timeMs - from.timeMs) / HOUR_MS]
}

function isDeclined({ transaction }: Past): boolean {
  return transaction.authorisation === 'declined'
}

export function nameOf(transaction: Transaction, reference: Reference): string | null {
  if (reference === 'network') return transaction.ipNetwork
  return reference === 'category' ? transaction.merchantCategory : transaction[reference]
}

/** Population standard deviation, from exact integers: the root of n * sum(x^2) - sum(x)^2, over n. */
function deviation(amounts: readonly number[]): number {
  const exact = amounts.map(BigInt)
  const sum = exact.reduce((total, each) => total + each, 0n)
  const squares = exact.reduce((total, each) => total + each * each, 0n)
  return Math.sqrt(Number(BigInt(amounts.length) * squares - sum * sum)) / amounts.length
}
