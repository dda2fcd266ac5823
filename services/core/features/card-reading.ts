// One pass over a card's history for one transaction: all card windows, the last payment, duplicates, retries.
// Hot path: no allocation besides the reading itself, which the caller reuses.

import {
  CARD_RAW_MAX,
  CARD_RETAIN_MS,
  type CardHistory,
  type StoredOutcome,
} from './card-history.ts'
import { BUCKET_MS, CARD_REACH_MS, DAY_MS, HOUR_MS, bucketStartMs } from './time.ts'

/** The card windows, shortest first. Each is (t - window, t]. */
const WINDOWS_MS = [HOUR_MS, DAY_MS, 7 * DAY_MS, CARD_REACH_MS] as const
export const WINDOW_1H = 0
export const WINDOW_1D = 1
export const WINDOW_7D = 2
export const WINDOW_30D = 3

/** What the features need to know of the current transaction. */
export interface CardQuery {
  readonly timeMs: number
  readonly offset: number
  readonly idRef: number
  readonly intentRef: number
  readonly deviceRef: number
  readonly hasPlace: boolean
}

/** What the visible history holds, the current transaction not included. */
export class CardReading {
  /** Per window: purchases (retries left out), their sum, and attempts (retries counted). */
  readonly counts = [0, 0, 0, 0]
  readonly sumsMinor = [0, 0, 0, 0]
  readonly attempts = [0, 0, 0, 0]
  /** Index of the newest visible event at or before the transaction within reach; -1 for none. */
  lastIndex = -1
  /** Index of the newest such event that has a place; -1 for none. */
  lastPlaceIndex = -1
  hasDeviceHistory = false
  isDeviceKnown = false
  isRetry = false
  /** Offset of the first event with the same transaction id, or -1. */
  duplicateOfOffset = -1
  duplicateOutcome: StoredOutcome = 0
  /**
   * A merged hour lies across an end of a window, so that counts are off by at most that hour; or what was
   * looked for singly (last payment, its place, the device) was not found, and merged events may have had it.
   */
  isApproximate = false
  #newestMs = -Infinity
  #horizonMs = -Infinity
  #hasMerged = false

  /** Reads the events of `history` with an offset below the query's. */
  read(history: CardHistory, query: CardQuery): void {
    this.#reset()
    this.#newestMs = newestVisibleMs(history, query.offset)
    this.#horizonMs = this.#newestMs - CARD_RETAIN_MS
    let rank = 0
    for (let index = history.eventCount - 1; index >= 0; index -= 1) {
      if ((history.offsets[index] ?? 0) >= query.offset) continue
      rank += 1
      if (rank > CARD_RAW_MAX) this.#addMerged(history, index, query.timeMs)
      else this.#addRaw(history, index, query)
    }
    for (const bucket of history.buckets) {
      this.#add(bucket.startMs, query.timeMs, bucket.attempts, bucket.count, bucket.sumMinor, true)
    }
    for (let window = 1; window < WINDOWS_MS.length; window += 1) {
      this.counts[window] = (this.counts[window] ?? 0) + (this.counts[window - 1] ?? 0)
      this.sumsMinor[window] = (this.sumsMinor[window] ?? 0) + (this.sumsMinor[window - 1] ?? 0)
      this.attempts[window] = (this.attempts[window] ?? 0) + (this.attempts[window - 1] ?? 0)
    }
    const isMissing =
      this.lastIndex < 0 ||
      (query.hasPlace && this.lastPlaceIndex < 0) ||
      (query.deviceRef !== 0 && !this.isDeviceKnown)
    if (this.#hasMerged && isMissing) this.isApproximate = true
  }

  #addRaw(history: CardHistory, index: number, query: CardQuery): void {
    const timeMs = history.timesMs[index] ?? 0
    if (timeMs < this.#horizonMs) return
    if (history.idRefs[index] === query.idRef) {
      this.duplicateOfOffset = history.offsets[index] ?? -1
      this.duplicateOutcome = history.outcomeAt(index)
    }
    if (query.intentRef !== 0 && history.intentRefs[index] === query.intentRef) this.isRetry = true
    if (timeMs > query.timeMs || timeMs <= query.timeMs - CARD_REACH_MS) return
    if (this.lastIndex < 0) this.lastIndex = index
    if (this.lastPlaceIndex < 0 && history.hasPlaceAt(index)) this.lastPlaceIndex = index
    const deviceRef = history.deviceRefs[index] ?? 0
    if (deviceRef !== 0) {
      this.hasDeviceHistory = true
      if (deviceRef === query.deviceRef) this.isDeviceKnown = true
    }
    const isRetry = history.isRetryAt(index)
    const amountMinor = history.amountsMinor[index] ?? 0
    this.#add(timeMs, query.timeMs, 1, isRetry ? 0 : 1, isRetry ? 0 : amountMinor, false)
  }

  #addMerged(history: CardHistory, index: number, queryMs: number): void {
    const isRetry = history.isRetryAt(index)
    const amountMinor = history.amountsMinor[index] ?? 0
    const startMs = bucketStartMs(history.timesMs[index] ?? 0)
    this.#add(startMs, queryMs, 1, isRetry ? 0 : 1, isRetry ? 0 : amountMinor, true)
  }

  /** Adds to the shortest window that holds `timeMs`; `read` sums them up at the end. */
  #add(
    timeMs: number,
    queryMs: number,
    attempts: number,
    count: number,
    sumMinor: number,
    isMerged: boolean,
  ): void {
    if (timeMs > queryMs || timeMs < this.#horizonMs) return
    const ageMs = queryMs - timeMs
    // A late transaction may stand inside a merged hour, part of which comes after it.
    if (isMerged && ageMs < BUCKET_MS && queryMs < this.#newestMs) this.isApproximate = true
    for (let window = 0; window < WINDOWS_MS.length; window += 1) {
      const windowMs = WINDOWS_MS[window] ?? 0
      if (ageMs < windowMs) {
        this.counts[window] = (this.counts[window] ?? 0) + count
        this.sumsMinor[window] = (this.sumsMinor[window] ?? 0) + sumMinor
        this.attempts[window] = (this.attempts[window] ?? 0) + attempts
        if (isMerged) this.#hasMerged = true
        return
      }
      if (isMerged && ageMs - windowMs < BUCKET_MS) this.isApproximate = true
    }
  }

  #reset(): void {
    this.counts.fill(0)
    this.sumsMinor.fill(0)
    this.attempts.fill(0)
    this.lastIndex = -1
    this.lastPlaceIndex = -1
    this.hasDeviceHistory = false
    this.isDeviceKnown = false
    this.isRetry = false
    this.duplicateOfOffset = -1
    this.duplicateOutcome = 0
    this.isApproximate = false
    this.#hasMerged = false
  }
}

function newestVisibleMs(history: CardHistory, offset: number): number {
  for (let index = history.eventCount - 1; index >= 0; index -= 1) {
    if ((history.offsets[index] ?? 0) < offset) return history.timesMs[index] ?? 0
  }
  return -Infinity
}
