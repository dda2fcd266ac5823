// An entity's events by the hour, with running totals: how many there are up to a time is found by bisection instead
// of counting. Hours with more than HOUR_RAW_MAX events are crowded and stand at their start as a whole.

import { ENTITY_COLUMN, HOUR_RAW_MAX, type CrowdedHour, type HourlyEvents } from './entity-event.ts'
import { BUCKET_MS, bucketStartMs } from './time.ts'

export class HourIndex {
  /** Starts of hours that hold anything, ascending. */
  readonly startsMs: number[] = []
  /** Events in earlier hours. */
  readonly before: number[] = []
  /** Events in the hour, merged ones included. */
  readonly totals: number[] = []
  /** Index of the first single event at or after the start of the hour. */
  readonly firsts: number[] = []
  readonly merged: (CrowdedHour | null)[] = []
  /** True when some crowded hour holds single events. */
  hasCrowdedSingles = false
  /** True when some hour is crowded. */
  hasCrowded = false
  readonly #part: HourlyEvents

  constructor(part: HourlyEvents) {
    this.#part = part
    const { crowdedHours, count } = part
    let hour = 0
    let index = 0
    while (hour < crowdedHours.length || index < count) {
      const mergedMs = crowdedHours[hour]?.startMs ?? Infinity
      const singleMs = index < count ? bucketStartMs(part.at(index, ENTITY_COLUMN.time)) : Infinity
      const startMs = Math.min(mergedMs, singleMs)
      const merged = mergedMs === startMs ? (crowdedHours[hour] ?? null) : null
      if (merged !== null) hour += 1
      const first = index
      while (index < count && part.at(index, ENTITY_COLUMN.time) < startMs + BUCKET_MS) index += 1
      this.#push(startMs, first, (merged?.count ?? 0) + index - first, merged)
      this.#noteCrowded(index > first)
    }
  }

  get length(): number {
    return this.startsMs.length
  }

  isCrowded(hour: number): boolean {
    return (this.totals[hour] ?? 0) > HOUR_RAW_MAX
  }

  /** Takes in an event that was added at the end; false when it does not belong there. */
  append(timeMs: number): boolean {
    const startMs = bucketStartMs(timeMs)
    const last = this.length - 1
    const lastMs = this.startsMs[last] ?? -Infinity
    if (startMs < lastMs) return false
    if (startMs === lastMs) this.totals[last] = (this.totals[last] ?? 0) + 1
    else this.#push(startMs, this.#part.count - 1, 1, null)
    this.#noteCrowded(true)
    return true
  }

  /** Index of the last hour that begins at or before this time, among those before `end`; -1 for none. */
  hourAt(timeMs: number, end = this.length): number {
    const { startsMs } = this
    let low = 0
    let high = end
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((startsMs[middle] ?? Infinity) <= timeMs) low = middle + 1
      else high = middle
    }
    return low - 1
  }

  /** Events at or before this time, which lies at `hour` (see hourAt), those of crowded hours at their start. */
  countAt(hour: number, timeMs: number): number {
    if (hour < 0) return 0
    const before = this.before[hour] ?? 0
    const total = this.totals[hour] ?? 0
    if (this.isCrowded(hour) || timeMs >= (this.startsMs[hour] ?? 0) + BUCKET_MS - 1) {
      return before + total
    }
    const first = this.firsts[hour] ?? 0
    let inside = 0
    while (inside < total && this.#part.at(first + inside, ENTITY_COLUMN.time) <= timeMs)
      inside += 1
    return before + inside
  }

  /** True when this time lies inside a crowded hour, so that what is counted up to it is not exact. */
  isInCrowded(timeMs: number): boolean {
    const hour = this.hourAt(timeMs)
    if (hour < 0 || !this.isCrowded(hour)) return false
    return timeMs < (this.startsMs[hour] ?? 0) + BUCKET_MS
  }

  #push(startMs: number, first: number, total: number, merged: CrowdedHour | null): void {
    const last = this.length - 1
    this.before.push(last < 0 ? 0 : (this.before[last] ?? 0) + (this.totals[last] ?? 0))
    this.startsMs.push(startMs)
    this.firsts.push(first)
    this.totals.push(total)
    this.merged.push(merged)
  }

  #noteCrowded(hasSingles: boolean): void {
    if (!this.isCrowded(this.length - 1)) return
    this.hasCrowded = true
    if (hasSingles) this.hasCrowdedSingles = true
  }
}
