// Aggregates of a card's history for one transaction: the inputs of all card features. Hot path: no allocation, the
// object is reused.
//
// Windows are nested and events are in order of time. So each window begins at an index (`firsts`) and contains the
// events from there up to the transaction. Every kind of sum is one loop backwards over the events, from each window to
// the next longer one. A plan runs only the loops that its features need.

import type { CardEvent } from '../state/card-event.ts'
import { COLUMN, FLAG } from '../state/card-columns.ts'
import { type CardHistory } from '../state/card-history.ts'
import { CARD_RAW_MAX, CARD_RETAIN_MS } from '../state/card-limits.ts'
import type { CardPlan } from './card-plan.ts'
import { CardSums } from './card-sums.ts'
import { HourlyBuckets } from '../state/hourly-buckets.ts'
import { SquareSum } from '../state/squares.ts'
import { DAY_MS, MINUTE_MS } from '../catalogue/time.ts'

/** A declined attempt counts as retried if the next attempt follows within this time. */
const RETRY_AFTER_DECLINE_MS = 10 * MINUTE_MS

const DAY_MINUTES = 1_440

/** Aggregates of the card's earlier events, per window. The transaction itself is not included. */
export class CardAggregates extends CardSums {
  /** Number of events of the history before the transaction. */
  rank = 0
  /** Index of the newest event in the reach, and of the newest with a place; -1 for none. */
  lastIndex = -1
  lastPlaceIndex = -1
  /** Windows from this index on reach further back than the stored history. */
  expiredFrom = Infinity
  /** True if merged events may make an aggregate differ from its exact value. */
  isApproximate = false

  readonly #plan: CardPlan
  readonly #hasSpread: boolean
  readonly #windowsMs: Float64Array
  /** Bitwise or of the flags of all events in the reach. */
  #flags = 0
  readonly #total = new SquareSum()
  readonly #merged: HourlyBuckets

  constructor(plan: CardPlan) {
    super(plan)
    this.#plan = plan
    this.#hasSpread = plan.hasExtremes || plan.hasSquares || plan.hasQuantile
    this.#windowsMs = Float64Array.from(plan.windowsMs)
    this.#merged = new HourlyBuckets(this.#windowsMs)
  }

  /** Reads the events before `event` by (time, id hash). `event` can be part of the history or new to it. */
  read(history: CardHistory, event: CardEvent): void {
    const { timeMs } = event
    const { hasRhythm, hasDeclines } = this.#plan
    const rank = history.rankOf(timeMs, event.idHash)
    const horizonMs = history.newestMs - CARD_RETAIN_MS
    this.rank = rank
    this.isApproximate = false
    this.expiredFrom = this.#firstBefore(timeMs, horizonMs)
    const oldest = this.#sumAmounts(history, timeMs, rank, horizonMs)
    this.lastIndex = oldest < rank ? rank - 1 : -1
    if (this.#hasSpread) this.#readSpread(history, event.amountMinor, rank)
    this.lastPlaceIndex = (this.#flags & FLAG.place) === 0 ? -1 : lastPlace(history, rank)
    if (hasRhythm) this.#readRhythm(history, timeMs + event.utcOffsetMinutes * MINUTE_MS, rank)
    if (hasDeclines) this.#readDeclines(history, timeMs, rank)
    for (const reference of this.references) {
      reference.read(history, event, rank, oldest, this.firsts)
    }
    this.#readMerged(history, timeMs, oldest, horizonMs)
  }

  /** Index of the first window that begins before the horizon; Infinity for none. */
  #firstBefore(timeMs: number, horizonMs: number): number {
    const windowsMs = this.#windowsMs
    const last = windowsMs.length - 1
    if (timeMs - (windowsMs[last] ?? 0) >= horizonMs) return Infinity
    let window = 0
    while (window < last && timeMs - (windowsMs[window] ?? 0) >= horizonMs) window += 1
    return window
  }

  /**
   * Computes the begin of each window among the single events, and its sums. Returns the begin of the longest window.
   */
  #sumAmounts(history: CardHistory, timeMs: number, rank: number, horizonMs: number): number {
    const { data, stride } = history
    const windowsMs = this.#windowsMs
    const { firsts, attempts, singles, counts, sumsMinor } = this
    let oldest = Math.max(0, history.count - CARD_RAW_MAX)
    while (oldest < rank && (data[oldest * stride] ?? 0) < horizonMs) oldest += 1
    let allFlags = 0
    let count = 0
    let sumMinor = 0
    let first = rank
    for (let window = 0; window < windowsMs.length; window += 1) {
      const startMs = timeMs - (windowsMs[window] ?? 0)
      for (; first > oldest; first -= 1) {
        const base = (first - 1) * stride
        if ((data[base] ?? 0) <= startMs) break
        const flags = data[base + COLUMN.flags] ?? 0
        allFlags |= flags
        if ((flags & FLAG.retry) !== 0) continue
        count += 1
        sumMinor += data[base + COLUMN.amount] ?? 0
      }
      firsts[window] = first
      attempts[window] = rank - first
      singles[window] = count
      counts[window] = count
      sumsMinor[window] = sumMinor
    }
    this.#flags = allFlags
    return first
  }

  /**
   * Computes the distribution of payment amounts: extremes, squares, and the numbers below and equal to the
   * transaction's own.
   */
  #readSpread(history: CardHistory, ownMinor: number, rank: number): void {
    const { data, stride } = history
    const { firsts, minimaMinor, maximaMinor, smaller, equal, squares } = this
    const { hasSquares } = this.#plan
    const total = this.#total
    let minimumMinor = Infinity
    let maximumMinor = 0
    let below = 0
    let same = 0
    total.reset()
    let index = rank - 1
    for (let window = 0; window < firsts.length; window += 1) {
      const first = firsts[window] ?? 0
      for (; index >= first; index -= 1) {
        const base = index * stride
        if (((data[base + COLUMN.flags] ?? 0) & FLAG.retry) !== 0) continue
        const amountMinor = data[base + COLUMN.amount] ?? 0
        if (amountMinor < minimumMinor) minimumMinor = amountMinor
        if (amountMinor > maximumMinor) maximumMinor = amountMinor
        if (amountMinor < ownMinor) below += 1
        else if (amountMinor === ownMinor) same += 1
        if (hasSquares) total.addSquareOf(amountMinor)
      }
      minimaMinor[window] = minimumMinor
      maximaMinor[window] = maximumMinor
      smaller[window] = below
      equal[window] = same
      if (hasSquares) squares[window]?.copy(total)
    }
  }

  /** Counts payments within an hour of the transaction's time of day, and on its weekday. */
  #readRhythm(history: CardHistory, ownLocalMs: number, rank: number): void {
    const { data, stride } = history
    const { firsts, sameHour, sameWeekday } = this
    const isWide = COLUMN.utcOffset < stride
    const ownMinutes = Math.floor(ownLocalMs / MINUTE_MS)
    const ownDays = Math.floor(ownLocalMs / DAY_MS)
    let inHour = 0
    let onWeekday = 0
    let index = rank - 1
    for (let window = 0; window < firsts.length; window += 1) {
      const first = firsts[window] ?? 0
      for (; index >= first; index -= 1) {
        const base = index * stride
        if (((data[base + COLUMN.flags] ?? 0) & FLAG.retry) !== 0) continue
        const offsetMs = isWide ? (data[base + COLUMN.utcOffset] ?? 0) * MINUTE_MS : 0
        const localMs = (data[base] ?? 0) + offsetMs
        // Both times are within the reach, so the difference is a small integer.
        const apart = Math.abs((ownMinutes - Math.floor(localMs / MINUTE_MS)) | 0) % DAY_MINUTES
        if (apart <= 60 || apart >= DAY_MINUTES - 60) inHour += 1
        if (((ownDays - Math.floor(localMs / DAY_MS)) | 0) % 7 === 0) onWeekday += 1
      }
      sameHour[window] = inHour
      sameWeekday[window] = onWeekday
    }
  }

  #readDeclines(history: CardHistory, timeMs: number, rank: number): void {
    const { firsts, declines, triedAgain } = this
    this.limitMinor = Infinity
    if ((this.#flags & FLAG.declined) === 0) {
      declines.fill(0)
      triedAgain.fill(0)
      return
    }
    const { data, stride } = history
    let declined = 0
    let again = 0
    let nextMs = timeMs
    let index = rank - 1
    for (let window = 0; window < firsts.length; window += 1) {
      const first = firsts[window] ?? 0
      for (; index >= first; index -= 1) {
        const base = index * stride
        const eventMs = data[base] ?? 0
        if (((data[base + COLUMN.flags] ?? 0) & FLAG.declined) !== 0) {
          declined += 1
          this.limitMinor = Math.min(this.limitMinor, data[base + COLUMN.amount] ?? 0)
          if (nextMs - eventMs <= RETRY_AFTER_DECLINE_MS) again += 1
        }
        nextMs = eventMs
      }
      declines[window] = declined
      triedAgain[window] = again
    }
    this.#countUnderLimit(history, rank)
  }

  /** Runs after #readDeclines, which finds the limit. */
  #countUnderLimit(history: CardHistory, rank: number): void {
    const { data, stride } = history
    const { firsts, underLimit } = this
    let count = 0
    let index = rank - 1
    for (let window = 0; window < firsts.length; window += 1) {
      const first = firsts[window] ?? 0
      for (; index >= first; index -= 1) {
        const base = index * stride
        if (((data[base + COLUMN.flags] ?? 0) & (FLAG.retry | FLAG.declined)) !== 0) continue
        if (this.isUnderLimit(data[base + COLUMN.amount] ?? 0)) count += 1
      }
      underLimit[window] = count
    }
  }

  /** Whether an amount is at least nine tenths of the limit and below it. Integer arithmetic. */
  isUnderLimit(amountMinor: number): boolean {
    return amountMinor < this.limitMinor && 10 * amountMinor >= 9 * this.limitMinor
  }

  /**
   * Adds events that count by the hour. Aggregates that need single events do not include them, so the result is
   * approximate.
   */
  #readMerged(history: CardHistory, timeMs: number, oldest: number, horizonMs: number): void {
    const oldestRaw = Math.max(0, history.count - CARD_RAW_MAX)
    // Merged events are older than an event that is already outside the reach.
    if (oldest > oldestRaw) return
    // All events of an hour count, merged or not, and before the transaction or after it.
    const from = oldestRaw - 1
    if (from < 0 && history.buckets.length === 0) return
    const merged = this.#merged
    merged.read(history, timeMs, from, horizonMs)
    if (!merged.isUsed) return
    const { hasSquares } = this.#plan
    this.isApproximate = true
    for (let window = 0; window < this.attempts.length; window += 1) {
      this.attempts[window] = (this.attempts[window] ?? 0) + (merged.attempts[window] ?? 0)
      this.counts[window] = (this.counts[window] ?? 0) + (merged.counts[window] ?? 0)
      this.sumsMinor[window] = (this.sumsMinor[window] ?? 0) + (merged.sumsMinor[window] ?? 0)
      const [minimum, maximum] = [merged.minimaMinor[window], merged.maximaMinor[window]]
      this.minimaMinor[window] = Math.min(this.minimaMinor[window] ?? Infinity, minimum ?? Infinity)
      this.maximaMinor[window] = Math.max(this.maximaMinor[window] ?? 0, maximum ?? 0)
      const sum = merged.squares[window]
      if (hasSquares && sum !== undefined) this.squares[window]?.add(sum.high, sum.low)
    }
  }
}

/** Index of the newest event with a place among those before the transaction. */
function lastPlace({ data, stride }: CardHistory, rank: number): number {
  let index = rank - 1
  while (index >= 0 && ((data[index * stride + COLUMN.flags] ?? 0) & FLAG.place) === 0) index -= 1
  return index
}
