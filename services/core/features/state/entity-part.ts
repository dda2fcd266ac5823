// What one partition knows of an entity that several cards share: its events, crowded hours merged into counts, and
// labels that say fraud.
//
// Each partition writes parts of its own and reads the parts of all partitions, so every stored value has one writer. A
// reading is limited to a frontier: events with an offset below `nextOffset`, labels below `labelNextOffset`. An
// hour with more than HOUR_RAW_MAX visible events is crowded and counts as if all of it happened at its
// start, whether its events are still stored singly or already merged. Hours that lie ENTITY_RETAIN_MS before
// that of the newest visible event do not count, whether they are still stored or already forgotten. That
// makes every reading a function of the events within the frontier alone.

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

/** Hours that begin this long before the hour of the part's newest event are forgotten. */
export const ENTITY_RETAIN_MS = ENTITY_REACH_MS + LATENESS_MS + ENTITY_DELAY_MS + 2 * BUCKET_MS

/** Labels kept per part: the last ones of the log. */
export const LABELS_MAX = 1_024

/** Longest window in which cards are counted; merged hours remember their cards for that long, delay and lateness added. */
export const DISTINCT_WINDOW_MS = DAY_MS
const CARDS_RETAIN_MS = DISTINCT_WINDOW_MS + LATENESS_MS + ENTITY_DELAY_MS + 2 * BUCKET_MS

/** Up to which offsets a part may be read. */
export interface Cut {
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

/** A part without events, with its place in the cache, and a merged hour and a label in memory: measured. */
const OBJECT_BYTES = 650
const HOUR_BYTES = 450
const LABEL_BYTES = 120

const NO_LABELS: readonly EntityLabel[] = []
const NO_EVENTS = new Float64Array(0)
const NO_HOURS: readonly HourlyBucket[] = []

/** Hot path: plain loops. */
export class EntityPart implements Touchable {
  // What every reading looks at comes first, so that it stands together in memory.
  /** Rows of ENTITY_STRIDE numbers by (time, offset): time, offset, 32 bits of the id's reference, hash of the card. */
  data = NO_EVENTS
  count = 0
  #newestOffset = -1
  /** The newest hour that holds anything, in hours; -1 for none. */
  #newestHour = -1
  /** Events of that hour while all came at the end, and whether any hour is crowded; -1 where that is to be found. */
  #newestHourCount = 0
  #isSparse = true
  #crowded: HourlyBucket[] | null = null
  /** Where readings have found the ends of their windows; see window-edges.ts. */
  edges: Float64Array | null = null
  readonly stored = new StoredPart()
  #hours: HourIndex | null = null
  /** Largest offset of an event that was not put at the end, and no later than the time of any of them; see `unseenFromMs`. */
  #movedOffset = -1
  #movedFromMs = Infinity
  /** Of offsets below this, it was forgotten which events were not put at the end. */
  #unknownBelow = 0
  /** How often anything has changed. */
  #changes = 0
  #labels: EntityLabel[] | null = null
  /** The copy that a reader was given last, and how often the part had changed before. */
  #seen: {
    readonly nextOffset: number
    readonly changes: number
    readonly part: EntityPart
  } | null = null

  /** What the part takes in memory, in bytes, about. */
  get memoryBytes(): number {
    const items = HOUR_BYTES * this.hourlyBuckets.length + LABEL_BYTES * this.labels.length
    return OBJECT_BYTES + this.data.byteLength + (this.edges?.byteLength ?? 0) + items
  }

  /** By offset. */
  get labels(): readonly EntityLabel[] {
    return this.#labels ?? NO_LABELS
  }

  /** Merged hours, oldest first. */
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

  /** The time that it is written against too. */
  touchNewest(): number {
    const { data, count, stored } = this
    if (count === 0) return 0
    const end = count * ENTITY_STRIDE
    return (data[end - 1] ?? 0) + (data[end - ENTITY_STRIDE] ?? 0) + stored.lastTimeMs
  }

  /** Whether no hour is crowded, as in most parts: then events count singly, and need no index by the hour. Hot path. */
  get isSparse(): boolean {
    if (this.#crowded !== null && this.#crowded.length > 0) return false
    if (this.#newestHourCount < 0) this.#countHours()
    return this.#isSparse
  }

  /** All events by the hour; made when first asked for after a change in the middle. */
  get hours(): HourIndex {
    this.#hours ??= new HourIndex(this)
    return this.#hours
  }

  /** An event that is held already, written before a crash, is left as it is. */
  insert(timeMs: number, offset: number, idHash: number, cardHash: number): void {
    if (offset <= this.#newestOffset && this.#holds(offset)) return
    const place = this.#placeOf(timeMs, offset)
    if (place < this.count) {
      this.#movedOffset = Math.max(this.#movedOffset, offset)
      this.#movedFromMs = Math.min(this.#movedFromMs, timeMs)
    }
    this.append(place, timeMs, offset, idHash, cardHash)
    if (offset < this.stored.nextOffset) this.stored.forget()
    else this.stored.noteNew()
  }

  /** Offset after the newest event. */
  get nextOffset(): number {
    return this.#newestOffset + 1
  }

  /** Takes in an event of a stored value, wherever it belongs. */
  adoptOne(timeMs: number, offset: number, idHash: number, cardHash: number): void {
    this.append(this.#placeOf(timeMs, offset), timeMs, offset, idHash, cardHash)
    this.#forgetOrder()
  }

  /** Puts an event at its place among those by (time, offset). */
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
    // Enough to match labels with the events of one entity.
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

  /** Makes room for events that a reader of stored values writes itself, in order, and `adopt`s. */
  reserve(more: number): Float64Array {
    const needed = (this.count + more) * ENTITY_STRIDE
    if (needed > this.data.length) {
      const larger = new Float64Array(needed)
      larger.set(this.data.subarray(0, this.count * ENTITY_STRIDE))
      this.data = larger
    }
    return this.data
  }

  /** Takes in what was written into `reserve`d room; `newestOffset` is the largest among it. */
  adopt(more: number, newestOffset: number): void {
    this.count += more
    this.#newestOffset = Math.max(this.#newestOffset, newestOffset)
    if (this.count > 0) {
      this.#noteHour(Math.floor(this.at(this.count - 1, ENTITY_COLUMN.time) / BUCKET_MS))
    }
    this.#forgetOrder()
    this.#changes += 1
    this.#forgetHours()
  }

  /** Hours before this are forgotten by a reader that sees the events below `nextOffset`. Always a full hour. */
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

  /** Adds merged events to their hour. */
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
   * No event with such an offset or a later one is older than this. Those that were put at the end stand in order of their
   * offsets, so the newest of them are the last.
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

  #forgetHours(): void {
    this.edges = null
    this.#hours = null
    this.#newestHourCount = -1
  }

  /** What is below this offset is committed: nobody reads less of it any more. */
  #noteCommitted(nextOffset: number): void {
    if (this.#movedOffset >= nextOffset) return
    this.#unknownBelow = Math.max(this.#unknownBelow, this.#movedOffset + 1)
    this.#movedOffset = -1
    this.#movedFromMs = Infinity
  }

  #forgetCrowded(horizonMs: number): void {
    const hours = this.#crowded
    while (hours?.[0] !== undefined && hours[0].startMs < horizonMs) {
      hours.shift()
      this.#forgetHours()
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

  /** Nothing is known of how the events came: they were read from a stored value. */
  #forgetOrder(): void {
    this.#unknownBelow = this.#newestOffset + 1
  }

  #holds(offset: number): boolean {
    for (let index = this.count - 1; index >= 0; index -= 1) {
      if (this.at(index, ENTITY_COLUMN.offset) === offset) return true
    }
    return false
  }

  #placeOf(timeMs: number, offset: number): number {
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
   * The part as a reader sees it that looks at nothing after `toMs`: itself where all that is up to the end of that hour
   * is within the frontier, else a copy of what is.
   */
  seenBy(frontier: Cut, toMs = Infinity): EntityPart {
    if (this.#newestOffset < frontier.nextOffset) return this
    if (bucketStartMs(this.#unseenFromMs(frontier.nextOffset)) > toMs) return this
    const known = this.#seen
    if (known?.nextOffset === frontier.nextOffset && known.changes === this.#changes)
      return known.part
    const part = this.#within(frontier)
    this.#seen = { nextOffset: frontier.nextOffset, changes: this.#changes, part }
    return part
  }

  #within(frontier: Cut): EntityPart {
    const seen = new EntityPart()
    for (let index = 0; index < this.count; index += 1) {
      const offset = this.at(index, ENTITY_COLUMN.offset)
      if (offset >= frontier.nextOffset) continue
      const time = this.at(index, ENTITY_COLUMN.time)
      const [id, card] = [this.at(index, ENTITY_COLUMN.id), this.at(index, ENTITY_COLUMN.card)]
      seen.append(seen.count, time, offset, id, card)
    }
    // Merged events are committed, so every frontier holds them.
    seen.#crowded = [...this.hourlyBuckets]
    seen.#labels = [...this.labels]
    const newestCrowded = this.hourlyBuckets.at(-1)
    if (newestCrowded !== undefined) seen.#noteHour(newestCrowded.startMs / BUCKET_MS)
    return seen
  }

  /** Remembers a label. Genuine ones matter only where they undo a fraud, so others are not kept. */
  insertLabel(label: EntityLabel): void {
    this.#changes += 1
    if (this.labels.some(({ labelOffset }) => labelOffset === label.labelOffset)) return
    if (!label.isFraud && !this.#isWordBefore(label)) return
    const labels = (this.#labels ??= [])
    let position = labels.length
    while (position > 0 && (labels[position - 1]?.labelOffset ?? 0) > label.labelOffset) {
      position -= 1
    }
    labels.splice(position, 0, label)
    this.stored.forget()
  }

  /** Takes in a label of a stored value, after those that were. */
  adoptLabel(label: EntityLabel): void {
    this.#labels ??= []
    this.#labels.push(label)
  }

  /** How many labels have an offset below this; they come first. */
  labelCount(labelNextOffset: number): number {
    let count = this.labels.length
    while (count > 0 && (this.labels[count - 1]?.labelOffset ?? 0) >= labelNextOffset) count -= 1
    return count
  }

  /** Merges crowded hours and forgets what no feature can reach; touches only what is committed. */
  compact(committed: Cut): void {
    this.stored.forget()
    this.#changes += 1
    this.#seen = null
    this.#noteCommitted(committed.nextOffset)
    const horizonMs = this.horizonMs(committed.nextOffset)
    if (this.#hasToMerge(committed.nextOffset, horizonMs)) {
      this.#mergeHourlyBuckets(committed.nextOffset, horizonMs)
      this.#forgetHours()
    }
    this.#forgetCrowded(horizonMs)
    const cardsFromMs = horizonMs + ENTITY_RETAIN_MS - CARDS_RETAIN_MS
    for (const { startMs, cards } of this.hourlyBuckets) {
      if (startMs >= cardsFromMs) break
      cards.clear()
    }
    this.#forgetLabels(committed.labelNextOffset, horizonMs)
  }

  /** The one form that all parts of the same log have. */
  normalise(): void {
    this.compact({ nextOffset: Infinity, labelNextOffset: Infinity })
    const horizonMs = this.horizonMs(Infinity)
    this.#labels = this.labels.filter(({ timeMs }) => timeMs >= horizonMs)
  }

  /** True when a word on the same transaction, among those that count, comes before this one in the log. */
  #isWordBefore({ idHash, timeMs, labelOffset }: EntityLabel): boolean {
    const end = this.labelCount(labelOffset)
    for (let index = Math.max(0, end - LABELS_MAX); index < end; index += 1) {
      const word = this.labels[index]
      // An id may be used again after the reach: its first use may be forgotten already, or not.
      if (word?.idHash === idHash && word.timeMs === timeMs) return true
    }
    return false
  }

  /** True when an event is too old, or an hour that is not merged yet has become crowded. */
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

  /** Only from the front: then the last LABELS_MAX of a reader are the same whatever was forgotten. */
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
