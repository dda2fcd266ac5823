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
// offset, id, intent or record of such an event any more, so they are forgotten, but for a byte of the id: a label
// may still ask what was decided.

import type { CardEvent } from './card-event.ts'
import {
  COLUMN,
  addToBuckets,
  forgetBuckets,
  idCheckOf,
  EVERYTHING,
  FLAG,
  OUTCOME_SHIFT,
  SETTLED_OFFSET,
  STRIDE,
  usedReferences,
  type Bucket,
  type EncodedSettled,
  type KeptColumns,
  type StoredOutcome,
} from './card-columns.ts'
import { keepRetriesOf, markRetriesAfter, unmarkRetriesOf } from './retry-marks.ts'
import { BUCKET_MS, CARD_REACH_MS, LATENESS_MS, RETRY_MS } from './time.ts'

/** Newest events of a card that are kept singly. */
export const CARD_RAW_MAX = 512

/** Newest events whose decisions a late transaction may change. */
export const REVISABLE_MAX = 64

/** Recomputations of one decision; later causes leave it as it is. */
export const CAUSES_MAX = 32

/** Events and buckets older than this before the card's newest event are forgotten. */
export const CARD_RETAIN_MS = CARD_REACH_MS + LATENESS_MS + BUCKET_MS

/** Events older than this before the newest need no offset, id or intent any more. */
export const SETTLE_MS = LATENESS_MS + RETRY_MS

/** Events are settled, merged and dropped at least this many at a time: what is settled is encoded once. */
const TIDY_AT_ONCE = 16

/** Rows of STRIDE numbers in one array, ordered by (time, id). Hot path: plain loops. */
export class CardHistory {
  data = new Float64Array(8 * STRIDE)
  count = 0
  /** Events from the start that have no offset any more. */
  settledCount = 0
  /** Distinct references of the events; index 0 is none. */
  references: number[] = [0]
  /** Merged events, oldest first. */
  readonly buckets: Bucket[] = []
  /** By offset: the message of an event whose decision may be recomputed. */
  readonly records = new Map<number, Uint8Array>()
  /** By offset: offsets of the late transactions that had its decision recomputed, in order. */
  readonly causes = new Map<number, number[]>()
  /** Settled events as they were encoded last; null once they have changed. */
  encodedSettled: EncodedSettled | null = null
  /** Buckets as they were encoded last; null once they have changed. */
  encodedBuckets: Buffer | null = null

  at(index: number, column: number): number {
    return this.data[index * STRIDE + column] ?? 0
  }

  /** Time of the newest event; -Infinity without any. */
  get newestMs(): number {
    return this.data[(this.count - 1) * STRIDE] ?? -Infinity
  }

  /** Index of a reference among the card's; 0 when none of its events has it. */
  indexOfReference(reference: number): number {
    if (reference === 0) return 0
    return Math.max(0, this.references.indexOf(reference))
  }

  /** How many events come before (time, id). Settled ones of the same moment do, since their ids are forgotten. */
  rankOf(timeMs: number, idRef: number): number {
    const data = this.data
    const isSettled = timeMs < this.newestMs - SETTLE_MS
    let index = this.count
    while (index > 0) {
      const base = (index - 1) * STRIDE
      const otherMs = data[base] ?? 0
      if (otherMs < timeMs) break
      if (otherMs === timeMs && (isSettled || (data[base + COLUMN.id] ?? 0) < idRef)) break
      index -= 1
    }
    return index
  }

  /** Index of the event with this offset; -1 when it is not held, or settled. */
  indexOfOffset(offset: number): number {
    for (let index = this.count - 1; index >= this.settledCount; index -= 1) {
      if (this.at(index, COLUMN.offset) === offset) return index
    }
    return -1
  }

  /** Adds an event in its place, which must be above all that is settled: callers refuse what is older. */
  insert(event: CardEvent, isRetry: boolean, kept: KeptColumns = EVERYTHING): void {
    const index = this.rankOf(event.timeMs, event.idRef)
    this.#makeRoom(index)
    const data = this.data
    const base = index * STRIDE
    data[base + COLUMN.time] = event.timeMs
    data[base + COLUMN.amount] = event.amountMinor
    data[base + COLUMN.flags] =
      event.presence |
      (event.isDeclined ? FLAG.declined : 0) |
      (event.hasPlace && kept.places ? FLAG.place : 0) |
      (isRetry ? FLAG.retry : 0)
    data[base + COLUMN.offset] = event.offset
    data[base + COLUMN.id] = event.idRef
    data[base + COLUMN.intent] = event.intentRef
    const { references } = kept
    data[base + COLUMN.merchant] = references.has('merchant') ? this.#learn(event.merchantRef) : 0
    data[base + COLUMN.terminal] = references.has('terminal') ? this.#learn(event.terminalRef) : 0
    data[base + COLUMN.device] = references.has('device') ? this.#learn(event.deviceRef) : 0
    data[base + COLUMN.network] = references.has('network') ? this.#learn(event.networkRef) : 0
    data[base + COLUMN.category] = references.has('category') ? this.#learn(event.categoryRef) : 0
    data[base + COLUMN.country] = references.has('country') ? event.countryRef : 0
    data[base + COLUMN.latitude] = kept.places ? event.latitudeE4 : 0
    data[base + COLUMN.longitude] = kept.places ? event.longitudeE4 : 0
    data[base + COLUMN.utcOffset] = kept.localTime ? event.utcOffsetMinutes : 0
    // A copy: messages are views of what was fetched, which would be kept alive as a whole.
    if (event.record !== null) this.records.set(event.offset, Uint8Array.from(event.record))
    if (event.intentRef !== 0 && index < this.count - 1) {
      markRetriesAfter(this, index, Math.max(index + 1, this.count - CARD_RAW_MAX))
    }
  }

  /** Whether an attempt of this intent comes before (time, id) by at most RETRY_MS, of those that still count singly. */
  isRetry(timeMs: number, idRef: number, intentRef: number): boolean {
    if (intentRef === 0) return false
    const data = this.data
    // What is settled or merged by now may not be stored so yet; neither is looked at.
    const horizonMs = Math.max(timeMs - RETRY_MS, this.newestMs - SETTLE_MS)
    const oldest = Math.max(this.settledCount, this.count - CARD_RAW_MAX)
    for (let index = this.count - 1; index >= oldest; index -= 1) {
      const base = index * STRIDE
      const otherMs = data[base] ?? 0
      if (otherMs < horizonMs) return false
      if (data[base + COLUMN.intent] !== intentRef) continue
      if (otherMs < timeMs) return true
      if (otherMs === timeMs && (data[base + COLUMN.id] ?? 0) < idRef) return true
    }
    return false
  }

  /** Index of the event with this transaction id, not older than LATENESS_MS before the newest; -1 for none. */
  indexOfId(idRef: number): number {
    const data = this.data
    const horizonMs = this.newestMs - LATENESS_MS
    const oldest = Math.max(this.settledCount, this.count - CARD_RAW_MAX)
    for (let index = this.count - 1; index >= oldest; index -= 1) {
      const base = index * STRIDE
      if ((data[base] ?? 0) < horizonMs) return -1
      if (data[base + COLUMN.id] === idRef) return index
    }
    return -1
  }

  /** Remembers what was decided for the event at this offset. */
  setOutcome(offset: number, outcome: StoredOutcome): void {
    const index = this.indexOfOffset(offset)
    if (index < 0) return
    const at = index * STRIDE + COLUMN.flags
    this.data[at] = ((this.data[at] ?? 0) & ~(3 << OUTCOME_SHIFT)) | (outcome << OUTCOME_SHIFT)
  }

  /** What was decided for the event at this index; 0 when not known. */
  outcomeAt(index: number): StoredOutcome {
    return ((this.at(index, COLUMN.flags) >> OUTCOME_SHIFT) & 3) as StoredOutcome
  }

  /**
   * What was decided for a transaction of this time and reference; 0 when it is not held singly, or not known. Of settled
   * ones a byte of the reference is left to tell them from others of the same moment.
   */
  outcomeOf(timeMs: number, idRef: number): StoredOutcome {
    const data = this.data
    for (let index = this.count - 1; index >= 0; index -= 1) {
      const base = index * STRIDE
      const otherMs = data[base] ?? 0
      if (otherMs < timeMs) return 0
      if (otherMs > timeMs) continue
      const wanted = index < this.settledCount ? idCheckOf(idRef) : idRef
      if (data[base + COLUMN.id] === wanted) return this.outcomeAt(index)
    }
    return 0
  }

  /** Counts one more recomputation of the decision at `offset`. Its number, or 0 when there were too many. */
  addCause(offset: number, causeOffset: number): number {
    const causes = this.causes.get(offset) ?? []
    if (causes.length >= CAUSES_MAX) return 0
    causes.push(causeOffset)
    this.causes.set(offset, causes)
    return causes.length
  }

  /** Drops what a lane that begins at this offset will decide again. */
  forgetFrom(offset: number): void {
    const dropped = new Set<number>()
    for (let index = this.count - 1; index >= this.settledCount; index -= 1) {
      if (this.at(index, COLUMN.offset) < offset) continue
      this.records.delete(this.at(index, COLUMN.offset))
      dropped.add(this.at(index, COLUMN.intent))
      this.#remove(index, 1)
    }
    for (const [key, causes] of this.causes) {
      const kept = causes.filter((cause) => cause < offset)
      if (key >= offset || kept.length === 0) this.causes.delete(key)
      else if (kept.length < causes.length) this.causes.set(key, kept)
    }
    unmarkRetriesOf(this, dropped)
  }

  /**
   * Makes the history small again: drops what no feature can reach, merges what no longer counts singly, settles
   * what no rule asks for. Only events with an offset below `committedOffset` are touched.
   */
  compact(committedOffset: number, atOnce = TIDY_AT_ONCE): void {
    let committedCount = this.settledCount
    let newestMs = this.settledCount === 0 ? -Infinity : this.at(this.settledCount - 1, COLUMN.time)
    for (let index = this.settledCount; index < this.count; index += 1) {
      if (this.at(index, COLUMN.offset) >= committedOffset) continue
      committedCount += 1
      newestMs = Math.max(newestMs, this.at(index, COLUMN.time))
    }
    const horizonMs = newestMs - CARD_RETAIN_MS
    this.#forgetRecords(committedOffset, newestMs - LATENESS_MS)
    const excess = committedCount - CARD_RAW_MAX
    const settled = this.#settlable(committedOffset, newestMs - SETTLE_MS)
    const expired = this.#expired(horizonMs)
    if (Math.max(excess, settled, expired) < atOnce) return
    this.#mergeOldest(committedOffset, excess, horizonMs)
    this.#settle(committedOffset, newestMs - SETTLE_MS)
    if (forgetBuckets(this.buckets, horizonMs)) this.encodedBuckets = null
    if (this.references.length > 2 * this.count + 16) this.#forgetReferences()
  }

  /** The one form that all histories of the same log have, however they were cut and compacted. */
  normalise(): void {
    this.compact(Infinity, 0)
    this.#forgetReferences()
  }

  #makeRoom(index: number): void {
    const used = this.count * STRIDE
    if (used === this.data.length) {
      const larger = new Float64Array(2 * used)
      larger.set(this.data)
      this.data = larger
    }
    if (index < this.count) this.data.copyWithin((index + 1) * STRIDE, index * STRIDE, used)
    this.count += 1
  }

  #remove(index: number, count: number): void {
    this.data.copyWithin(index * STRIDE, (index + count) * STRIDE, this.count * STRIDE)
    this.count -= count
    if (index >= this.settledCount) return
    this.settledCount -= count
    this.encodedSettled = null
  }

  #learn(reference: number): number {
    if (reference === 0) return 0
    const index = this.indexOfReference(reference)
    if (index > 0) return index
    this.references.push(reference)
    return this.references.length - 1
  }

  /** By rank among committed events, so that an event which is decided again finds the same. */
  #forgetRecords(committedOffset: number, horizonMs: number): void {
    if (this.records.size === 0 && this.causes.size === 0) return
    let rank = 0
    for (let index = this.count - 1; index >= this.settledCount; index -= 1) {
      const offset = this.at(index, COLUMN.offset)
      if (offset >= committedOffset) continue
      rank += 1
      if (rank <= REVISABLE_MAX && this.at(index, COLUMN.time) >= horizonMs) continue
      this.records.delete(offset)
      this.causes.delete(offset)
    }
  }

  #mergeOldest(committedOffset: number, excess: number, horizonMs: number): void {
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
      this.records.delete(offset)
      this.causes.delete(offset)
      this.#remove(index, 1)
    }
  }

  #expired(horizonMs: number): number {
    let count = 0
    while (count < this.count && this.at(count, COLUMN.time) < horizonMs) count += 1
    return count
  }

  #settlable(committedOffset: number, horizonMs: number): number {
    let index = this.settledCount
    for (; index < this.count; index += 1) {
      if (this.at(index, COLUMN.time) >= horizonMs) break
      if (this.at(index, COLUMN.offset) >= committedOffset) break
    }
    return index - this.settledCount
  }

  /** From the start, as far as everything is committed. */
  #settle(committedOffset: number, horizonMs: number): void {
    const data = this.data
    for (let index = this.settledCount; index < this.count; index += 1) {
      const base = index * STRIDE
      const offset = data[base + COLUMN.offset] ?? 0
      if ((data[base] ?? 0) >= horizonMs || offset >= committedOffset) break
      this.records.delete(offset)
      this.causes.delete(offset)
      keepRetriesOf(this, index)
      data[base + COLUMN.flags] = (data[base + COLUMN.flags] ?? 0) & ~FLAG.lateRetry
      data[base + COLUMN.offset] = SETTLED_OFFSET
      data[base + COLUMN.id] = idCheckOf(data[base + COLUMN.id] ?? 0)
      data[base + COLUMN.intent] = 0
      this.settledCount = index + 1
      this.encodedSettled = null
    }
  }

  #merge(index: number): void {
    this.encodedBuckets = null
    keepRetriesOf(this, index)
    const isRetry = (this.at(index, COLUMN.flags) & FLAG.retry) !== 0
    addToBuckets(this.buckets, this.at(index, COLUMN.time), this.at(index, COLUMN.amount), isRetry)
  }

  #forgetReferences(): void {
    this.references = usedReferences(this.data, this.count, this.references)
    this.encodedSettled = null
  }
}
