// Partial aggregate of an entity that several cards share, from one partition's transactions: its events, hourly
// buckets of crowded hours, and its fraud labels.
//
// Each partition writes its own partial aggregates and reads those of all partitions, so every stored value has one
// writer. Reads are limited to a frontier: events with an offset below `nextOffset`, labels below `labelNextOffset`. An
// hour with more than HOUR_RAW_MAX visible events is crowded: all its events count as if they happened at its start,
// whether they are still stored singly or already merged. Hours that start more than ENTITY_RETAIN_MS before the hour
// of the newest visible event do not count, whether they are still stored or already dropped. Hence the aggregates are
// a function of the events within the frontier alone.

import { lowBitsOf } from '../../id-hash.ts'
import type { Touchable } from './prefetch.ts'
import { ENTITY_COLUMN, ENTITY_STRIDE, HOUR_RAW_MAX, type HourlyBucket } from './entity-event.ts'
import { HourIndex } from './hour-index.ts'
import { KmvSketch } from './kmv-sketch.ts'
import { StoredPart } from './stored-form.ts'
import { touchEdges, touchRowsAt } from './window-edges.ts'
import {
  BUCKET_MS,
  bucketStartMs,
  DAY_MS,
  ENTITY_DELAY_MS,
  ENTITY_REACH_MS,
  LATENESS_MS,
} from '../catalogue/time.ts'

/** Hours that begin this long before the hour of the part's newest event are dropped. */
export const ENTITY_RETAIN_MS = ENTITY_REACH_MS + LATENESS_MS + ENTITY_DELAY_MS + 2 * BUCKET_MS

/** Maximum labels per part: the last ones of the log. */
export const LABELS_MAX = 1_024

/**
 * Longest window in which distinct cards are counted. Hourly buckets keep card hashes for this long, plus delay and
 * lateness.
 */
export const DISTINCT_WINDOW_MS = DAY_MS
const CARDS_RETAIN_MS = DISTINCT_WINDOW_MS + LATENESS_MS + ENTITY_DELAY_MS + 2 * BUCKET_MS

/** A vector of offsets in the two topics: of transactions, and of labels. */
export interface Frontier {
  readonly nextOffset: number
  readonly labelNextOffset: number
}

export interface EntityLabel {
  readonly timeMs: number
  readonly knownAtMs: number
  readonly idHash: number
  readonly labelOffset: number
  readonly isFraud: boolean
}

/** Memory of a part without events, with its cache entry, of a bucket and of a label, in bytes: measured. */
const OBJECT_BYTES = 650
const HOUR_BYTES = 450
const LABEL_BYTES = 120

const NO_LABELS: readonly EntityLabel[] = []
const NO_EVENTS = new Float64Array(0)
const NO_HOURS: readonly HourlyBucket[] = []

/** Hot path: plain loops. */
export class EntityPart implements Touchable {
  // Fields that every read needs come first, so that they are adjacent in memory.
  /** Rows of ENTITY_STRIDE numbers by (time, offset): time, offset, 32 bits of the id hash, hash of the card. */
  data = NO_EVENTS
  count = 0
  #newestOffset = -1
  /** The newest hour with any event, in hours since the epoch; -1 for none. */
  #newestHour = -1
  /** Number of events of that hour, as long as all were appended, and whether no hour is crowded; -1 means unknown. */
  #newestHourCount = 0
  #isSparse = true
  #crowded: HourlyBucket[] | null = null
  /** Cached ends of the windows of earlier reads; see window-edges.ts. */
  edges: Float64Array | null = null
  readonly stored = new StoredPart()
  #hours: HourIndex | null = null
  /**
   * Largest offset of an event that was not appended at the end, and a lower bound of the times of such events; see
   * `#unseenFromMs`.
   */
  #movedOffset = -1
  #movedFromMs = Infinity
  /** Below this offset it is unknown which events were not appended at the end. */
  #unknownBelow = 0
  /** Number of changes so far. */
  #changes = 0
  #labels: EntityLabel[] | null = null
  /** The copy that the last reader got, with the number of changes before it. */
  #seen: {
    readonly nextOffset: number
    readonly changes: number
    readonly part: EntityPart
  } | null = null

  /** Approximate memory of the part, in bytes. */
  get memoryBytes(): number {
    const items = HOUR_BYTES * this.hourlyBuckets.length + LABEL_BYTES * this.labels.length
    return OBJECT_BYTES + this.data.byteLength + (this.edges?.byteLength ?? 0) + items
  }

  /** Labels by offset. */
  get labels(): readonly EntityLabel[] {
    return this.#labels ?? NO_LABELS
  }

  /** Hourly buckets of merged events, oldest first. */
  get hourlyBuckets(): readonly HourlyBucket[] {
    return this.#crowded ?? NO_HOURS
  }

  at(index: number, column: number): number {
    return this.data[index * ENTITY_STRIDE + column] ?? 0
  }

  touchSelf(): number {
    return this.count + this.#changes
  }

  touchParts(): number {
    const { data, stored, edges, labels } = this
    const touched = data.length + stored.newCount + stored.nextOffset + labels.length
    return edges === null ? touched : touched + edges.length
  }

  touchRows(): number {
    const { data, edges, count } = this
    const newest = count === 0 ? 0 : (data[(count - 1) * ENTITY_STRIDE] ?? 0)
    return edges === null ? newest : newest + touchEdges(edges)
  }

  prefetchFar(): number {
    const { data, edges, labels } = this
    const lastMs = labels[labels.length - 1]?.timeMs ?? 0
    return edges === null ? lastMs : lastMs + touchRowsAt(data, edges)
  }

  /** Includes the last written time: the next event is encoded against it. */
  touchNewest(): number {
    const { data, count, stored } = this
    if (count === 0) return 0
    const end = count * ENTITY_STRIDE
    return (data[end - 1] ?? 0) + (data[end - ENTITY_STRIDE] ?? 0) + stored.lastTimeMs
  }

  /**
   * Whether no hour is crowded, as in most parts. Then all events count singly, and no hourly index is needed. Hot
   * path.
   */
  get isSparse(): boolean {
    if (this.#crowded !== null && this.#crowded.length > 0) return false
    if (this.#newestHourCount < 0) this.#countHours()
    return this.#isSparse
  }

  /** Hourly index of all events; built on the first use after a change in the middle. */
  get hours(): HourIndex {
    this.#hours ??= new HourIndex(this)
    return this.#hours
  }

  /** Inserts an event. An event that is already present, because it was written before a crash, stays unchanged. */
  insert(timeMs: number, offset: number, idHash: number, cardHash: number): void {
    if (offset <= this.#newestOffset && this.#holds(offset)) return
    const rank = this.#rankOf(timeMs, offset)
    if (rank < this.count) {
      this.#movedOffset = Math.max(this.#movedOffset, offset)
      this.#movedFromMs = Math.min(this.#movedFromMs, timeMs)
    }
    this.append(rank, timeMs, offset, idHash, cardHash)
    if (offset < this.stored.nextOffset) this.stored.forget()
    else this.stored.noteNew()
  }

  /** Offset after the largest offset of any event. */
  get nextOffset(): number {
    return this.#newestOffset + 1
  }

  /** Adds an event of a stored value at its position. */
  adoptOne(timeMs: number, offset: number, idHash: number, cardHash: number): void {
    this.append(this.#rankOf(timeMs, offset), timeMs, offset, idHash, cardHash)
    this.#markOrderUnknown()
  }

  /** Inserts an event at this index of the order by (time, offset). */
  append(index: number, timeMs: number, offset: number, idHash: number, cardHash: number): void {
    const used = this.count * ENTITY_STRIDE
    if (used === this.data.length) {
      const larger = new Float64Array(Math.max(4 * ENTITY_STRIDE, 2 * used))
      larger.set(this.data)
      this.data = larger
    }
    const base = index * ENTITY_STRIDE
    if (base < used) this.data.copyWithin(base + ENTITY_STRIDE, base, used)
    this.data[base] = timeMs
    this.data[base + ENTITY_COLUMN.offset] = offset
    // 32 bits suffice to match labels with the events of one entity.
    this.data[base + ENTITY_COLUMN.id] = lowBitsOf(idHash)
    this.data[base + ENTITY_COLUMN.card] = cardHash
    this.count += 1
    this.#changes += 1
    if (offset > this.#newestOffset) this.#newestOffset = offset
    const hour = Math.floor(timeMs / BUCKET_MS)
    if (base < used) {
      this.#newestHourCount = -1
      this.edges = null
    } else if (this.#newestHourCount >= 0) {
      this.#newestHourCount = hour === this.#newestHour ? this.#newestHourCount + 1 : 1
      if (this.#newestHourCount > HOUR_RAW_MAX) this.#isSparse = false
    }
    this.#noteHour(hour)
    if (base < used || this.#hours?.append(timeMs) === false) this.#hours = null
  }

  /** Makes room for events that the decoder writes itself, in order, and then passes to `adopt`. */
  reserve(more: number): Float64Array {
    const needed = (this.count + more) * ENTITY_STRIDE
    if (needed > this.data.length) {
      const larger = new Float64Array(needed)
      larger.set(this.data.subarray(0, this.count * ENTITY_STRIDE))
      this.data = larger
    }
    return this.data
  }

  /** Adds the events that were written into `reserve`d room; `newestOffset` is the largest of their offsets. */
  adopt(more: number, newestOffset: number): void {
    this.count += more
    this.#newestOffset = Math.max(this.#newestOffset, newestOffset)
    if (this.count > 0) {
      this.#noteHour(Math.floor(this.at(this.count - 1, ENTITY_COLUMN.time) / BUCKET_MS))
    }
    this.#markOrderUnknown()
    this.#changes += 1
    this.#invalidateHours()
  }

  /** Start of the oldest hour that counts for a reader of the events below `nextOffset`. Always a full hour. */
  horizonMs(nextOffset: number): number {
    if (this.#newestOffset < nextOffset) {
      return this.#newestHour < 0 ? -Infinity : this.#newestHour * BUCKET_MS - ENTITY_RETAIN_MS
    }
    let newestMs = this.hourlyBuckets.at(-1)?.startMs ?? -Infinity
    for (let index = this.count - 1; index >= 0; index -= 1) {
      if (this.at(index, ENTITY_COLUMN.offset) >= nextOffset) continue
      newestMs = Math.max(newestMs, bucketStartMs(this.at(index, ENTITY_COLUMN.time)))
      break
    }
    return newestMs - ENTITY_RETAIN_MS
  }

  /** Adds merged events to the bucket of their hour. */
  addToHour(startMs: number, count: number): HourlyBucket {
    this.#noteHour(startMs / BUCKET_MS)
    const hours = (this.#crowded ??= [])
    let position = hours.length
    while (position > 0 && (hours[position - 1]?.startMs ?? 0) > startMs) position -= 1
    const known = hours[position - 1]
    if (known?.startMs === startMs) {
      known.count += count
      return known
    }
    const hour = { startMs, count, cards: new KmvSketch() }
    hours.splice(position, 0, hour)
    return hour
  }

  /**
   * Lower bound of the times of all events with this offset or a later one. Appended events are in order of their
   * offsets, so the newest ones are last.
   */
  #unseenFromMs(offset: number): number {
    if (offset < this.#unknownBelow) return -Infinity
    let oldestMs = offset <= this.#movedOffset ? this.#movedFromMs : Infinity
    for (let index = this.count - 1; index >= 0; index -= 1) {
      if (this.at(index, ENTITY_COLUMN.offset) < offset) break
      oldestMs = Math.min(oldestMs, this.at(index, ENTITY_COLUMN.time))
    }
    return oldestMs
  }

  #invalidateHours(): void {
    this.edges = null
    this.#hours = null
    this.#newestHourCount = -1
  }

  /** Records that all offsets below this are committed: no reader's frontier lies below it any more. */
  #noteCommitted(nextOffset: number): void {
    if (this.#movedOffset >= nextOffset) return
    this.#unknownBelow = Math.max(this.#unknownBelow, this.#movedOffset + 1)
    this.#movedOffset = -1
    this.#movedFromMs = Infinity
  }

  #dropOldBuckets(horizonMs: number): void {
    const hours = this.#crowded
    while (hours?.[0] !== undefined && hours[0].startMs < horizonMs) {
      hours.shift()
      this.#invalidateHours()
    }
  }

  #countHours(): void {
    this.#newestHourCount = 0
    this.#isSparse = true
    let hourMs = -Infinity
    for (let index = 0; index < this.count; index += 1) {
      const startMs = bucketStartMs(this.at(index, ENTITY_COLUMN.time))
      this.#newestHourCount = startMs === hourMs ? this.#newestHourCount + 1 : 1
      hourMs = startMs
      if (this.#newestHourCount > HOUR_RAW_MAX) this.#isSparse = false
    }
  }

  #noteHour(hour: number): void {
    if (hour > this.#newestHour) this.#newestHour = hour
  }

  /** The events come from a stored value, so the order of their arrival is unknown. */
  #markOrderUnknown(): void {
    this.#unknownBelow = this.#newestOffset + 1
  }

  #holds(offset: number): boolean {
    for (let index = this.count - 1; index >= 0; index -= 1) {
      if (this.at(index, ENTITY_COLUMN.offset) === offset) return true
    }
    return false
  }

  #rankOf(timeMs: number, offset: number): number {
    let index = this.count
    while (index > 0) {
      const otherMs = this.at(index - 1, ENTITY_COLUMN.time)
      if (otherMs < timeMs) break
      if (otherMs === timeMs && this.at(index - 1, ENTITY_COLUMN.offset) < offset) break
      index -= 1
    }
    return index
  }

  /**
   * The part as seen by a reader that reads no event after `toMs`: the part itself if all events up to the end of that
   * hour are within the frontier, else a copy of those that are.
   */
  seenBy(frontier: Frontier, toMs = Infinity): EntityPart {
    if (this.#newestOffset < frontier.nextOffset) return this
    if (bucketStartMs(this.#unseenFromMs(frontier.nextOffset)) > toMs) return this
    const known = this.#seen
    if (known?.nextOffset === frontier.nextOffset && known.changes === this.#changes)
      return known.part
    const part = this.#within(frontier)
    this.#seen = { nextOffset: frontier.nextOffset, changes: this.#changes, part }
    return part
  }

  #within(frontier: Frontier): EntityPart {
    const seen = new EntityPart()
    for (let index = 0; index < this.count; index += 1) {
      const offset = this.at(index, ENTITY_COLUMN.offset)
      if (offset >= frontier.nextOffset) continue
      const time = this.at(index, ENTITY_COLUMN.time)
      const [id, card] = [this.at(index, ENTITY_COLUMN.id), this.at(index, ENTITY_COLUMN.card)]
      seen.append(seen.count, time, offset, id, card)
    }
    // Merged events are committed, so every frontier includes them.
    seen.#crowded = [...this.hourlyBuckets]
    seen.#labels = [...this.labels]
    const newestCrowded = this.hourlyBuckets.at(-1)
    if (newestCrowded !== undefined) seen.#noteHour(newestCrowded.startMs / BUCKET_MS)
    return seen
  }

  /** Stores a label. A genuine verdict matters only if it revokes a fraud label, so others are not stored. */
  insertLabel(label: EntityLabel): void {
    this.#changes += 1
    if (this.labels.some(({ labelOffset }) => labelOffset === label.labelOffset)) return
    if (!label.isFraud && !this.#hasEarlierLabel(label)) return
    const labels = (this.#labels ??= [])
    let position = labels.length
    while (position > 0 && (labels[position - 1]?.labelOffset ?? 0) > label.labelOffset) {
      position -= 1
    }
    labels.splice(position, 0, label)
    this.stored.forget()
  }

  /** Appends a label of a stored value. */
  adoptLabel(label: EntityLabel): void {
    this.#labels ??= []
    this.#labels.push(label)
  }

  /** Number of labels with an offset below this; they come first. */
  labelCount(labelNextOffset: number): number {
    let count = this.labels.length
    while (count > 0 && (this.labels[count - 1]?.labelOffset ?? 0) >= labelNextOffset) count -= 1
    return count
  }

  /** Merges crowded hours and drops what no feature can reach. Changes committed events only. */
  compact(committed: Frontier): void {
    this.stored.forget()
    this.#changes += 1
    this.#seen = null
    this.#noteCommitted(committed.nextOffset)
    const horizonMs = this.horizonMs(committed.nextOffset)
    if (this.#hasToMerge(committed.nextOffset, horizonMs)) {
      this.#mergeHourlyBuckets(committed.nextOffset, horizonMs)
      this.#invalidateHours()
    }
    this.#dropOldBuckets(horizonMs)
    const cardsFromMs = horizonMs + ENTITY_RETAIN_MS - CARDS_RETAIN_MS
    for (const { startMs, cards } of this.hourlyBuckets) {
      if (startMs >= cardsFromMs) break
      cards.clear()
    }
    this.#forgetLabels(committed.labelNextOffset, horizonMs)
  }

  /** Brings the part into the one form that all parts of the same log share. */
  normalise(): void {
    this.compact({ nextOffset: Infinity, labelNextOffset: Infinity })
    const horizonMs = this.horizonMs(Infinity)
    this.#labels = this.labels.filter(({ timeMs }) => timeMs >= horizonMs)
  }

  /** Whether an earlier label on the same transaction is among those that count. */
  #hasEarlierLabel({ idHash, timeMs, labelOffset }: EntityLabel): boolean {
    const end = this.labelCount(labelOffset)
    for (let index = Math.max(0, end - LABELS_MAX); index < end; index += 1) {
      const earlier = this.labels[index]
      // An id can be reused after the reach; whether its first use is still stored does not matter then.
      if (earlier?.idHash === idHash && earlier.timeMs === timeMs) return true
    }
    return false
  }

  /** Whether an event is too old, or an hour with single events has become crowded. */
  #hasToMerge(committedOffset: number, horizonMs: number): boolean {
    if (this.count === 0) return false
    const isOld = this.at(0, ENTITY_COLUMN.time) < horizonMs
    if (isOld && this.at(0, ENTITY_COLUMN.offset) < committedOffset) return true
    return !this.isSparse && this.hours.hasCrowdedSingles
  }

  #mergeHourlyBuckets(committedOffset: number, horizonMs: number): void {
    let from = 0
    let kept = 0
    while (from < this.count) {
      const hourMs = bucketStartMs(this.at(from, ENTITY_COLUMN.time))
      let end = from
      let committedCount = 0
      while (end < this.count && this.at(end, ENTITY_COLUMN.time) < hourMs + BUCKET_MS) {
        if (this.at(end, ENTITY_COLUMN.offset) < committedOffset) committedCount += 1
        end += 1
      }
      const isCrowded =
        committedCount > HOUR_RAW_MAX ||
        (committedCount > 0 && this.hourlyBuckets.some(({ startMs }) => startMs === hourMs))
      const hour = isCrowded ? this.addToHour(hourMs, committedCount) : null
      for (let index = from; index < end; index += 1) {
        const isCommitted = this.at(index, ENTITY_COLUMN.offset) < committedOffset
        const isGone = isCommitted && (isCrowded || hourMs < horizonMs)
        if (isCommitted) hour?.cards.add(this.at(index, ENTITY_COLUMN.card))
        if (isGone) continue
        this.#move(index, kept)
        kept += 1
      }
      from = end
    }
    this.count = kept
  }

  #move(from: number, to: number): void {
    if (from === to) return
    const base = from * ENTITY_STRIDE
    this.data.copyWithin(to * ENTITY_STRIDE, base, base + ENTITY_STRIDE)
  }

  /** Drops labels only from the front: the last LABELS_MAX of any reader are then the same, whatever was dropped. */
  #forgetLabels(committedLabelOffset: number, horizonMs: number): void {
    const labels = this.#labels
    if (labels === null) return
    let excess = this.labelCount(committedLabelOffset) - LABELS_MAX
    for (;;) {
      const label = labels[0]
      if (label === undefined || label.labelOffset >= committedLabelOffset) return
      if (excess <= 0 && label.timeMs >= horizonMs) return
      labels.shift()
      excess -= 1
    }
  }
}
