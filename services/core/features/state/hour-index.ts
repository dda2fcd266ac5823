// Hourly index of an entity's events with running totals: finds the number of events up to a time by bisection. Hours
// with more than HOUR_RAW_MAX events are crowded; all their events count at the start of the hour.

import {
  ENTITY_COLUMN,
  HOUR_RAW_MAX,
  type HourlyBucket,
  type HourlyEvents,
} from './entity-event.ts'
import { BUCKET_MS, bucketStartMs } from '../catalogue/time.ts'

/**
 * Numbers per hour: its start, and the number of events in earlier hours. They are adjacent, since they are read
 * together.
 */
const STRIDE = 2

export class HourIndex {
  /** True if a crowded hour has single events. */
  hasCrowdedSingles = false
  /** True if any hour is crowded. */
  hasCrowded = false
  readonly #part: HourlyEvents
  /** Hours with at least one event, ascending. */
  readonly #rows: number[] = []
  /** Events of all hours, including merged ones. */
  #total = 0
  /** Per hour: its bucket, and the number of merged events in earlier hours. Null if the part has no buckets. */
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

  /** Events in the hour, including merged ones. */
  totalOf(hour: number): number {
    return this.#endOf(hour) - this.#beforeOf(hour)
  }

  /** Index of the first single event at or after the start of the hour. */
  firstOf(hour: number): number {
    const mergedBefore = this.#mergedBefore
    const before = this.#beforeOf(hour)
    return mergedBefore === null ? before : before - (mergedBefore[hour] ?? 0)
  }

  /** Bucket of the hour's merged events; null for none. */
  mergedOf(hour: number): HourlyBucket | null {
    return this.#merged?.[hour] ?? null
  }

  isCrowded(hour: number): boolean {
    return hour >= 0 && this.totalOf(hour) > HOUR_RAW_MAX
  }

  /** Adds an event that was appended to the part; false if it is older than the newest hour. */
  append(timeMs: number): boolean {
    const startMs = bucketStartMs(timeMs)
    const { newestMs } = this
    if (startMs < newestMs) return false
    if (startMs === newestMs) this.#total += 1
    else this.#push(startMs, 1, null)
    this.#noteCrowded(true)
    return true
  }

  /** Index of the last hour that begins at or before this time, among the hours before `end`; -1 for none. */
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

  /**
   * Number of events at or before this time, which lies in `hour` (see hourAt). Events of crowded hours count at the
   * start of their hour.
   */
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

  /** Whether this time lies inside a crowded hour, so that a count up to it is not exact. */
  isInCrowded(timeMs: number, horizonMs: number): boolean {
    const hour = this.hourAt(timeMs)
    const startMs = this.startMsOf(hour)
    return this.isCrowded(hour) && startMs >= horizonMs && timeMs < startMs + BUCKET_MS
  }

  #beforeOf(hour: number): number {
    return this.#rows[hour * STRIDE + 1] ?? 0
  }

  /** Number of events up to the end of the hour. */
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
