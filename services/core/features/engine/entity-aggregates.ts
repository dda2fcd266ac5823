// One reading of an entity for one transaction: the parts of all partitions. Hot path: counts are found by bisection, single
// events are looked at only where cards are counted or a run of frauds is followed.

import { ENTITY_COLUMN, ENTITY_STRIDE } from '../state/entity-event.ts'
import { DISTINCT_WINDOW_MS, LABELS_MAX, type Cut, type EntityPart } from '../state/entity-part.ts'
import type { EntityPlan, WindowGroup } from './entity-plan.ts'
import type { HourIndex } from '../state/hour-index.ts'
import { HashSet } from './hash-set.ts'
import { KnownFrauds } from '../state/known-frauds.ts'
import { estimateDistinct, KmvSketch } from '../state/kmv-sketch.ts'
import { BUCKET_MS } from '../catalogue/time.ts'
import { countTo } from '../state/window-edges.ts'

/** Windows of one delay. */
interface GroupReading extends WindowGroup {
  /** Number of the edge where all of them end; where each begins follows. */
  readonly firstEdge: number
  readonly counts: Float64Array
  readonly frauds: Float64Array
}

export class EntityAggregates {
  readonly groups: readonly GroupReading[]
  /** Distinct cards, exact or estimated. */
  distinctCards = 0
  /** The run of known frauds that ends the window, and the time of its first; NaN for none. */
  runLength = 0
  runStartMs = NaN
  /** A crowded hour lies across an end of a window, or its cards are estimated. */
  isApproximate = false

  readonly #plan: EntityPlan
  /** Numbers of the edges where the windows of the run and of the counted cards end. */
  readonly #runEdge: number
  readonly #cardsEdge: number
  readonly #delayMsMin: number
  readonly #frauds = new KnownFrauds()
  readonly #cards = new HashSet()
  #isSaturated = false
  #timeMs = 0
  /** Known frauds at the end of each part: time and id, newest first. */
  readonly #runTimesMs: number[] = []
  readonly #runIds: number[] = []
  /** The newest event of all parts that is no known fraud. */
  #otherTimeMs = -Infinity
  #otherId = 0
  /** The newest such event of the part that is read. */
  #partOtherMs = -Infinity
  /** Times of known frauds, and the newest crowded hour that a run may meet. */
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

  /** Begins the reading for a transaction of this time. */
  begin(timeMs: number): void {
    this.#timeMs = timeMs
    for (const { counts, frauds } of this.groups) {
      // So few that a loop costs less than a call of `fill`.
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

  /** Adds the part of one partition, as far as the frontier lets it be seen. */
  add(part: EntityPart, frontier: Cut): void {
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

  /** Sums up; call after the last part. */
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
    if (this.#mayGoOnInHour()) this.isApproximate = true
  }

  /** Counts in a part without crowded hours. Hot path. */
  #addSingleCounts(part: EntityPart, horizonMs: number): void {
    for (const { delayMs, windowsMs, counts, isCounted, firstEdge } of this.groups) {
      const toMs = this.#timeMs - delayMs
      // All of it lies before what counts.
      if (!isCounted || toMs < horizonMs) continue
      const upTo = countTo(part, toMs, firstEdge)
      if (upTo === 0) continue
      for (let window = 0; window < windowsMs.length; window += 1) {
        // Hours before the horizon do not count, and it is the start of one.
        const beforeMs = Math.max(toMs - (windowsMs[window] ?? 0), horizonMs - 1)
        const before = countTo(part, beforeMs, firstEdge + 1 + window)
        counts[window] = (counts[window] ?? 0) + upTo - before
      }
    }
  }

  #addCounts(hours: HourIndex, group: GroupReading, horizonMs: number): void {
    const { delayMs, windowsMs, counts, isCounted } = group
    if (!isCounted && !hours.hasCrowded) return
    const toMs = this.#timeMs - delayMs
    // All of it lies before what counts.
    if (toMs < horizonMs) return
    const last = hours.hourAt(toMs)
    const upTo = hours.countAt(last, toMs)
    if (upTo === 0) return
    // Longer windows begin earlier.
    let end = last + 1
    if (hours.hasCrowded) this.#noteCrowded(hours, toMs, windowsMs, horizonMs)
    for (let window = 0; window < windowsMs.length; window += 1) {
      // Hours before the horizon do not count, and it is the start of one.
      const beforeMs = Math.max(toMs - (windowsMs[window] ?? 0), horizonMs - 1)
      const hour = hours.hourAt(beforeMs, end)
      counts[window] = (counts[window] ?? 0) + upTo - hours.countAt(hour, beforeMs)
      end = hour + 1
    }
  }

  /** A crowded hour across an end of a window is not counted exactly. */
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

  /** Cards of single events from `first` up to `end`, newest first; true once one was too old. */
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

  /** The same whether the hour is merged or not: its cards as one kept set. */
  #addCrowdedCards(part: EntityPart, hour: number): void {
    const { hours } = part
    const merged = hours.mergedOf(hour)
    const singles = hours.totalOf(hour) - (merged?.count ?? 0)
    const first = hours.firstOf(hour)
    let kept = merged?.cards
    if (singles > 0) {
      kept = new KmvSketch()
      for (const hash of merged?.cards.hashes ?? []) kept.add(hash)
      kept.isSaturated ||= merged?.cards.isSaturated ?? false
      for (let index = first; index < first + singles; index += 1) {
        kept.add(part.at(index, ENTITY_COLUMN.card))
      }
    }
    for (const hash of kept?.hashes ?? []) this.#cards.add(hash)
    if (kept?.isSaturated === true) this.#isSaturated = true
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

  /** Follows known frauds back from the end of the window, to the first event that is none. */
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
        // Which of them are frauds is not known singly, so the run ends there.
        if (startMs > fromMs && startMs >= this.#partOtherMs) {
          this.#crowdedMs = Math.max(this.#crowdedMs, startMs)
          this.#meetOther(startMs, 0)
        }
        return
      }
      const first = hours.firstOf(hour)
      const end = first + hours.totalOf(hour)
      if (this.#followRun(part, first, end, fromMs, toMs, isAnyKnown)) return
    }
  }

  /** The same among single events from `first` up to `end`; true once the run has ended. */
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
        // Of the same moment there may be more: they are weighed by their ids at the end.
        this.#partOtherMs = timeMs
        this.#meetOther(timeMs, id)
      }
    }
    return false
  }

  /** True when a crowded hour ends the run although some of it is known fraud. */
  #mayGoOnInHour(): boolean {
    const endMs = this.#crowdedMs + BUCKET_MS
    if (endMs <= this.#otherTimeMs) return false
    return this.#fraudTimesMs.some((timeMs) => timeMs >= this.#crowdedMs && timeMs < endMs)
  }

  #meetOther(timeMs: number, id: number): void {
    if (!this.#isAfterOther(timeMs, id)) return
    this.#otherTimeMs = timeMs
    this.#otherId = id
  }

  #isAfterOther(timeMs: number, id: number): boolean {
    if (timeMs !== this.#otherTimeMs) return timeMs > this.#otherTimeMs
    return id > this.#otherId
  }
}
