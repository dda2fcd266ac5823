// An entity's events by the hour, with running totals: how many there are up to a time is found by bisection instead
// of counting. Hours with more than HOUR_RAW_MAX events are crowded and stand at their start as a whole.

import {
  ENTITY_COLUMN,
  HOUR_RAW_MAX,
  type HourlyBucket,
  type HourlyEvents,
} from './entity-event.ts'
import { BUCKET_MS, bucketStartMs } from '../catalogue/time.ts'

/** Numbers per hour: its start, and how many events there are in earlier hours. Together, since both are asked for. */
const STRIDE = 2

export class HourIndex {
  /** True when some crowded hour holds single events. */
  hasCrowdedSingles = false
  /** True when some hour is crowded. */
  hasCrowded = false
  readonly #part: HourlyEvents
  /** Hours that hold anything, ascending. */
  readonly #rows: number[] = []
  /** Events of all hours, merged ones included. */
  #total = 0
  /** What is merged, by the place of its hour, and merged events in earlier hours; null where no hour is merged. */
  #merged: (HourlyBucket | null)[] | null = null
  #mergedBefore: number[] | null = null
  #mergedTotal = 0

  constructor(part: HourlyEvents) {
    this.#part = part
    const { hourlyBuckets, count } = part
    if (hourlyBuckets.length > 0) {
      this.#merged = []
      this.#mergedBefore = []
    }
    let hour = 0
    let index = 0
    while (hour < hourlyBuckets.length || index < count) {
      const mergedMs = hourlyBuckets[hour]?.startMs ?? Infinity
      const singleMs = index < count ? bucketStartMs(part.at(index, ENTITY_COLUMN.time)) : Infinity
      const startMs = Math.min(mergedMs, singleMs)
      const merged = mergedMs === startMs ? (hourlyBuckets[hour] ?? null) : null
      if (merged !== null) hour += 1
      const first = index
      while (index < count && part.at(index, ENTITY_COLUMN.time) < startMs + BUCKET_MS) index += 1
      this.#push(startMs, index - first, merged)
      this.#noteCrowded(index > first)
    }
  }

  get length(): number {
    return this.#rows.length / STRIDE
  }

  /** Start of the newest hour; -Infinity without any. */
  get newestMs(): number {
    return this.#rows[this.#rows.length - STRIDE] ?? -Infinity
  }

  startMsOf(hour: number): number {
    return this.#rows[hour * STRIDE] ?? 0
  }

  /** Events in the hour, merged ones included. */
  totalOf(hour: number): number {
    return this.#endOf(hour) - this.#beforeOf(hour)
  }

  /** Index of the first single event at or after the start of the hour. */
  firstOf(hour: number): number {
    const mergedBefore = this.#mergedBefore
    const before = this.#beforeOf(hour)
    return mergedBefore === null ? before : before - (mergedBefore[hour] ?? 0)
  }

  /** What of the hour is merged; null for nothing. */
  mergedOf(hour: number): HourlyBucket | null {
    return this.#merged?.[hour] ?? null
  }

  isCrowded(hour: number): boolean {
    return hour >= 0 && this.totalOf(hour) > HOUR_RAW_MAX
  }

  /** Takes in an event that was added at the end; false when it does not belong there. */
  append(timeMs: number): boolean {
    const startMs = bucketStartMs(timeMs)
    const { newestMs } = this
    if (startMs < newestMs) return false
    if (startMs === newestMs) this.#total += 1
    else this.#push(startMs, 1, null)
    this.#noteCrowded(true)
    return true
  }

  /** Index of the last hour that begins at or before this time, among those before `end`; -1 for none. */
  hourAt(timeMs: number, end = this.length): number {
    const rows = this.#rows
    let low = 0
    let high = end
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((rows[middle * STRIDE] ?? Infinity) <= timeMs) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** Events at or before this time, which lies at `hour` (see hourAt), those of crowded hours at their start. */
  countAt(hour: number, timeMs: number): number {
    if (hour < 0) return 0
    const end = this.#endOf(hour)
    if (timeMs >= this.startMsOf(hour) + BUCKET_MS - 1 || this.isCrowded(hour)) return end
    const before = this.#beforeOf(hour)
    const total = end - before
    const first = this.firstOf(hour)
    let inside = 0
    while (inside < total && this.#part.at(first + inside, ENTITY_COLUMN.time) <= timeMs)
      inside += 1
    return before + inside
  }

  /** True when this time lies inside a crowded hour, so that what is counted up to it is not exact. */
  isInCrowded(timeMs: number, horizonMs: number): boolean {
    const hour = this.hourAt(timeMs)
    const startMs = this.startMsOf(hour)
    return this.isCrowded(hour) && startMs >= horizonMs && timeMs < startMs + BUCKET_MS
  }

  #beforeOf(hour: number): number {
    return this.#rows[hour * STRIDE + 1] ?? 0
  }

  /** Events up to the end of the hour. */
  #endOf(hour: number): number {
    const next = (hour + 1) * STRIDE
    return next < this.#rows.length ? (this.#rows[next + 1] ?? 0) : this.#total
  }

  #push(startMs: number, singles: number, merged: HourlyBucket | null): void {
    this.#rows.push(startMs, this.#total)
    this.#merged?.push(merged)
    this.#mergedBefore?.push(this.#mergedTotal)
    this.#mergedTotal += merged?.count ?? 0
    this.#total += singles + (merged?.count ?? 0)
  }

  #noteCrowded(hasSingles: boolean): void {
    if (!this.isCrowded(this.length - 1)) return
    this.hasCrowded = true
    if (hasSingles) this.hasCrowdedSingles = true
  }
}
