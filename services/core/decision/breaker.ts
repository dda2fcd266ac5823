// The breaker caps how much of the traffic is blocked. When the next block would exceed a cap it trips, and later
// blocks become flags until an operator resets it. It depends only on the order of its calls and on event time, so a
// replay of the log trips it at the same transaction.

import type { BreakerLimits } from '../policy/policy-document.ts'
import { hashOf } from '../id-hash.ts'
import {
  addTo,
  BUCKETS,
  COUNT_MAX,
  decodeWindow,
  encodeWindow,
  moveTo,
  openWindow,
  sumOf,
  SUM_MAX,
  type EventWindow,
} from './event-windows.ts'

/** Caps that a block may exceed. Closed list: also a metric label. */
export const BREAKER_CAPS = ['blocks_per_minute', 'traffic_share', 'value_share'] as const
export type BreakerCap = (typeof BREAKER_CAPS)[number]

/** Most breakers of one policy; their state must fit into the metadata of a committed offset. */
export const BREAKERS_MAX = 8

const MINUTE_MS = 60_000
const ALL = 'all'
const RESETS_MAX = 36 ** 6 - 1
/** Fields of the window of shares. */
const TRANSACTIONS = 0
const BLOCKS = 1
const VALUE = 2
const BLOCKED_VALUE = 3

/** One partition's share of a limit for all partitions: the shares add up to `total`. */
export function shareOfPartition(total: number, partition: number, partitionCount: number): number {
  const each = Math.floor(total / partitionCount)
  return each + (partition < total % partitionCount ? 1 : 0)
}

/** One partition's breaker for one part of the traffic. */
export class Breaker {
  readonly #limits: BreakerLimits
  readonly #blocksPerMinuteMax: number
  readonly #minute: EventWindow = openMinute()
  readonly #shares: EventWindow
  /** Number of resets when this breaker tripped; null while it is closed. */
  #trippedAt: number | null = null

  constructor(limits: BreakerLimits, partition: number, partitionCount: number) {
    this.#limits = limits
    const { blocksPerMinuteMax, windowMs } = limits
    this.#blocksPerMinuteMax =
      blocksPerMinuteMax === null
        ? Infinity
        : shareOfPartition(blocksPerMinuteMax, partition, partitionCount)
    const fieldsMax = [COUNT_MAX, COUNT_MAX, SUM_MAX, SUM_MAX]
    this.#shares = openWindow(Math.ceil(windowMs / BUCKETS), BUCKETS, fieldsMax)
  }

  get segment(): string | null {
    return this.#limits.segment
  }

  /** True for traffic of this segment. */
  concerns(segment: string | null): boolean {
    return this.#limits.segment === null || this.#limits.segment === segment
  }

  /** True when blocks become flags, given the number of resets by operators. */
  isOpen(resets: number): boolean {
    return this.#trippedAt !== null && resets <= this.#trippedAt
  }

  /** Must be called first, with times that never decrease. */
  moveTo(partitionTimeMs: number): void {
    moveTo(this.#minute, partitionTimeMs)
    moveTo(this.#shares, partitionTimeMs)
  }

  /** Counts a transaction of the breaker's part of the traffic. Must be called before `capExceeded` for it. */
  sees(amountMinor: number): void {
    addTo(this.#shares, TRANSACTIONS, 1)
    addTo(this.#shares, VALUE, amountMinor)
  }

  /** The cap that one more block would exceed; null when there is room. */
  capExceeded(amountMinor: number): BreakerCap | null {
    const { trafficShareMax, valueShareMax, sampleMin } = this.#limits
    if (sumOf(this.#minute, 0) + 1 > this.#blocksPerMinuteMax) return 'blocks_per_minute'
    // Below the sample size the limit is that of a full sample, since a share of little traffic alone would mean
    // nothing.
    const seen = sumOf(this.#shares, TRANSACTIONS)
    const transactions = Math.max(seen, sampleMin)
    const blocks = sumOf(this.#shares, BLOCKS) + 1
    if (trafficShareMax !== null && blocks > trafficShareMax * transactions) return 'traffic_share'
    const blockedValue = sumOf(this.#shares, BLOCKED_VALUE) + amountMinor
    const value = sumOf(this.#shares, VALUE) * (transactions / Math.max(1, seen))
    return valueShareMax !== null && blockedValue > valueShareMax * value ? 'value_share' : null
  }

  trip(resets: number): void {
    this.#trippedAt = Math.min(resets, RESETS_MAX)
  }

  /** Counts a block that exceeds no cap. */
  blocks(amountMinor: number): void {
    addTo(this.#minute, 0, 1)
    addTo(this.#shares, BLOCKS, 1)
    addTo(this.#shares, BLOCKED_VALUE, amountMinor)
  }

  /** `tripped;minute;window;shares`. */
  encode(): string {
    const tripped = this.#trippedAt === null ? '' : this.#trippedAt.toString(36)
    const window = this.#limits.windowMs.toString(36)
    return [tripped, encodeWindow(this.#minute), window, encodeWindow(this.#shares)].join(';')
  }

  /** Restores an encoded state. A window of another length starts empty; a trip is kept. */
  restore(text: string): void {
    const [tripped = '', minute = '', window = '', shares = ''] = text.split(';')
    this.#trippedAt = tripOf(tripped)
    decodeWindow(minute, this.#minute)
    if (window === this.#limits.windowMs.toString(36)) decodeWindow(shares, this.#shares)
  }
}

/** Key of a breaker's state: its part of the traffic, so that a trip outlives a change of the limits. */
export function breakerKey(segment: string | null): string {
  if (segment === null) return ALL
  const isShort = /^[a-z0-9_-]{1,12}$/.test(segment) && segment !== ALL
  return isShort ? segment : `#${hashOf(segment).toString(36)}`
}

/** Status of a breaker for display, when its limits are not known. */
export interface BreakerStatus {
  /** `all`, the name of a short segment, or `#` and a hash of a long one. */
  readonly part: string
  /** Number of resets when it tripped; null while it is closed. */
  readonly trippedAt: number | null
  readonly blocksInMinute: number
}

/** Reads the result of `Breaker.encode`. */
export function statusOf(part: string, text: string): BreakerStatus {
  const [tripped = '', minute = ''] = text.split(';')
  const window = openMinute()
  decodeWindow(minute, window)
  return { part, trippedAt: tripOf(tripped), blocksInMinute: sumOf(window, 0) }
}

/** One bucket more than a minute has, since only part of the oldest is within the minute. */
function openMinute(): EventWindow {
  return openWindow(MINUTE_MS / BUCKETS, BUCKETS + 1, [COUNT_MAX])
}

function tripOf(text: string): number | null {
  return /^[0-9a-z]{1,6}$/.test(text) ? parseInt(text, 36) : null
}
