// One pass over a card's history for one transaction: all that card features are made of. Hot path: no allocation,
// the reading is reused.
//
// Windows are nested, so each event is added to the shortest window that holds it (its ring), and sums over the
// rings at the end give the windows.

import type { CardEvent } from './card-event.ts'
import { COLUMN, FLAG, STRIDE_NARROW, type Bucket } from './card-columns.ts'
import { type CardHistory } from './card-history.ts'
import { CARD_RAW_MAX, CARD_RETAIN_MS } from './card-limits.ts'
import type { CardPlan } from './card-plan.ts'
import { CardSums } from './card-sums.ts'
import type { Reference } from './feature-definition.ts'
import { BUCKET_MS, DAY_MS, MINUTE_MS, bucketStartMs } from './time.ts'

/** An attempt within this time of a declined one tries it again. */
const TRIED_AGAIN_MS = 10 * MINUTE_MS

/** Distinct references of one card are marked in arrays of this many at first. */
const MARKS_AT_FIRST = 256

/** What earlier events of the card hold, by window; the transaction itself is not included. */
export class CardReading extends CardSums {
  /** Index of the newest event in the reach, and of the newest with a place; -1 for none. */
  lastIndex = -1
  lastPlaceIndex = -1
  /** Windows from this index on reach further back than what is kept. */
  expiredFrom = Infinity
  /** Merged events may make a window or what is looked for singly differ from the exact value. */
  isApproximate = false

  readonly #plan: CardPlan
  readonly #windowsMs: Float64Array
  readonly #marks: Uint32Array[]
  #mark = 0
  readonly #own: Int32Array
  #hasMerged = false
  #mergedFrom = 0
  #nextTimeMs = 0
  #localMinute = 0
  #localWeekday = 0

  constructor(plan: CardPlan) {
    super(plan)
    this.#plan = plan
    this.#windowsMs = Float64Array.from(plan.windowsMs)
    this.#own = new Int32Array(plan.columns.length)
    this.#marks = plan.columns.map(() => new Uint32Array(MARKS_AT_FIRST))
  }

  /** Reads the events that come before `event` by (time, id). `event` may be one of the history, or new to it. */
  read(history: CardHistory, event: CardEvent): void {
    this.#begin(history, event)
    const { data, stride } = history
    const windowsMs = this.#windowsMs
    const reachMs = windowsMs[windowsMs.length - 1] ?? 0
    const before = history.rankOf(event.timeMs, event.idRef)
    const oldestRaw = history.count - CARD_RAW_MAX
    const horizonMs = history.newestMs - CARD_RETAIN_MS
    let ring = 0
    // Merged by rule, stored so already or not: all of an hour counts, before the transaction or after it.
    let mergedFrom = oldestRaw - 1
    for (let index = before - 1; index >= 0 && index >= oldestRaw; index -= 1) {
      const base = index * stride
      const timeMs = data[base] ?? 0
      const ageMs = event.timeMs - timeMs
      if (ageMs >= reachMs || timeMs < horizonMs) {
        mergedFrom = -1
        break
      }
      while (ageMs >= (windowsMs[ring] ?? Infinity)) ring += 1
      this.#add(history, event, index, ring)
    }
    this.#readMerged(history, event, mergedFrom, horizonMs)
    this.sumRings()
    if (this.limitMinor !== Infinity) this.#countUnderLimit(history, event, before)
    // What needs single events looks at the raw ones only.
    if (this.#hasMerged) this.isApproximate = true
  }

  /** Position of a window in the arrays. */
  windowAt(windowMs: number): number {
    const index = this.#plan.windowsMs.indexOf(windowMs)
    if (index < 0) throw new RangeError(`No card feature has a window of ${windowMs} ms.`)
    return index
  }

  /** Position of a reference in the lists per reference. */
  referenceAt(reference: Reference): number {
    return this.#plan.references.indexOf(reference)
  }

  #begin(history: CardHistory, event: CardEvent): void {
    this.#reset()
    const { columns, references } = this.#plan
    for (let slot = 0; slot < columns.length; slot += 1) {
      const own = ownReference(event, references[slot] ?? 'merchant')
      this.#own[slot] =
        columns[slot] === COLUMN.country ? own : own === 0 ? 0 : history.indexOfReference(own)
      const marks = this.#marks[slot]
      const needed = columns[slot] === COLUMN.country ? 677 : history.references.length
      if (marks !== undefined && marks.length < needed) {
        this.#marks[slot] = new Uint32Array(2 * needed)
      }
    }
    this.#mark += 1
    this.#nextTimeMs = event.timeMs
    const localMs = event.timeMs + event.utcOffsetMinutes * MINUTE_MS
    this.#localMinute = Math.floor(localMs / MINUTE_MS) % 1_440
    this.#localWeekday = Math.floor(localMs / DAY_MS) % 7
    const oldestMs = history.newestMs - CARD_RETAIN_MS
    this.expiredFrom = this.#windowsMs.findIndex((windowMs) => event.timeMs - windowMs < oldestMs)
    if (this.expiredFrom < 0 || history.count === 0) this.expiredFrom = Infinity
  }

  #reset(): void {
    this.clear()
    this.lastIndex = -1
    this.lastPlaceIndex = -1
    this.isApproximate = false
    this.#hasMerged = false
  }

  /** Adds one single event to its ring. */
  #add(history: CardHistory, event: CardEvent, index: number, ring: number): void {
    const { data, stride } = history
    const base = index * stride
    const isWide = stride !== STRIDE_NARROW
    const flags = data[base + COLUMN.flags] ?? 0
    const timeMs = data[base] ?? 0
    const amountMinor = data[base + COLUMN.amount] ?? 0
    if (this.lastIndex < 0) this.lastIndex = index
    if (this.lastPlaceIndex < 0 && (flags & FLAG.place) !== 0) this.lastPlaceIndex = index
    const isPayment = (flags & FLAG.retry) === 0
    this.attempts[ring] = (this.attempts[ring] ?? 0) + 1
    if (isPayment) {
      this.singles[ring] = (this.singles[ring] ?? 0) + 1
      this.#addPayment(amountMinor, event.amountMinor, ring)
      if (this.#plan.hasRhythm) {
        const utcOffset = isWide ? (data[base + COLUMN.utcOffset] ?? 0) : 0
        this.#addRhythm(timeMs + utcOffset * MINUTE_MS, ring)
      }
    }
    if ((flags & FLAG.declined) !== 0 && this.#plan.hasDeclines) {
      this.declines[ring] = (this.declines[ring] ?? 0) + 1
      if (amountMinor < this.limitMinor) this.limitMinor = amountMinor
      if (this.#nextTimeMs - timeMs <= TRIED_AGAIN_MS) {
        this.triedAgain[ring] = (this.triedAgain[ring] ?? 0) + 1
      }
    }
    this.#nextTimeMs = timeMs
    if (isWide) this.#addReferences(data, base, index, ring, isPayment)
  }

  #addPayment(amountMinor: number, ownMinor: number, ring: number): void {
    this.counts[ring] = (this.counts[ring] ?? 0) + 1
    this.sumsMinor[ring] = (this.sumsMinor[ring] ?? 0) + amountMinor
    if (amountMinor < (this.minimaMinor[ring] ?? 0)) this.minimaMinor[ring] = amountMinor
    if (amountMinor > (this.maximaMinor[ring] ?? 0)) this.maximaMinor[ring] = amountMinor
    if (this.#plan.hasSquares) this.squares[ring]?.addSquareOf(amountMinor)
    if (!this.#plan.hasQuantile) return
    if (amountMinor < ownMinor) this.smaller[ring] = (this.smaller[ring] ?? 0) + 1
    else if (amountMinor === ownMinor) this.equal[ring] = (this.equal[ring] ?? 0) + 1
  }

  #addRhythm(localMs: number, ring: number): void {
    const apart = Math.abs((Math.floor(localMs / MINUTE_MS) % 1_440) - this.#localMinute)
    if (apart <= 60 || apart >= 1_440 - 60) this.sameHour[ring] = (this.sameHour[ring] ?? 0) + 1
    if (Math.floor(localMs / DAY_MS) % 7 === this.#localWeekday) {
      this.sameWeekday[ring] = (this.sameWeekday[ring] ?? 0) + 1
    }
  }

  #addReferences(
    data: Float64Array,
    base: number,
    index: number,
    ring: number,
    isPayment: boolean,
  ): void {
    const { columns } = this.#plan
    for (let slot = 0; slot < columns.length; slot += 1) {
      const reference = data[base + (columns[slot] ?? 0)] ?? 0
      if (reference === 0) continue
      this.hasAny[slot] = 1
      if (reference === this.#own[slot]) {
        if ((this.pairLast[slot] ?? 0) < 0) this.pairLast[slot] = index
        const attempts = this.pairAttempts[slot]
        const counts = this.pairCounts[slot]
        if (attempts !== undefined) attempts[ring] = (attempts[ring] ?? 0) + 1
        if (counts !== undefined && isPayment) counts[ring] = (counts[ring] ?? 0) + 1
        continue
      }
      const marks = this.#marks[slot]
      if (marks === undefined || marks[reference] === this.#mark) continue
      marks[reference] = this.#mark
      const distinct = this.distinct[slot]
      if (distinct !== undefined) distinct[ring] = (distinct[ring] ?? 0) + 1
    }
  }

  /** What is older than the newest CARD_RAW_MAX events counts as if at the start of its hour. */
  #readMerged(history: CardHistory, event: CardEvent, from: number, horizonMs: number): void {
    const { data, stride } = history
    this.#mergedFrom = 0
    for (let index = from; index >= 0; index -= 1) {
      const base = index * stride
      const startMs = bucketStartMs(data[base] ?? 0)
      if ((data[base] ?? 0) < horizonMs) break
      const isRetry = ((data[base + COLUMN.flags] ?? 0) & FLAG.retry) !== 0
      const ring = this.#mergedRing(startMs, event.timeMs, horizonMs, history.newestMs)
      if (ring < 0) continue
      this.attempts[ring] = (this.attempts[ring] ?? 0) + 1
      if (!isRetry) this.#addPayment(data[base + COLUMN.amount] ?? 0, NaN, ring)
    }
    const { buckets } = history
    this.#mergedFrom = 0
    for (let index = buckets.length - 1; index >= 0; index -= 1) {
      const bucket = buckets[index]
      if (bucket === undefined || bucket.startMs < horizonMs) break
      const ring = this.#mergedRing(bucket.startMs, event.timeMs, horizonMs, history.newestMs)
      if (ring >= 0) this.#addBucket(bucket, ring)
    }
  }

  #addBucket(bucket: Bucket, ring: number): void {
    this.attempts[ring] = (this.attempts[ring] ?? 0) + bucket.attempts
    this.counts[ring] = (this.counts[ring] ?? 0) + bucket.count
    this.sumsMinor[ring] = (this.sumsMinor[ring] ?? 0) + bucket.sumMinor
    this.minimaMinor[ring] = Math.min(this.minimaMinor[ring] ?? Infinity, bucket.minimumMinor)
    this.maximaMinor[ring] = Math.max(this.maximaMinor[ring] ?? 0, bucket.maximumMinor)
    this.squares[ring]?.add(bucket.squares.high, bucket.squares.low)
  }

  /**
   * Ring of a merged hour, -1 outside; notes where the hour lies across an end of a window. Hours come newest first:
   * windows that all of an hour is older than are not looked at again for the next.
   */
  #mergedRing(startMs: number, timeMs: number, horizonMs: number, newestMs: number): number {
    if (startMs > timeMs || startMs < horizonMs) return -1
    const ageMs = timeMs - startMs
    // A late transaction may stand inside a merged hour, part of which comes after it.
    if (ageMs < BUCKET_MS && timeMs < newestMs) this.isApproximate = true
    const windowsMs = this.#windowsMs
    while (ageMs - (windowsMs[this.#mergedFrom] ?? Infinity) >= BUCKET_MS) this.#mergedFrom += 1
    for (let ring = this.#mergedFrom; ring < windowsMs.length; ring += 1) {
      const windowMs = windowsMs[ring] ?? 0
      if (ageMs < windowMs) {
        this.#hasMerged = true
        return ring
      }
      if (ageMs - windowMs < BUCKET_MS) this.isApproximate = true
    }
    return -1
  }

  /** The limit is known only after the pass; declines are rare, and so is this. */
  #countUnderLimit(history: CardHistory, event: CardEvent, before: number): void {
    const { data, stride } = history
    const windowsMs = this.#windowsMs
    const oldestRaw = Math.max(0, history.count - CARD_RAW_MAX)
    for (let index = before - 1; index >= oldestRaw; index -= 1) {
      const base = index * stride
      const ageMs = event.timeMs - (data[base] ?? 0)
      const flags = data[base + COLUMN.flags] ?? 0
      if ((flags & (FLAG.retry | FLAG.declined)) !== 0) continue
      if (!this.isUnderLimit(data[base + COLUMN.amount] ?? 0)) continue
      for (let window = 0; window < windowsMs.length; window += 1) {
        if (ageMs < (windowsMs[window] ?? 0)) {
          this.underLimit[window] = (this.underLimit[window] ?? 0) + 1
        }
      }
    }
  }

  /** From nine tenths of the limit up to below it, in integers. */
  isUnderLimit(amountMinor: number): boolean {
    return amountMinor < this.limitMinor && 10 * amountMinor >= 9 * this.limitMinor
  }
}

function ownReference(event: CardEvent, reference: Reference): number {
  switch (reference) {
    case 'merchant':
      return event.merchantRef
    case 'terminal':
      return event.terminalRef
    case 'device':
      return event.deviceRef
    case 'network':
      return event.networkRef
    case 'category':
      return event.categoryRef
    case 'country':
      return event.countryRef
  }
}
