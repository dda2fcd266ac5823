// The events that one lane knows of an entity, one by one, in order of time and by the hour. entity-part.ts says what of
// them a reader sees, and what is merged and forgotten.

import { lowBitsOf } from '../../reference.ts'
import type { Touchable } from './bring-near.ts'
import { ENTITY_COLUMN, ENTITY_STRIDE, HOUR_RAW_MAX, type CrowdedHour } from './entity-event.ts'
import { HourIndex } from './hour-index.ts'
import { KeptSmallest } from './kept-smallest.ts'
import { StoredPart } from './stored-form.ts'
import { touchEdges, touchRowsAt } from './window-edges.ts'
import {
  BUCKET_MS,
  ENTITY_DELAY_MS,
  ENTITY_REACH_MS,
  LATENESS_MS,
  bucketStartMs,
} from '../catalogue/time.ts'

/** Hours that begin this long before the hour of the part's newest event are forgotten. */
export const ENTITY_RETAIN_MS = ENTITY_REACH_MS + LATENESS_MS + ENTITY_DELAY_MS + 2 * BUCKET_MS

const NO_EVENTS = new Float64Array(0)
const NO_HOURS: readonly CrowdedHour[] = []

/** Hot path: plain loops. */
export abstract class EntityEvents implements Touchable {
  // What every reading looks at comes first, so that it stands together in memory.
  /** Rows of ENTITY_STRIDE numbers by (time, offset): time, offset, 32 bits of the id's reference, hash of the card. */
  data = NO_EVENTS
  count = 0
  protected newestOffset = -1
  /** The newest hour that holds anything, in hours; -1 for none. */
  #newestHour = -1
  /** Events of that hour while all came at the end, and whether any hour is crowded; -1 where that is to be found. */
  #newestHourCount = 0
  #isSparse = true
  protected crowded: CrowdedHour[] | null = null
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
  protected changes = 0

  /** Merged hours, oldest first. */
  get crowdedHours(): readonly CrowdedHour[] {
    return this.crowded ?? NO_HOURS
  }

  at(index: number, column: number): number {
    return this.data[index * ENTITY_STRIDE + column] ?? 0
  }

  touchSelf(): number {
    return this.count + this.changes
  }

  touchParts(): number {
    const { data, stored, edges } = this
    return data.length + stored.newCount + stored.nextOffset + (edges === null ? 0 : edges.length)
  }

  touchRows(): number {
    const { data, edges, count } = this
    const newest = count === 0 ? 0 : (data[(count - 1) * ENTITY_STRIDE] ?? 0)
    return edges === null ? newest : newest + touchEdges(edges)
  }

  touchFar(): number {
    const { data, edges } = this
    return edges === null ? 0 : touchRowsAt(data, edges)
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
    if (this.crowded !== null && this.crowded.length > 0) return false
    if (this.#newestHourCount < 0) this.#countHours()
    return this.#isSparse
  }

  /** All events by the hour; made when first asked for after a change in the middle. */
  get hours(): HourIndex {
    this.#hours ??= new HourIndex(this)
    return this.#hours
  }

  /** An event that is held already, written before a crash, is left as it is. */
  insert(timeMs: number, offset: number, idRef: number, cardHash: number): void {
    if (offset <= this.newestOffset && this.#holds(offset)) return
    const place = this.#placeOf(timeMs, offset)
    if (place < this.count) {
      this.#movedOffset = Math.max(this.#movedOffset, offset)
      this.#movedFromMs = Math.min(this.#movedFromMs, timeMs)
    }
    this.append(place, timeMs, offset, idRef, cardHash)
    if (offset < this.stored.nextOffset) this.stored.forget()
    else this.stored.noteNew()
  }

  /** Offset after the newest event. */
  get nextOffset(): number {
    return this.newestOffset + 1
  }

  /** Takes in an event of a stored value, wherever it belongs. */
  adoptOne(timeMs: number, offset: number, idRef: number, cardHash: number): void {
    this.append(this.#placeOf(timeMs, offset), timeMs, offset, idRef, cardHash)
    this.#forgetOrder()
  }

  /** Puts an event at its place among those by (time, offset). */
  append(index: number, timeMs: number, offset: number, idRef: number, cardHash: number): void {
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
    this.data[base + ENTITY_COLUMN.id] = lowBitsOf(idRef)
    this.data[base + ENTITY_COLUMN.card] = cardHash
    this.count += 1
    this.changes += 1
    if (offset > this.newestOffset) this.newestOffset = offset
    const hour = Math.floor(timeMs / BUCKET_MS)
    if (base < used) {
      this.#newestHourCount = -1
      this.edges = null
    } else if (this.#newestHourCount >= 0) {
      this.#newestHourCount = hour === this.#newestHour ? this.#newestHourCount + 1 : 1
      if (this.#newestHourCount > HOUR_RAW_MAX) this.#isSparse = false
    }
    this.noteHour(hour)
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
    this.newestOffset = Math.max(this.newestOffset, newestOffset)
    if (this.count > 0) {
      this.noteHour(Math.floor(this.at(this.count - 1, ENTITY_COLUMN.time) / BUCKET_MS))
    }
    this.#forgetOrder()
    this.changes += 1
    this.forgetHours()
  }

  /** Hours before this are forgotten by a reader that sees the events below `nextOffset`. Always a full hour. */
  horizonMs(nextOffset: number): number {
    if (this.newestOffset < nextOffset) {
      return this.#newestHour < 0 ? -Infinity : this.#newestHour * BUCKET_MS - ENTITY_RETAIN_MS
    }
    let newestMs = this.crowdedHours.at(-1)?.startMs ?? -Infinity
    for (let index = this.count - 1; index >= 0; index -= 1) {
      if (this.at(index, ENTITY_COLUMN.offset) >= nextOffset) continue
      newestMs = Math.max(newestMs, bucketStartMs(this.at(index, ENTITY_COLUMN.time)))
      break
    }
    return newestMs - ENTITY_RETAIN_MS
  }

  /** Adds merged events to their hour. */
  addToHour(startMs: number, count: number): CrowdedHour {
    this.noteHour(startMs / BUCKET_MS)
    const hours = (this.crowded ??= [])
    let position = hours.length
    while (position > 0 && (hours[position - 1]?.startMs ?? 0) > startMs) position -= 1
    const known = hours[position - 1]
    if (known?.startMs === startMs) {
      known.count += count
      return known
    }
    const hour = { startMs, count, cards: new KeptSmallest() }
    hours.splice(position, 0, hour)
    return hour
  }

  /**
   * No event with such an offset or a later one is older than this. Those that were put at the end stand in order of their
   * offsets, so the newest of them are the last.
   */
  protected unseenFromMs(offset: number): number {
    if (offset < this.#unknownBelow) return -Infinity
    let oldestMs = offset <= this.#movedOffset ? this.#movedFromMs : Infinity
    for (let index = this.count - 1; index >= 0; index -= 1) {
      if (this.at(index, ENTITY_COLUMN.offset) < offset) break
      oldestMs = Math.min(oldestMs, this.at(index, ENTITY_COLUMN.time))
    }
    return oldestMs
  }

  protected forgetHours(): void {
    this.edges = null
    this.#hours = null
    this.#newestHourCount = -1
  }

  /** What is below this offset is committed: nobody reads less of it any more. */
  protected noteCommitted(nextOffset: number): void {
    if (this.#movedOffset >= nextOffset) return
    this.#unknownBelow = Math.max(this.#unknownBelow, this.#movedOffset + 1)
    this.#movedOffset = -1
    this.#movedFromMs = Infinity
  }

  protected forgetCrowded(horizonMs: number): void {
    const hours = this.crowded
    while (hours?.[0] !== undefined && hours[0].startMs < horizonMs) {
      hours.shift()
      this.forgetHours()
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

  protected noteHour(hour: number): void {
    if (hour > this.#newestHour) this.#newestHour = hour
  }

  /** Nothing is known of how the events came: they were read from a stored value. */
  #forgetOrder(): void {
    this.#unknownBelow = this.newestOffset + 1
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
}
