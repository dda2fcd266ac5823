// What is remembered of one card: its recent events one by one, older ones merged into hourly buckets of
// integers.
//
// Mental model. Events are ordered by (time, reference of the id). Of all events the newest RAW_MAX count
// singly, all older ones as if they stood at the start of their hour; whether an old one is still stored singly
// or already merged makes no difference to any feature. After a crash the stored value can be ahead of the
// committed offset: a lane that begins drops what it will decide again (`forgetFrom`), and merging is only done to
// events whose offset is committed. Hence every reading is a function of the log alone, however it was cut into
// batches and wherever crashes fell.
//
// An event is settled once it is committed and SETTLE_MS older than the newest committed one. No rule asks for the
// offset, id or intent of such an event any more, so they are forgotten, but for a byte of the id: a label
// may still ask what was decided.

import {
  COLUMN,
  addToBuckets,
  forgetBuckets,
  idCheckOf,
  FLAG,
  SETTLED_OFFSET,
  usedReferences,
} from './card-columns.ts'
import { CardEvents } from './card-events.ts'
import { CARD_RAW_MAX, CARD_RETAIN_MS, REVISABLE_MAX, SETTLE_MS } from './card-limits.ts'
import { keepRetriesOf, unmarkRetriesOf } from './retry-marks.ts'
import { LATENESS_MS } from '../catalogue/time.ts'

/** Events are settled, merged and dropped at least this many at a time: each time moves all rows. */
const TIDY_AT_ONCE = 8

/** The events of a card, and what older ones were merged into. */
export class CardHistory extends CardEvents {
  /** Drops what a lane that begins at this offset will decide again. */
  forgetFrom(offset: number): void {
    if (this.isByOffset && this.causes.size === 0) {
      if (this.count === 0 || this.at(this.count - 1, COLUMN.offset) < offset) return
    }
    this.stored.forget()
    const dropped = new Set<number>()
    for (let index = this.count - 1; index >= this.settledCount; index -= 1) {
      if (this.at(index, COLUMN.offset) < offset) continue
      dropped.add(this.at(index, COLUMN.intent))
      this.remove(index, 1)
    }
    for (const [key, causes] of this.causes) {
      const kept = causes.filter((cause) => cause < offset)
      if (key >= offset || kept.length === 0) this.causes.delete(key)
      else if (kept.length < causes.length) this.causes.set(key, kept)
    }
    if (dropped.size > 0) unmarkRetriesOf(this, dropped)
  }

  /**
   * Makes the history small again: drops what no feature can reach, merges what no longer counts singly, settles
   * what no rule asks for. Only events with an offset below `committedOffset` are touched.
   */
  compact(committedOffset: number, atOnce = TIDY_AT_ONCE): void {
    this.stored.forget()
    const committedCount = this.#committedCount(committedOffset)
    const newestMs = this.#newestCommittedMs(committedOffset, committedCount)
    const horizonMs = newestMs - CARD_RETAIN_MS
    this.#forgetCauses(committedOffset, committedCount, newestMs - LATENESS_MS)
    const excess = committedCount - CARD_RAW_MAX
    const settled = this.#settlable(committedOffset, newestMs - SETTLE_MS, atOnce)
    const expired = this.#expired(horizonMs, atOnce)
    if (Math.max(excess, settled, expired) < atOnce) return
    this.#mergeOldest(committedOffset, excess, horizonMs)
    this.#settle(committedOffset, newestMs - SETTLE_MS)
    if (this.buckets.length > 0) forgetBuckets(this.ownBuckets, horizonMs)
    if (this.references.length > 2 * this.count + 16) this.#forgetReferences()
  }

  /** The one form that all histories of the same log have, however they were cut and compacted. */
  normalise(): void {
    this.compact(Infinity, 0)
    this.#forgetReferences()
  }

  #committedCount(committedOffset: number): number {
    let count = this.count
    if (this.isByOffset) {
      while (count > this.settledCount && this.at(count - 1, COLUMN.offset) >= committedOffset) {
        count -= 1
      }
      return count
    }
    for (let index = this.settledCount; index < this.count; index += 1) {
      if (this.at(index, COLUMN.offset) >= committedOffset) count -= 1
    }
    return count
  }

  /** Time of the newest committed event; -Infinity for none. */
  #newestCommittedMs(committedOffset: number, committedCount: number): number {
    if (committedCount === 0) return -Infinity
    if (this.isByOffset) return this.at(committedCount - 1, COLUMN.time)
    let index = this.count - 1
    // Settled ones have an offset below every other.
    while (this.at(index, COLUMN.offset) >= committedOffset) index -= 1
    return this.at(index, COLUMN.time)
  }

  /** By rank among committed events, so that an event which is decided again finds the same. */
  #forgetCauses(committedOffset: number, committedCount: number, horizonMs: number): void {
    const { causes, settledCount } = this
    if (causes.size === 0) return
    let rank = committedCount - settledCount
    for (let index = settledCount; index < this.count; index += 1) {
      const offset = this.at(index, COLUMN.offset)
      if (offset >= committedOffset) continue
      if (rank > REVISABLE_MAX || this.at(index, COLUMN.time) < horizonMs) causes.delete(offset)
      rank -= 1
    }
  }

  #mergeOldest(committedOffset: number, excess: number, horizonMs: number): void {
    let gone = 0
    while (gone < this.settledCount) {
      const isExpired = this.at(gone, COLUMN.time) < horizonMs
      if (gone >= excess && !isExpired) break
      if (!isExpired) this.#merge(gone)
      gone += 1
    }
    if (gone > 0) this.remove(0, gone)
    // It is seldom that the turn of others comes.
    if (this.settledCount > 0 || this.count === 0) return
    const left = excess - gone
    if (left > 0 || this.at(0, COLUMN.time) < horizonMs) {
      this.#mergeUnsettled(committedOffset, left, horizonMs)
    }
  }

  #mergeUnsettled(committedOffset: number, excess: number, horizonMs: number): void {
    let left = excess
    let index = 0
    while (index < this.count) {
      const offset = this.at(index, COLUMN.offset)
      const isExpired = this.at(index, COLUMN.time) < horizonMs
      if (left <= 0 && !isExpired) break
      if (offset >= committedOffset) {
        index += 1
        continue
      }
      if (!isExpired) this.#merge(index)
      left -= 1
      this.causes.delete(offset)
      this.remove(index, 1)
    }
  }

  /** How many events are older than this, as far as `atOnce` of them. */
  #expired(horizonMs: number, atOnce: number): number {
    let count = 0
    const last = Math.min(this.count, atOnce)
    if (last > 0 && this.at(last - 1, COLUMN.time) >= horizonMs) return 0
    while (count < last && this.at(count, COLUMN.time) < horizonMs) count += 1
    return count
  }

  /** How many events can be settled, as far as `atOnce` of them. */
  #settlable(committedOffset: number, horizonMs: number, atOnce: number): number {
    const last = Math.min(this.count, this.settledCount + atOnce)
    if (last > this.settledCount && this.at(last - 1, COLUMN.time) >= horizonMs) return 0
    let index = this.settledCount
    for (; index < last; index += 1) {
      if (this.at(index, COLUMN.time) >= horizonMs) break
      if (this.at(index, COLUMN.offset) >= committedOffset) break
    }
    return index - this.settledCount
  }

  /** From the start, as far as everything is committed. */
  #settle(committedOffset: number, horizonMs: number): void {
    const { data, stride, settledCount } = this
    for (let index = settledCount; index < this.count; index += 1) {
      const base = index * stride
      const offset = data[base + COLUMN.offset] ?? 0
      if ((data[base] ?? 0) >= horizonMs || offset >= committedOffset) break
      this.causes.delete(offset)
      keepRetriesOf(this, index)
      data[base + COLUMN.flags] = (data[base + COLUMN.flags] ?? 0) & ~FLAG.lateRetry
      data[base + COLUMN.offset] = SETTLED_OFFSET
      data[base + COLUMN.id] = idCheckOf(data[base + COLUMN.id] ?? 0)
      data[base + COLUMN.intent] = 0
      this.settledCount = index + 1
    }
    if (this.settledCount > settledCount) this.usedColumns = -1
    if (this.settledCount === this.count) this.isByOffset = true
  }

  #merge(index: number): void {
    keepRetriesOf(this, index)
    const isRetry = (this.at(index, COLUMN.flags) & FLAG.retry) !== 0
    addToBuckets(
      this.ownBuckets,
      this.at(index, COLUMN.time),
      this.at(index, COLUMN.amount),
      isRetry,
    )
  }

  #forgetReferences(): void {
    this.replaceReferences(usedReferences(this.data, this.count, this.stride, this.references))
  }
}
