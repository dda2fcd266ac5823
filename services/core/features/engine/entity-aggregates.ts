// Aggregates of an entity for one transaction, from the partial aggregates of all partitions. Hot path: counts use
// bisection. Single events are read only to count distinct cards or to follow a run of frauds.

import { ENTITY_COLUMN, ENTITY_STRIDE } from '../state/entity-event.ts'
import {
  DISTINCT_WINDOW_MS,
  LABELS_MAX,
  type Frontier,
  type EntityPart,
} from '../state/entity-part.ts'
import type { EntityPlan, WindowGroup } from './entity-plan.ts'
import type { HourIndex } from '../state/hour-index.ts'
import { HashSet } from './hash-set.ts'
import { KnownFrauds } from '../state/known-frauds.ts'
import { estimateDistinct, KmvSketch } from '../state/kmv-sketch.ts'
import { BUCKET_MS } from '../catalogue/time.ts'
import { countTo } from '../state/window-edges.ts'

/** Windows that end at the same delay before the transaction. */
interface GroupCounts extends WindowGroup {
  /** Slot of the edge at which all windows end; the slots of their begins follow. */
  readonly firstEdge: number
  readonly counts: Float64Array
  readonly frauds: Float64Array
}

export class EntityAggregates {
  readonly groups: readonly GroupCounts[]
  /** Number of distinct cards, exact or estimated. */
  distinctCards = 0
  /** Length of the run of known frauds at the end of the window, and the time of its first event; NaN for none. */
  runLength = 0
  runStartMs = NaN
  /** True if a crowded hour straddles an end of a window, or the number of cards is an estimate. */
  isApproximate = false

  readonly #plan: EntityPlan
  /** Slots of the edges at which the windows of the run and of the distinct cards end. */
  readonly #runEdge: number
  readonly #cardsEdge: number
  readonly #delayMsMin: number
  readonly #frauds = new KnownFrauds()
  readonly #cards = new HashSet()
  #isSaturated = false
  #timeMs = 0
  /** Known frauds at the end of each part: time and id, in no particular order across parts. */
  readonly #runTimesMs: number[] = []
  readonly #runIds: number[] = []
  /** The newest event of all parts that is not a known fraud. */
  #otherTimeMs = -Infinity
  #otherId = 0
  /** The same for the part that is being read. */
  #partOtherMs = -Infinity
  /** Times of known frauds, and the newest crowded hour that can end a run. */
  readonly #fraudTimesMs: number[] = []
  #crowdedMs = -Infinity

  constructor(plan: EntityPlan) {
    this.#plan = plan
    this.#delayMsMin = Math.min(...plan.groups.map(({ delayMs }) => delayMs))
    let nextEdge = 0
    this.groups = plan.groups.map((group) => {
      const windowCount = group.windowsMs.length
      const firstEdge = nextEdge
      nextEdge += 1 + windowCount
      const windows = (): Float64Array => new Float64Array(windowCount)
      return { ...group, firstEdge, counts: windows(), frauds: windows() }
    })
    const endOf = (delay: number | undefined | null): number =>
      this.groups.find(({ delayMs }) => delayMs === delay)?.firstEdge ?? nextEdge
    this.#runEdge = endOf(plan.run?.delayMs)
    this.#cardsEdge = endOf(plan.distinctDelayMs)
  }

  /** Starts the aggregates of a transaction at this time. */
  begin(timeMs: number): void {
    this.#timeMs = timeMs
    for (const { counts, frauds } of this.groups) {
      // There are so few that a loop costs less than a call of `fill`.
      for (let window = 0; window < counts.length; window += 1) {
        counts[window] = 0
        frauds[window] = 0
      }
    }
    this.#cards.clear()
    this.#isSaturated = false
    this.isApproximate = false
    if (this.#runTimesMs.length > 0) this.#runTimesMs.length = 0
    if (this.#runIds.length > 0) this.#runIds.length = 0
    this.#otherTimeMs = -Infinity
    this.#otherId = 0
    if (this.#fraudTimesMs.length > 0) this.#fraudTimesMs.length = 0
    this.#crowdedMs = -Infinity
  }

  /** Adds the part of one partition, limited to the frontier. */
  add(part: EntityPart, frontier: Frontier): void {
    if (part.count === 0 && part.hourlyBuckets.length === 0 && part.labels.length === 0) return
    const seen = part.seenBy(frontier, this.#timeMs - this.#delayMsMin)
    const horizonMs = seen.horizonMs(frontier.nextOffset)
    if (seen.isSparse) this.#addSingleCounts(seen, horizonMs)
    else for (const group of this.groups) this.#addCounts(seen.hours, group, horizonMs)
    const { distinctDelayMs, run } = this.#plan
    if (distinctDelayMs !== null) this.#addCards(seen, this.#timeMs - distinctDelayMs, horizonMs)
    const labelCount = seen.labels.length === 0 ? 0 : seen.labelCount(frontier.labelNextOffset)
    if (labelCount > 0) this.#addFrauds(seen, labelCount, horizonMs)
    if (run !== null) this.#addRun(seen, labelCount, run.delayMs, run.windowMs, horizonMs)
  }

  /** Completes the aggregates; call after the last part. */
  finish(): void {
    this.distinctCards = this.#isSaturated
      ? estimateDistinct(this.#cards.toArray())
      : this.#cards.size
    if (this.#isSaturated) this.isApproximate = true
    this.runLength = 0
    this.runStartMs = NaN
    for (let index = 0; index < this.#runTimesMs.length; index += 1) {
      const timeMs = this.#runTimesMs[index] ?? 0
      if (!this.#isAfterOther(timeMs, this.#runIds[index] ?? 0)) continue
      this.runLength += 1
      if (!(timeMs >= this.runStartMs)) this.runStartMs = timeMs
    }
    if (this.#mayContinueInHour()) this.isApproximate = true
  }

  /** Adds the counts of a part without crowded hours. Hot path. */
  #addSingleCounts(part: EntityPart, horizonMs: number): void {
    for (const { delayMs, windowsMs, counts, isCounted, firstEdge } of this.groups) {
      const toMs = this.#timeMs - delayMs
      // The window ends before the horizon.
      if (!isCounted || toMs < horizonMs) continue
      const upTo = countTo(part, toMs, firstEdge)
      if (upTo === 0) continue
      for (let window = 0; window < windowsMs.length; window += 1) {
        // Hours before the horizon do not count; the horizon is the start of an hour.
        const beforeMs = Math.max(toMs - (windowsMs[window] ?? 0), horizonMs - 1)
        const before = countTo(part, beforeMs, firstEdge + 1 + window)
        counts[window] = (counts[window] ?? 0) + upTo - before
      }
    }
  }

  #addCounts(hours: HourIndex, group: GroupCounts, horizonMs: number): void {
    const { delayMs, windowsMs, counts, isCounted } = group
    if (!isCounted && !hours.hasCrowded) return
    const toMs = this.#timeMs - delayMs
    // The window ends before the horizon.
    if (toMs < horizonMs) return
    const last = hours.hourAt(toMs)
    const upTo = hours.countAt(last, toMs)
    if (upTo === 0) return
    // Longer windows begin earlier.
    let end = last + 1
    if (hours.hasCrowded) this.#noteCrowded(hours, toMs, windowsMs, horizonMs)
    for (let window = 0; window < windowsMs.length; window += 1) {
      // Hours before the horizon do not count; the horizon is the start of an hour.
      const beforeMs = Math.max(toMs - (windowsMs[window] ?? 0), horizonMs - 1)
      const hour = hours.hourAt(beforeMs, end)
      counts[window] = (counts[window] ?? 0) + upTo - hours.countAt(hour, beforeMs)
      end = hour + 1
    }
  }

  /** Sets isApproximate if a crowded hour straddles an end of a window: its count is not exact. */
  #noteCrowded(
    hours: HourIndex,
    toMs: number,
    windowsMs: readonly number[],
    horizonMs: number,
  ): void {
    if (hours.isInCrowded(toMs, horizonMs)) this.isApproximate = true
    for (const windowMs of windowsMs) {
      if (hours.isInCrowded(toMs - windowMs, horizonMs)) this.isApproximate = true
    }
  }

  #addCards(part: EntityPart, toMs: number, horizonMs: number): void {
    const fromMs = toMs - DISTINCT_WINDOW_MS
    if (part.isSparse) {
      const end = countTo(part, toMs, this.#cardsEdge)
      this.#addCardsBetween(part, 0, end, Math.max(fromMs, horizonMs - 1), toMs)
      return
    }
    const { hours } = part
    for (let hour = hours.hourAt(toMs); hour >= 0; hour -= 1) {
      const startMs = hours.startMsOf(hour)
      if (startMs < horizonMs) return
      if (hours.isCrowded(hour)) {
        if (startMs <= fromMs) return
        this.#addCrowdedCards(part, hour)
        continue
      }
      const first = hours.firstOf(hour)
      if (this.#addCardsBetween(part, first, first + hours.totalOf(hour), fromMs, toMs)) return
    }
  }

  /** Adds the cards of single events from `first` up to `end`, newest first. Returns true if one was too old. */
  #addCardsBetween(
    { data }: EntityPart,
    first: number,
    end: number,
    fromMs: number,
    toMs: number,
  ): boolean {
    const cards = this.#cards
    for (let index = end - 1; index >= first; index -= 1) {
      const timeMs = data[index * ENTITY_STRIDE] ?? 0
      if (timeMs > toMs) continue
      if (timeMs <= fromMs) return true
      cards.add(data[index * ENTITY_STRIDE + ENTITY_COLUMN.card] ?? 0)
    }
    return false
  }

  /**
   * Adds the cards of a crowded hour as one sketch, so that the result does not depend on how much of the hour is
   * merged.
   */
  #addCrowdedCards(part: EntityPart, hour: number): void {
    const { hours } = part
    const merged = hours.mergedOf(hour)
    const singles = hours.totalOf(hour) - (merged?.count ?? 0)
    const first = hours.firstOf(hour)
    let sketch = merged?.cards
    if (singles > 0) {
      sketch = new KmvSketch()
      for (const hash of merged?.cards.hashes ?? []) sketch.add(hash)
      sketch.isSaturated ||= merged?.cards.isSaturated ?? false
      for (let index = first; index < first + singles; index += 1) {
        sketch.add(part.at(index, ENTITY_COLUMN.card))
      }
    }
    for (const hash of sketch?.hashes ?? []) this.#cards.add(hash)
    if (sketch?.isSaturated === true) this.#isSaturated = true
  }

  #addFrauds({ labels }: EntityPart, end: number, horizonMs: number): void {
    this.#frauds.read(labels, Math.max(0, end - LABELS_MAX), end, this.#timeMs, horizonMs)
    for (const { timeMs } of this.#frauds.found) {
      if (this.#plan.run !== null) this.#fraudTimesMs.push(timeMs)
      for (const { delayMs, windowsMs, frauds } of this.groups) {
        const ageMs = this.#timeMs - delayMs - timeMs
        if (ageMs < 0) continue
        for (let window = 0; window < windowsMs.length; window += 1) {
          if (ageMs < (windowsMs[window] ?? 0)) frauds[window] = (frauds[window] ?? 0) + 1
        }
      }
    }
  }

  /** Follows known frauds back from the end of the window to the first event that is not one. */
  #addRun(
    part: EntityPart,
    labelCount: number,
    delayMs: number,
    windowMs: number,
    horizonMs: number,
  ): void {
    const toMs = this.#timeMs - delayMs
    const fromMs = Math.max(toMs - windowMs, horizonMs - 1)
    const isAnyKnown = labelCount > 0
    this.#partOtherMs = -Infinity
    if (part.isSparse) {
      const end = countTo(part, toMs, this.#runEdge)
      this.#followRun(part, 0, end, fromMs, toMs, isAnyKnown)
      return
    }
    const { hours } = part
    for (let hour = hours.hourAt(toMs); hour >= 0; hour -= 1) {
      const startMs = hours.startMsOf(hour)
      if (hours.isCrowded(hour)) {
        // Single frauds of a crowded hour are unknown, so the run ends there.
        if (startMs > fromMs && startMs >= this.#partOtherMs) {
          this.#crowdedMs = Math.max(this.#crowdedMs, startMs)
          this.#noteOther(startMs, 0)
        }
        return
      }
      const first = hours.firstOf(hour)
      const end = first + hours.totalOf(hour)
      if (this.#followRun(part, first, end, fromMs, toMs, isAnyKnown)) return
    }
  }

  /** Follows the run among single events from `first` up to `end`. Returns true once the run has ended. */
  // eslint-disable-next-line max-params -- called once per hour of the run: an object for each would be garbage
  #followRun(
    part: EntityPart,
    first: number,
    end: number,
    fromMs: number,
    toMs: number,
    isAnyKnown: boolean,
  ): boolean {
    for (let index = end - 1; index >= first; index -= 1) {
      const timeMs = part.at(index, ENTITY_COLUMN.time)
      if (timeMs > toMs) continue
      if (timeMs <= fromMs || timeMs < this.#partOtherMs) return true
      const id = part.at(index, ENTITY_COLUMN.id)
      if (isAnyKnown && this.#frauds.has(id, timeMs)) {
        this.#runTimesMs.push(timeMs)
        this.#runIds.push(id)
      } else {
        // There may be more events of the same time: `finish` compares their ids.
        this.#partOtherMs = timeMs
        this.#noteOther(timeMs, id)
      }
    }
    return false
  }

  /** Whether a crowded hour ends the run although it includes known frauds. */
  #mayContinueInHour(): boolean {
    const endMs = this.#crowdedMs + BUCKET_MS
    if (endMs <= this.#otherTimeMs) return false
    return this.#fraudTimesMs.some((timeMs) => timeMs >= this.#crowdedMs && timeMs < endMs)
  }

  #noteOther(timeMs: number, id: number): void {
    if (!this.#isAfterOther(timeMs, id)) return
    this.#otherTimeMs = timeMs
    this.#otherId = id
  }

  #isAfterOther(timeMs: number, id: number): boolean {
    if (timeMs !== this.#otherTimeMs) return timeMs > this.#otherTimeMs
    return id > this.#otherId
  }
}
