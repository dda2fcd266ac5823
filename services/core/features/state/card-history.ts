// History of one card: recent events one by one, older ones merged into hourly buckets of integers.
//
// Mental model. Events are ordered by (time, id hash). The newest CARD_RAW_MAX events count singly. All older ones
// count as if they happened at the start of their hour; whether an old event is still stored singly or already merged
// changes no feature. After a crash the stored value can be ahead of the committed offset: a partition that starts
// drops the events that it decides again (`forgetFrom`), and only events with a committed offset are merged. Hence the
// aggregates are a function of the log alone, independent of batch boundaries and crashes.
//
// An event is finalised once it is committed and FINALISE_MS older than the newest committed one. No rule needs the
// offset, id or intent of such an event any more, so they are discarded. One byte of the id hash remains: a label may
// still ask for the decision.

import { LINE_NUMBERS, type Touchable } from './prefetch.ts'
import type { CardEvent } from './card-event.ts'
import {
  addToBuckets,
  COLUMN,
  columnsUsed,
  EVERYTHING,
  FLAG,
  forgetBuckets,
  idCheckOf,
  OUTCOME_SHIFT,
  FINALISED_OFFSET,
  STRIDE,
  STRIDE_NARROW,
  usedReferences,
  type Bucket,
  type KeptColumns,
  type StoredOutcome,
} from './card-columns.ts'
import {
  CARD_RAW_MAX,
  CARD_RETAIN_MS,
  CAUSES_MAX,
  REVISABLE_MAX,
  FINALISE_MS,
} from './card-limits.ts'
import { keepRetriesOf, markRetriesAfter, unmarkRetriesOf } from './retry-marks.ts'
import { StoredCard } from './stored-form.ts'
import { LATENESS_MS, RETRY_MS } from '../catalogue/time.ts'

/** Minimum number of events that are finalised, merged or dropped at once: each time moves all rows. */
const COMPACT_MIN = 8

/** Initial capacity of a card, in events. */
const EVENTS_AT_FIRST = 8

/** Maximum number of numbers to prefetch; the hardware prefetcher follows longer runs by itself. */
const PREFETCH_NUMBERS_MAX = 256

/** Memory of a card without events, with its cache entry, and of a bucket, in bytes: measured. */
const OBJECT_BYTES = 750
const BUCKET_BYTES = 300

const NO_EVENTS = new Float64Array(0)
// Shared by all cards that have none of their own, which is most cards, and never changed: they stay in the processor's
// cache.
const NO_CAUSES = new Map<number, number[]>()
const NO_BUCKETS: readonly Bucket[] = []
const NO_REFERENCES: readonly number[] = [0]

/** Rows of `stride` numbers in one array, ordered by (time, id hash). Hot path: plain loops. */
export class CardHistory implements Touchable {
  data = NO_EVENTS
  /** STRIDE, or STRIDE_NARROW as long as no event has any of the other columns. */
  stride = STRIDE_NARROW
  count = 0
  /** Number of events at the start that are finalised and have no offset any more. */
  finalisedCount = 0
  /** True while the offsets of the events that are not finalised rise; a late event makes it false. */
  isByOffset = true
  #references: number[] | null = null
  #buckets: Bucket[] | null = null
  /** By offset of an event: offsets of the late transactions that caused recomputations of its decision, in order. */
  causes = NO_CAUSES
  /** Bit i is OPTIONAL_COLUMNS[i]: true if any event uses it; -1 means unknown. */
  usedColumns = 0
  readonly stored = new StoredCard()

  at(index: number, column: number): number {
    return column < this.stride ? (this.data[index * this.stride + column] ?? 0) : 0
  }

  /** Distinct references of the events; index 0 means none. */
  get references(): readonly number[] {
    return this.#references ?? NO_REFERENCES
  }

  /** The references, for changes. */
  get ownReferences(): number[] {
    return (this.#references ??= [0])
  }

  /** Hourly buckets of merged events, oldest first. */
  get buckets(): readonly Bucket[] {
    return this.#buckets ?? NO_BUCKETS
  }

  /** The buckets, for changes. */
  get ownBuckets(): Bucket[] {
    return (this.#buckets ??= [])
  }

  /** Approximate memory of the card, in bytes. */
  get memoryBytes(): number {
    const lists = 8 * this.references.length + BUCKET_BYTES * this.buckets.length
    return OBJECT_BYTES + this.data.byteLength + lists
  }

  /** Time of the newest event; -Infinity without any. */
  get newestMs(): number {
    return this.data[(this.count - 1) * this.stride] ?? -Infinity
  }

  touchSelf(): number {
    return this.count + this.usedColumns
  }

  touchParts(): number {
    const { data, stored } = this
    return data.length + stored.newCount + stored.referenceCount
  }

  /** Includes the position of the next row. */
  touchRows(): number {
    const { data, stride } = this
    const { length } = data
    if (length === 0) return 0
    const end = Math.min(length, (this.count + 1) * stride)
    const oldest = Math.max(0, end - PREFETCH_NUMBERS_MAX)
    let touched = data[0] ?? 0
    for (let at = end - 1; at > oldest; at -= LINE_NUMBERS) touched += data[at] ?? 0
    return touched
  }

  prefetchFar(): number {
    return 0
  }

  /** Includes the row before: an event is encoded against its predecessor. */
  touchNewest(): number {
    const { data, stride } = this
    const end = this.count * stride
    if (end < 2 * stride) return data[0] ?? 0
    return (data[end - 1] ?? 0) + (data[end - stride] ?? 0) + (data[end - 2 * stride] ?? 0)
  }

  /** Whether a transaction of this time is too late to change state. */
  isTooLate(timeMs: number): boolean {
    return timeMs < this.newestMs - LATENESS_MS
  }

  /** Index of a reference among the card's; 0 if no event has it. */
  indexOfReference(reference: number): number {
    if (reference === 0) return 0
    return Math.max(0, this.references.indexOf(reference))
  }

  /** Index of a reference among the card's; adds it if it is new. */
  addReference(reference: number): number {
    if (reference === 0) return 0
    const index = this.indexOfReference(reference)
    if (index > 0) return index
    return this.ownReferences.push(reference) - 1
  }

  /**
   * Number of events before (time, id hash). Finalised events of the same time count as before, since their ids are
   * discarded.
   */
  rankOf(timeMs: number, idHash: number): number {
    const { data, stride } = this
    const isFinalised = timeMs < this.newestMs - FINALISE_MS
    let index = this.count
    while (index > 0) {
      const base = (index - 1) * stride
      const otherMs = data[base] ?? 0
      if (otherMs < timeMs) break
      if (otherMs === timeMs && (isFinalised || (data[base + COLUMN.id] ?? 0) < idHash)) break
      index -= 1
    }
    return index
  }

  /** Index of the event with this offset; -1 if it is absent or finalised. */
  indexOfOffset(offset: number): number {
    for (let index = this.count - 1; index >= this.finalisedCount; index -= 1) {
      if (this.at(index, COLUMN.offset) === offset) return index
    }
    return -1
  }

  /**
   * Inserts an event at its rank, which must be above all finalised events: callers refuse older ones. `index` is the
   * rank, if the caller knows it.
   */
  insert(
    event: CardEvent,
    isRetry: boolean,
    kept: KeptColumns = EVERYTHING,
    index = this.rankOf(event.timeMs, event.idHash),
  ): void {
    if (this.stride === STRIDE_NARROW && hasMore(event, kept)) this.widen()
    if (index < this.count) {
      this.#makeRoom(index)
      this.#write(index, event, isRetry, kept)
      this.isByOffset = false
      this.stored.forget()
      if (event.intentHash !== 0) {
        markRetriesAfter(this, index, Math.max(index + 1, this.count - CARD_RAW_MAX))
      }
      return
    }
    if (index > this.finalisedCount && this.at(index - 1, COLUMN.offset) > event.offset) {
      this.isByOffset = false
    }
    this.#makeRoom(index)
    this.#write(index, event, isRetry, kept)
    this.stored.noteNew()
  }

  #write(index: number, event: CardEvent, isRetry: boolean, kept: KeptColumns): void {
    const { data, stride } = this
    const base = index * stride
    data[base + COLUMN.time] = event.timeMs
    data[base + COLUMN.amount] = event.amountMinor
    data[base + COLUMN.flags] =
      event.presence |
      (event.isDeclined ? FLAG.declined : 0) |
      (event.hasPlace && kept.places ? FLAG.place : 0) |
      (isRetry ? FLAG.retry : 0)
    data[base + COLUMN.offset] = event.offset
    data[base + COLUMN.id] = event.idHash
    data[base + COLUMN.intent] = event.intentHash
    if (stride === STRIDE) {
      const { references } = kept
      data[base + COLUMN.merchant] = references.has('merchant')
        ? this.addReference(event.merchantHash)
        : 0
      data[base + COLUMN.terminal] = references.has('terminal')
        ? this.addReference(event.terminalHash)
        : 0
      data[base + COLUMN.device] = references.has('device')
        ? this.addReference(event.deviceHash)
        : 0
      data[base + COLUMN.network] = references.has('network')
        ? this.addReference(event.networkHash)
        : 0
      data[base + COLUMN.category] = references.has('category')
        ? this.addReference(event.categoryHash)
        : 0
      data[base + COLUMN.country] = references.has('country') ? event.countryHash : 0
      data[base + COLUMN.latitude] = kept.places ? event.latitudeE4 : 0
      data[base + COLUMN.longitude] = kept.places ? event.longitudeE4 : 0
      data[base + COLUMN.utcOffset] = kept.localTime ? event.utcOffsetMinutes : 0
    }
    if (this.usedColumns >= 0) this.usedColumns |= columnsUsed(data, base, stride)
  }

  /** Changes the rows to all columns. */
  widen(): void {
    if (this.stride === STRIDE) return
    const { data, count } = this
    const wide = new Float64Array(Math.max(EVENTS_AT_FIRST, count + 1) * STRIDE)
    for (let index = 0; index < count; index += 1) {
      for (let column = 0; column < STRIDE_NARROW; column += 1) {
        wide[index * STRIDE + column] = data[index * STRIDE_NARROW + column] ?? 0
      }
    }
    this.data = wide
    this.stride = STRIDE
  }

  /**
   * Whether an attempt of this intent comes before (time, id hash) by at most RETRY_MS, among the events that count
   * singly.
   */
  isRetry(timeMs: number, idHash: number, intentHash: number): boolean {
    if (intentHash === 0) return false
    const { data, stride } = this
    // Events that are due to be finalised or merged may still be stored singly; they are ignored in either form.
    const horizonMs = Math.max(timeMs - RETRY_MS, this.newestMs - FINALISE_MS)
    const oldest = Math.max(this.finalisedCount, this.count - CARD_RAW_MAX)
    for (let index = this.count - 1; index >= oldest; index -= 1) {
      const base = index * stride
      const otherMs = data[base] ?? 0
      if (otherMs < horizonMs) return false
      if (data[base + COLUMN.intent] !== intentHash) continue
      if (otherMs < timeMs) return true
      if (otherMs === timeMs && (data[base + COLUMN.id] ?? 0) < idHash) return true
    }
    return false
  }

  /** Index of the event with this id hash, at most LATENESS_MS older than the newest; -1 for none. */
  indexOfId(idHash: number): number {
    const { data, stride } = this
    const horizonMs = this.newestMs - LATENESS_MS
    const oldest = Math.max(this.finalisedCount, this.count - CARD_RAW_MAX)
    for (let index = this.count - 1; index >= oldest; index -= 1) {
      const base = index * stride
      if ((data[base] ?? 0) < horizonMs) return -1
      if (data[base + COLUMN.id] === idHash) return index
    }
    return -1
  }

  /** Records the decision on the event at this offset. */
  setOutcome(offset: number, outcome: StoredOutcome): void {
    const index = this.indexOfOffset(offset)
    if (index < 0) return
    const at = index * this.stride + COLUMN.flags
    this.data[at] = ((this.data[at] ?? 0) & ~(3 << OUTCOME_SHIFT)) | (outcome << OUTCOME_SHIFT)
    if (index < this.count - this.stored.newCount) this.stored.forget()
  }

  /** Decision on the event at this index; 0 if unknown. */
  outcomeAt(index: number): StoredOutcome {
    return ((this.at(index, COLUMN.flags) >> OUTCOME_SHIFT) & 3) as StoredOutcome
  }

  /**
   * Decision on a transaction of this time and id hash; 0 if it is not stored singly or unknown. Of a finalised event
   * one byte of the hash remains to distinguish it from others of the same time.
   */
  outcomeOf(timeMs: number, idHash: number): StoredOutcome {
    const { data, stride } = this
    for (let index = this.count - 1; index >= 0; index -= 1) {
      const base = index * stride
      const otherMs = data[base] ?? 0
      if (otherMs < timeMs) return 0
      if (otherMs > timeMs) continue
      const wanted = index < this.finalisedCount ? idCheckOf(idHash) : idHash
      if (data[base + COLUMN.id] === wanted) return this.outcomeAt(index)
    }
    return 0
  }

  /** Records one more recomputation of the decision at `offset`. Returns its number, or 0 if CAUSES_MAX is reached. */
  addCause(offset: number, causeOffset: number): number {
    const causes = this.causes.get(offset) ?? []
    if (causes.length >= CAUSES_MAX) return 0
    causes.push(causeOffset)
    this.setCauses(offset, causes)
    this.stored.forget()
    return causes.length
  }

  /** Replaces the causes recorded for the decision at `offset`. */
  setCauses(offset: number, causes: number[]): void {
    // Very few cards have causes; a map per card would be a quarter of its memory.
    if (this.causes === NO_CAUSES) this.causes = new Map()
    this.causes.set(offset, causes)
  }

  #makeRoom(index: number): void {
    const used = this.count * this.stride
    if (used === this.data.length) {
      const larger = new Float64Array(Math.max(EVENTS_AT_FIRST * this.stride, 2 * used))
      larger.set(this.data)
      this.data = larger
    }
    if (index < this.count) {
      this.data.copyWithin((index + 1) * this.stride, index * this.stride, used)
    }
    this.count += 1
  }

  #remove(index: number, count: number): void {
    const { stride } = this
    this.data.copyWithin(index * stride, (index + count) * stride, this.count * stride)
    this.count -= count
    if (index < this.finalisedCount) this.finalisedCount -= count
    this.usedColumns = -1
  }

  /** Drops the events that a partition which starts at this offset decides again. */
  forgetFrom(offset: number): void {
    if (this.isByOffset && this.causes.size === 0) {
      if (this.count === 0 || this.at(this.count - 1, COLUMN.offset) < offset) return
    }
    this.stored.forget()
    const dropped = new Set<number>()
    for (let index = this.count - 1; index >= this.finalisedCount; index -= 1) {
      if (this.at(index, COLUMN.offset) < offset) continue
      dropped.add(this.at(index, COLUMN.intent))
      this.#remove(index, 1)
    }
    for (const [key, causes] of this.causes) {
      const kept = causes.filter((cause) => cause < offset)
      if (key >= offset || kept.length === 0) this.causes.delete(key)
      else if (kept.length < causes.length) this.causes.set(key, kept)
    }
    if (dropped.size > 0) unmarkRetriesOf(this, dropped)
  }

  /**
   * Shrinks the history: drops what no feature can reach, merges what no longer counts singly, finalises what no rule
   * needs. Changes only events with an offset below `committedOffset`.
   */
  compact(committedOffset: number, atOnce = COMPACT_MIN): void {
    this.stored.forget()
    const committedCount = this.#committedCount(committedOffset)
    const newestMs = this.#newestCommittedMs(committedOffset, committedCount)
    const horizonMs = newestMs - CARD_RETAIN_MS
    this.#forgetCauses(committedOffset, committedCount, newestMs - LATENESS_MS)
    const excess = committedCount - CARD_RAW_MAX
    const finalisable = this.#finalisable(committedOffset, newestMs - FINALISE_MS, atOnce)
    const expired = this.#expired(horizonMs, atOnce)
    if (Math.max(excess, finalisable, expired) < atOnce) return
    this.#mergeOldest(committedOffset, excess, horizonMs)
    this.#finalise(committedOffset, newestMs - FINALISE_MS)
    if (this.buckets.length > 0) forgetBuckets(this.ownBuckets, horizonMs)
    if (this.references.length > 2 * this.count + 16) this.#forgetReferences()
  }

  /**
   * Brings the history into the one form that all histories of the same log share, whatever their batches and
   * compactions.
   */
  normalise(): void {
    this.compact(Infinity, 0)
    this.#forgetReferences()
  }

  #committedCount(committedOffset: number): number {
    let count = this.count
    if (this.isByOffset) {
      while (count > this.finalisedCount && this.at(count - 1, COLUMN.offset) >= committedOffset) {
        count -= 1
      }
      return count
    }
    for (let index = this.finalisedCount; index < this.count; index += 1) {
      if (this.at(index, COLUMN.offset) >= committedOffset) count -= 1
    }
    return count
  }

  /** Time of the newest committed event; -Infinity for none. */
  #newestCommittedMs(committedOffset: number, committedCount: number): number {
    if (committedCount === 0) return -Infinity
    if (this.isByOffset) return this.at(committedCount - 1, COLUMN.time)
    let index = this.count - 1
    // Finalised events have an offset below every other.
    while (this.at(index, COLUMN.offset) >= committedOffset) index -= 1
    return this.at(index, COLUMN.time)
  }

  /** Uses ranks among committed events, so that an event that is decided again finds the same causes. */
  #forgetCauses(committedOffset: number, committedCount: number, horizonMs: number): void {
    const { causes, finalisedCount } = this
    if (causes.size === 0) return
    let rank = committedCount - finalisedCount
    for (let index = finalisedCount; index < this.count; index += 1) {
      const offset = this.at(index, COLUMN.offset)
      if (offset >= committedOffset) continue
      if (rank > REVISABLE_MAX || this.at(index, COLUMN.time) < horizonMs) causes.delete(offset)
      rank -= 1
    }
  }

  #mergeOldest(committedOffset: number, excess: number, horizonMs: number): void {
    let gone = 0
    while (gone < this.finalisedCount) {
      const isExpired = this.at(gone, COLUMN.time) < horizonMs
      if (gone >= excess && !isExpired) break
      if (!isExpired) this.#merge(gone)
      gone += 1
    }
    if (gone > 0) this.#remove(0, gone)
    // Others are reached only if no finalised event is left.
    if (this.finalisedCount > 0 || this.count === 0) return
    const left = excess - gone
    if (left > 0 || this.at(0, COLUMN.time) < horizonMs) {
      this.#mergeUnfinalised(committedOffset, left, horizonMs)
    }
  }

  #mergeUnfinalised(committedOffset: number, excess: number, horizonMs: number): void {
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
      this.#remove(index, 1)
    }
  }

  /** Number of events older than this, counted up to `atOnce`. */
  #expired(horizonMs: number, atOnce: number): number {
    let count = 0
    const last = Math.min(this.count, atOnce)
    if (last > 0 && this.at(last - 1, COLUMN.time) >= horizonMs) return 0
    while (count < last && this.at(count, COLUMN.time) < horizonMs) count += 1
    return count
  }

  /** Number of events that can be finalised, counted up to `atOnce`. */
  #finalisable(committedOffset: number, horizonMs: number, atOnce: number): number {
    const last = Math.min(this.count, this.finalisedCount + atOnce)
    if (last > this.finalisedCount && this.at(last - 1, COLUMN.time) >= horizonMs) return 0
    let index = this.finalisedCount
    for (; index < last; index += 1) {
      if (this.at(index, COLUMN.time) >= horizonMs) break
      if (this.at(index, COLUMN.offset) >= committedOffset) break
    }
    return index - this.finalisedCount
  }

  /** Finalises events from the start, up to the first that is not committed. */
  #finalise(committedOffset: number, horizonMs: number): void {
    const { data, stride, finalisedCount } = this
    for (let index = finalisedCount; index < this.count; index += 1) {
      const base = index * stride
      const offset = data[base + COLUMN.offset] ?? 0
      if ((data[base] ?? 0) >= horizonMs || offset >= committedOffset) break
      this.causes.delete(offset)
      keepRetriesOf(this, index)
      data[base + COLUMN.flags] = (data[base + COLUMN.flags] ?? 0) & ~FLAG.lateRetry
      data[base + COLUMN.offset] = FINALISED_OFFSET
      data[base + COLUMN.id] = idCheckOf(data[base + COLUMN.id] ?? 0)
      data[base + COLUMN.intent] = 0
      this.finalisedCount = index + 1
    }
    if (this.finalisedCount > finalisedCount) this.usedColumns = -1
    if (this.finalisedCount === this.count) this.isByOffset = true
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
    this.#references = usedReferences(this.data, this.count, this.stride, this.references)
    this.usedColumns = -1
  }
}

/** Whether an event has any of the columns that a narrow row omits. */
function hasMore(event: CardEvent, { references, places, localTime }: KeptColumns): boolean {
  return (
    references.size > 0 || (places && event.hasPlace) || (localTime && event.utcOffsetMinutes !== 0)
  )
}
