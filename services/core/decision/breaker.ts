// The breaker: caps how much of the traffic is blocked. When the next block would exceed a cap it trips, and all that
// would be blocked from then on is flagged instead, until a person has reset it. It knows nothing but the order of
// what it is asked and event time, so a replay of the log trips it at the same transaction.

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

/** Which cap a block would have exceeded. Closed list: also a metric label. */
export const BREAKER_CAPS = ['blocks_per_minute', 'traffic_share', 'value_share'] as const
export type BreakerCap = (typeof BREAKER_CAPS)[number]

/** Breakers of one policy; their state must fit beside a committed offset. */
export const BREAKERS_MAX = 8

const MINUTE_MS = 60_000
const ALL = 'all'
const RESETS_MAX = 36 ** 6 - 1
/** Fields of the window of shares. */
const TRANSACTIONS = 0
const BLOCKS = 1
const VALUE = 2
const BLOCKED_VALUE = 3

/** One partition's share of what all partitions together may do: the shares of all partitions add up to `total`. */
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
  /** Number of resets by people when this breaker tripped; null while it is closed. */
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

  /** True when blocks are flags now, people having reset breakers this often. */
  isOpen(resets: number): boolean {
    return this.#trippedAt !== null && resets <= this.#trippedAt
  }

  /** To be called before anything else, with times that never go back. */
  moveTo(partitionTimeMs: number): void {
    moveTo(this.#minute, partitionTimeMs)
    moveTo(this.#shares, partitionTimeMs)
  }

  /** A transaction of the breaker's part of the traffic. To be called before it is asked for a block. */
  sees(amountMinor: number): void {
    addTo(this.#shares, TRANSACTIONS, 1)
    addTo(this.#shares, VALUE, amountMinor)
  }

  /** The cap that one block more would exceed; null when there is room. */
  capExceeded(amountMinor: number): BreakerCap | null {
    const { trafficShareMax, valueShareMax, sampleMin } = this.#limits
    if (sumOf(this.#minute, 0) + 1 > this.#blocksPerMinuteMax) return 'blocks_per_minute'
    // Below the sample size the limit is that of a full sample: a share of little traffic alone would mean nothing.
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

  /** Counts a block that `capExceeded` had nothing against. */
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

  /** Goes on from what was encoded. A window of another length begins anew; a trip stands. */
  restore(text: string): void {
    const [tripped = '', minute = '', window = '', shares = ''] = text.split(';')
    this.#trippedAt = tripOf(tripped)
    decodeWindow(minute, this.#minute)
    if (window === this.#limits.windowMs.toString(36)) decodeWindow(shares, this.#shares)
  }
}

/** Names the state of a breaker: by its part of the traffic, so that a trip outlives a change of the limits. */
export function breakerKey(segment: string | null): string {
  if (segment === null) return ALL
  const isShort = /^[a-z0-9_-]{1,12}$/.test(segment) && segment !== ALL
  return isShort ? segment : `#${hashOf(segment).toString(36)}`
}

/** Status shown to people of a breaker whose limits are not at hand. */
export interface BreakerStatus {
  /** `all`, the name of a short segment, or `#` and a hash of a long one. */
  readonly part: string
  /** Number of resets when it tripped; null while it is closed. */
  readonly trippedAt: number | null
  readonly blocksInMinute: number
}

/** Reads what `Breaker.encode` gave. */
export function statusOf(part: string, text: string): BreakerStatus {
  const [tripped = '', minute = ''] = text.split(';')
  const window = openMinute()
  decodeWindow(minute, window)
  return { part, trippedAt: tripOf(tripped), blocksInMinute: sumOf(window, 0) }
}

/** One bucket more than a minute has: the oldest is within the minute only in part. */
function openMinute(): EventWindow {
  return openWindow(MINUTE_MS / BUCKETS, BUCKETS + 1, [COUNT_MAX])
}

function tripOf(text: string): number | null {
  return /^[0-9a-z]{1,6}$/.test(text) ? parseInt(text, 36) : null
}
