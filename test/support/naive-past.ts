// State of the feature oracle, and the two questions of all its definitions: which events come before, and which are in
// a window. Tests only.

import { hashOf } from '../../services/core/id-hash.ts'
import type { Transaction } from '../../services/core/transaction.ts'

export const MINUTE_MS = 60_000
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS

/** Documented limits, repeated here: changing one in the code alone must fail. */
export const CARD_SINGLES_MAX = 512
export const HOUR_SINGLES_MAX = 16
export const HOUR_CARDS_MAX = 32
export const LATENESS_MS = 3 * DAY_MS
export const PARTITION_REACH_MS = 37 * DAY_MS
/** Events of an entity in a partition, before the hour of its newest event there. */
export const ENTITY_KEPT_MS = 40 * DAY_MS + 4 * HOUR_MS

/** One transaction that was counted. */
export interface Past {
  readonly partition: number
  readonly offset: number
  readonly transaction: Transaction
  readonly timeMs: number
  readonly amountMinor: number
  readonly idHash: number
  readonly countsAtEntities: boolean
  /** Once a retry, always a retry: later events can only add retries. */
  isRetry: boolean
}

/** Frontier of a transaction: it sees the offsets of each partition below these. */
export interface NaiveFrontier {
  readonly nextOffset: number
  readonly labelNextOffset: number
}

/** Order of events: by time, then by the hash of the id. */
export function compareEvents(
  a: { readonly timeMs: number; readonly idHash: number },
  b: { readonly timeMs: number; readonly idHash: number },
): number {
  return a.timeMs - b.timeMs || a.idHash - b.idHash
}

/** The window (toMs - windowMs, toMs]. */
export function isWithin(timeMs: number, toMs: number, windowMs: number): boolean {
  return timeMs > toMs - windowMs && timeMs <= toMs
}

export function hourStartMs(timeMs: number): number {
  return Math.floor(timeMs / HOUR_MS) * HOUR_MS
}

/** A retry comes after an attempt of the same intent, by at most a day. */
export function isRetryOf(later: Past, earlier: Past): boolean {
  const { intentId } = later.transaction
  return (
    intentId !== null &&
    earlier.transaction.intentId === intentId &&
    compareEvents(earlier, later) < 0 &&
    later.timeMs - earlier.timeMs <= DAY_MS
  )
}

/** The transaction as a past event. */
export function pastOf(
  transaction: Transaction,
  place: { readonly partition: number; readonly offset: number },
  amountMinor: number,
  countsAtEntities: boolean,
): Past {
  return {
    ...place,
    transaction,
    timeMs: transaction.eventTimeMs,
    amountMinor,
    idHash: hashOf(transaction.id),
    countsAtEntities,
    isRetry: false,
  }
}
