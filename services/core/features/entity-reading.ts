// One reading of an entity for one transaction: the parts of all lanes, one pass over each. Hot path: the reading is
// reused, and allocates only where cards are counted.

import {
  DISTINCT_WINDOW_MS,
  ENTITY_COLUMN,
  ENTITY_STRIDE,
  HOUR_RAW_MAX,
  LABELS_MAX,
  type CrowdedHour,
  type Cut,
  type EntityLabel,
  type EntityPart,
} from './entity-part.ts'
import type { EntityPlan } from './entity-plan.ts'
import { estimateDistinct, KeptSmallest } from './kept-smallest.ts'
import { BUCKET_MS, bucketStartMs } from './time.ts'

/** One delay's windows: toMs is the end of all of them. */
class GroupReading {
  readonly delayMs: number
  readonly windowsMs: Float64Array
  readonly counts: Float64Array
  readonly frauds: Float64Array
  toMs = 0

  constructor(delayMs: number, windowsMs: readonly number[]) {
    this.delayMs = delayMs
    this.windowsMs = Float64Array.from(windowsMs)
    this.counts = new Float64Array(windowsMs.length)
    this.frauds = new Float64Array(windowsMs.length)
  }

  /** Adds to the shortest window that holds the time. */
  add(into: Float64Array, timeMs: number, amount: number): void {
    const ageMs = this.toMs - timeMs
    if (ageMs < 0) return
    for (let window = 0; window < this.windowsMs.length; window += 1) {
      if (ageMs >= (this.windowsMs[window] ?? 0)) continue
      into[window] = (into[window] ?? 0) + amount
      return
    }
  }

  /** True when an end of a window lies inside the hour. */
  liesAcross(startMs: number): boolean {
    const age = this.toMs - startMs
    if (age >= 0 && age < BUCKET_MS) return true
    for (const windowMs of this.windowsMs) {
      if (age >= windowMs && age < windowMs + BUCKET_MS) return true
    }
    return false
  }
}

export class EntityReading {
  readonly groups: readonly GroupReading[]
  /** Distinct cards, exact or estimated. */
  distinctCards = 0
  /** The run of known frauds that ends the window, and the time of its first; NaN for none. */
  runLength = 0
  runStartMs = NaN
  /** A crowded hour lies across an end of a window, or its cards are estimated. */
  isApproximate = false

  readonly #plan: EntityPlan
  readonly #cards = new Set<number>()
  #isSaturated = false
  #timeMs = 0
  readonly #fraudIds = new Set<number>()
  /** Known frauds at the end of each part: time and id, newest first. */
  readonly #runTimesMs: number[] = []
  readonly #runIds: number[] = []
  #otherTimeMs = -Infinity
  #otherId = 0
  /** Of the part being added: time of its newest event that is no known fraud; -Infinity while there is none. */
  #partOtherMs = -Infinity
  /** Times of known frauds, and the newest crowded hour that a run may meet. */
  readonly #fraudTimesMs: number[] = []
  #crowdedMs = -Infinity

  constructor(plan: EntityPlan) {
    this.#plan = plan
    this.groups = plan.groups.map(({ delayMs, windowsMs }) => new GroupReading(delayMs, windowsMs))
  }

  /** Begins the reading for a transaction of this time. */
  begin(timeMs: number): void {
    this.#timeMs = timeMs
    for (const group of this.groups) {
      group.toMs = timeMs - group.delayMs
      group.counts.fill(0)
      group.frauds.fill(0)
    }
    this.#cards.clear()
    this.#isSaturated = false
    this.isApproximate = false
    this.#runTimesMs.length = 0
    this.#runIds.length = 0
    this.#otherTimeMs = -Infinity
    this.#otherId = 0
    this.#fraudTimesMs.length = 0
    this.#crowdedMs = -Infinity
  }

  /** Adds the part of one lane, as far as the cut lets it be seen. */
  add(part: EntityPart, cut: Cut): void {
    const horizonMs = part.horizonMs(cut.nextOffset)
    this.#fraudIds.clear()
    if (part.labels.length > 0) this.#addLabels(part, cut, horizonMs)
    this.#partOtherMs = -Infinity
    let merged = part.crowdedHours.length - 1
    let index = part.count - 1
    const newestMs = this.#timeMs - (this.groups[0]?.delayMs ?? 0)
    const oldestMs = Math.max(horizonMs, this.#timeMs - this.#plan.reachMs - BUCKET_MS)
    while (index >= 0 || merged >= 0) {
      const eventHourMs = index >= 0 ? bucketStartMs(part.at(index, ENTITY_COLUMN.time)) : -Infinity
      const hour = part.crowdedHours[merged]
      const hourMs = Math.max(eventHourMs, hour?.startMs ?? -Infinity)
      if (hourMs < oldestMs) break
      const end = index
      let total = 0
      while (index >= 0 && part.at(index, ENTITY_COLUMN.time) >= hourMs) {
        if (part.at(index, ENTITY_COLUMN.offset) < cut.nextOffset) total += 1
        index -= 1
      }
      const own = hour?.startMs === hourMs ? hour : null
      if (own !== null) merged -= 1
      if (hourMs > newestMs) continue
      if (total + (own?.count ?? 0) > HOUR_RAW_MAX) {
        this.#addCrowded(part, cut, index + 1, end, hourMs, total, own)
      } else this.#addSingles(part, cut, index + 1, end)
    }
  }

  /** Sums up; call after the last part. */
  finish(): void {
    for (const { counts, frauds } of this.groups) {
      for (let window = 1; window < counts.length; window += 1) {
        counts[window] = (counts[window] ?? 0) + (counts[window - 1] ?? 0)
        frauds[window] = (frauds[window] ?? 0) + (frauds[window - 1] ?? 0)
      }
    }
    this.distinctCards = this.#isSaturated ? estimateDistinct(this.#cards) : this.#cards.size
    if (this.#isSaturated) this.isApproximate = true
    this.runLength = 0
    this.runStartMs = NaN
    for (const [index, timeMs] of this.#runTimesMs.entries()) {
      const id = this.#runIds[index] ?? 0
      const isAfter =
        timeMs > this.#otherTimeMs || (timeMs === this.#otherTimeMs && id > this.#otherId)
      if (!isAfter) continue
      this.runLength += 1
      if (!(timeMs >= this.runStartMs)) this.runStartMs = timeMs
    }
    if (this.#mayGoOnInHour()) this.isApproximate = true
  }

  #addSingles(part: EntityPart, cut: Cut, from: number, to: number): void {
    const { data } = part
    for (let index = to; index >= from; index -= 1) {
      const base = index * ENTITY_STRIDE
      if ((data[base + ENTITY_COLUMN.offset] ?? 0) >= cut.nextOffset) continue
      const timeMs = data[base] ?? 0
      for (const group of this.groups) group.add(group.counts, timeMs, 1)
      if (this.#isDistinctAt(timeMs)) this.#cards.add(data[base + ENTITY_COLUMN.card] ?? 0)
      if (this.#isInRun(timeMs)) this.#extendRun(timeMs, data[base + ENTITY_COLUMN.id] ?? 0)
    }
  }

  #addCrowded(
    part: EntityPart,
    cut: Cut,
    from: number,
    to: number,
    hourMs: number,
    singles: number,
    hour: CrowdedHour | null,
  ): void {
    for (const group of this.groups) {
      group.add(group.counts, hourMs, singles + (hour?.count ?? 0))
      if (group.liesAcross(hourMs)) this.isApproximate = true
    }
    if (this.#isDistinctAt(hourMs)) this.#addCards(part, cut, from, to, hour)
    // Which of them are frauds is not known singly, so the run ends there.
    if (!this.#isInRun(hourMs)) return
    this.#crowdedMs = Math.max(this.#crowdedMs, hourMs)
    this.#endRun(hourMs, 0)
  }

  /** The same whether the hour is merged or not: its cards as one kept set. */
  #addCards(part: EntityPart, cut: Cut, from: number, to: number, hour: CrowdedHour | null): void {
    const kept = new KeptSmallest()
    if (hour !== null) {
      for (const hash of hour.cards.hashes) kept.add(hash)
      kept.isSaturated = hour.cards.isSaturated
    }
    for (let index = from; index <= to; index += 1) {
      if (part.at(index, ENTITY_COLUMN.offset) >= cut.nextOffset) continue
      kept.add(part.at(index, ENTITY_COLUMN.card))
    }
    for (const hash of kept.hashes) this.#cards.add(hash)
    if (kept.isSaturated) this.#isSaturated = true
  }

  #isDistinctAt(timeMs: number): boolean {
    const { distinctDelayMs } = this.#plan
    if (distinctDelayMs === null) return false
    const ageMs = this.#timeMs - distinctDelayMs - timeMs
    return ageMs >= 0 && ageMs < DISTINCT_WINDOW_MS
  }

  /** True while the part may still hold events of the run: none that is older than one that is no fraud. */
  #isInRun(timeMs: number): boolean {
    const { run } = this.#plan
    if (run === null || timeMs < this.#partOtherMs) return false
    const ageMs = this.#timeMs - run.delayMs - timeMs
    return ageMs >= 0 && ageMs < run.windowMs
  }

  /** True when a crowded hour ends the run although some of it is known fraud. */
  #mayGoOnInHour(): boolean {
    const endMs = this.#crowdedMs + BUCKET_MS
    if (endMs <= this.#otherTimeMs) return false
    return this.#fraudTimesMs.some((timeMs) => timeMs >= this.#crowdedMs && timeMs < endMs)
  }

  #extendRun(timeMs: number, id: number): void {
    if (this.#fraudIds.has(id)) {
      this.#runTimesMs.push(timeMs)
      this.#runIds.push(id)
    } else this.#endRun(timeMs, id)
  }

  #endRun(timeMs: number, id: number): void {
    this.#partOtherMs = Math.max(this.#partOtherMs, timeMs)
    const isNewer =
      timeMs > this.#otherTimeMs || (timeMs === this.#otherTimeMs && id > this.#otherId)
    if (!isNewer) return
    this.#otherTimeMs = timeMs
    this.#otherId = id
  }

  #addLabels(part: EntityPart, cut: Cut, horizonMs: number): void {
    const end = part.labelCount(cut.labelNextOffset)
    const start = Math.max(0, end - LABELS_MAX)
    const last = new Map<number, EntityLabel>()
    for (let index = start; index < end; index += 1) {
      const label = part.labels[index]
      if (label === undefined || label.knownAtMs > this.#timeMs) continue
      if (label.timeMs < horizonMs) continue
      const known = last.get(label.idRef)
      // Labels come by offset, so of two known at the same time the later one stands.
      if (known === undefined || label.knownAtMs >= known.knownAtMs) last.set(label.idRef, label)
    }
    for (const { isFraud, timeMs, idRef } of last.values()) {
      if (!isFraud) continue
      this.#fraudIds.add(idRef % 0x1_0000_0000)
      if (this.#plan.run !== null) this.#fraudTimesMs.push(timeMs)
      for (const group of this.groups) group.add(group.frauds, timeMs, 1)
    }
  }
}
