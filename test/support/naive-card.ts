// Features of the transaction itself and of its card's past, each from the list of everything before it. Tests only.

/* eslint-disable @typescript-eslint/switch-exhaustiveness-check -- every aggregate is in one of several switches */

import type {
  FeatureDefinition,
  Reference,
} from '../../services/core/features/feature-definition.ts'
import type { Transaction } from '../../services/core/transaction.ts'
import {
  compareEvents,
  hourStartMs,
  HOUR_MS,
  isWithin,
  MINUTE_MS,
  type Past,
} from './naive-past.ts'
import { arcKm, localTimeOf, minutesApart } from './naive-place-and-time.ts'

type OfTransaction = Extract<FeatureDefinition, { readonly entity: 'transaction' }>
type OfCard = Extract<FeatureDefinition, { readonly entity: 'card' }>

/** A card's past, oldest first: the newest singly, those before them only by the hour. */
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
  }
}

/** The value by the definition; NaN is absent. */
export function cardValue(definition: OfCard, own: Past, card: NaiveCard): number {
  const { aggregate, windowMs, of, longWindowMs } = definition
  const past = new NaiveWindow(own, card, windowMs)
  const long = new NaiveWindow(own, card, longWindowMs ?? windowMs)
  const longShare = windowMs / (longWindowMs ?? windowMs)
  switch (aggregate) {
    case 'count':
      return past.payments.length + past.ownPayments.length
    case 'attempts':
      return past.attempts.length + 1
    case 'sum':
      return past.sumWithOwn / 100
    case 'mean':
      return past.sumWithOwn / past.countWithOwn / 100
    case 'deviation':
      return past.payments.length < 2 ? NaN : deviation(past.amounts) / 100
    case 'minimum':
      return past.payments.length === 0 ? NaN : Math.min(...past.amounts) / 100
    case 'maximum':
      return past.payments.length === 0 ? NaN : Math.max(...past.amounts) / 100
    case 'ratio_to_mean':
      return past.sum === 0 ? NaN : own.amountMinor / (past.sum / past.payments.length)
    case 'z_score': {
      const spread = deviation(past.amounts)
      if (past.payments.length < 2 || spread === 0) return NaN
      return (own.amountMinor - past.sum / past.payments.length) / spread
    }
    case 'count_ratio':
      return past.countWithOwn / (long.countWithOwn * longShare)
    case 'sum_ratio':
      return long.sumWithOwn === 0 ? NaN : past.sumWithOwn / (long.sumWithOwn * longShare)
    default:
      return singleValue(aggregate, own, past, long, of)
  }
}

/** Aggregates that need single events: merged ones do not take part. */
function singleValue(
  aggregate: OfCard['aggregate'],
  own: Past,
  past: NaiveWindow,
  long: NaiveWindow,
  of: Reference | undefined,
): number {
  const last = past.singles.at(-1)
  const { singles, singlePayments } = past
  const name = of === undefined ? null : nameOf(own.transaction, of)
  const named = of === undefined ? [] : singles.filter((each) => nameOf(each.transaction, of))
  const same = of === undefined ? [] : named.filter((each) => nameOf(each.transaction, of) === name)
  switch (aggregate) {
    case 'quantile': {
      const below = singlePayments.filter((each) => each.amountMinor < own.amountMinor).length
      const equal = singlePayments.filter((each) => each.amountMinor === own.amountMinor).length
      return (below + equal / 2) / singlePayments.length
    }
    case 'seconds_since_last':
      return last === undefined ? NaN : (own.timeMs - last.timeMs) / 1_000
    case 'distinct': {
      if (of === undefined || name === null) return NaN
      return new Set([...named.map((each) => nameOf(each.transaction, of)), name]).size
    }
    case 'is_new':
      if (name === null || named.length === 0) return NaN
      return same.length === 0 ? 1 : 0
    case 'pair_count':
      if (name === null) return NaN
      return same.filter((each) => !each.isRetry).length + past.ownPayments.length
    case 'pair_seconds_since_last': {
      const lastSame = same.at(-1)
      if (name === null || lastSame === undefined) return NaN
      return (own.timeMs - lastSame.timeMs) / 1_000
    }
    case 'hour_share':
    case 'weekday_share': {
      const local = localTimeOf(own.transaction)
      const alike = singlePayments.filter((each) => {
        const other = localTimeOf(each.transaction)
        return aggregate === 'hour_share'
          ? minutesApart(local, other) <= 60
          : other.weekday === local.weekday
      })
      return alike.length / singlePayments.length
    }
    case 'speed':
    case 'distance':
      return journey(aggregate, own, singles)
    case 'declines':
      return singles.filter(isDeclined).length
    case 'declined_then_retried':
      return past.singles.filter((each) => isDeclined(each) && past.isTriedAgain(each)).length
    case 'just_under_limit': {
      const declined = long.singles.filter(isDeclined).map((each) => each.amountMinor)
      if (declined.length === 0) return NaN
      const limit = Math.min(...declined)
      const isJustUnder = (each: Past): boolean =>
        !isDeclined(each) && each.amountMinor < limit && 10 * each.amountMinor >= 9 * limit
      return [...singlePayments, ...past.ownPayments].filter(isJustUnder).length
    }
    default:
      throw new Error(`The oracle does not know ${aggregate}.`)
  }
}

/** What lies in (t - windowMs, t] and comes before the transaction. */
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

function journey(aggregate: 'speed' | 'distance', own: Past, before: readonly Past[]): number {
  const { latitude, longitude } = own.transaction
  const from = before.findLast(({ transaction }) => transaction.latitude !== null)
  if (from === undefined || latitude === null || longitude === null) return NaN
  const { latitude: fromLatitude, longitude: fromLongitude } = from.transaction
  const km = arcKm(fromLatitude ?? 0, fromLongitude ?? 0, latitude, longitude)
  if (aggregate === 'distance') return km
  if (km === 0) return 0
  return Math.min(SPEED_KMH_MAX, km / ((own.timeMs - from.timeMs) / HOUR_MS))
}

function isDeclined({ transaction }: Past): boolean {
  return transaction.authorisation === 'declined'
}

export function nameOf(transaction: Transaction, reference: Reference): string | null {
  switch (reference) {
    case 'network':
      return transaction.ipNetwork
    case 'category':
      return transaction.merchantCategory
    default:
      return transaction[reference]
  }
}

/** Of a population, from exact integers: the root of n * sum(x^2) - sum(x)^2, over n. */
function deviation(amounts: readonly number[]): number {
  const exact = amounts.map(BigInt)
  const sum = exact.reduce((total, each) => total + each, 0n)
  const squares = exact.reduce((total, each) => total + each * each, 0n)
  return Math.sqrt(Number(BigInt(amounts.length) * squares - sum * sum)) / amounts.length
}
