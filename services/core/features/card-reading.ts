// One pass over a card's history for one transaction: all that card features are made of. Hot path: no allocation,
// the reading is reused.
//
// Windows are nested, so each event is added to the shortest window that holds it (its ring), and sums over the
// rings at the end give the windows.

import type { CardEvent } from './card-event.ts'
import {
  CARD_RAW_MAX,
  CARD_RETAIN_MS,
  COLUMN,
  FLAG,
  STRIDE,
  type Bucket,
  type CardHistory,
} from './card-history.ts'
import type { CardPlan } from './card-plan.ts'
import type { Reference } from './feature-definition.ts'
import { SquareSum } from './squares.ts'
import { BUCKET_MS, DAY_MS, MINUTE_MS, bucketStartMs } from './time.ts'

/** An attempt within this time of a declined one tries it again. */
const TRIED_AGAIN_MS = 10 * MINUTE_MS

/** Distinct references of one card are marked in arrays of this many at first. */
const MARKS_AT_FIRST = 256

/** What earlier events of the card hold, by window; the transaction itself is not included. */
export class CardReading {
  readonly attempts: Float64Array
  /** Payments that are held singly: what quantile and rhythm look at. */
  readonly singles: Float64Array
  /** Payments: retries left out. */
  readonly counts: Float64Array
  readonly sumsMinor: Float64Array
  readonly minimaMinor: Float64Array
  readonly maximaMinor: Float64Array
  readonly squares: readonly SquareSum[]
  /** Payments of a smaller amount, and of the same. */
  readonly smaller: Float64Array
  readonly equal: Float64Array
  readonly sameHour: Float64Array
  readonly sameWeekday: Float64Array
  readonly declines: Float64Array
  readonly triedAgain: Float64Array
  /** Payments not declined that lie just under `limitMinor`; only once that is known. */
  readonly underLimit: Float64Array
  /** Smallest declined amount of the reach; Infinity for none. */
  limitMinor = Infinity
  /** Per reference of the plan, per window: distinct ones besides the transaction's own. */
  readonly distinct: readonly Float64Array[]
  /** Per reference of the plan, per window: payments that share the transaction's, and attempts. */
  readonly pairCounts: readonly Float64Array[]
  readonly pairAttempts: readonly Float64Array[]
  /** Per reference of the plan: index of the newest event that shares it, -1 for none. */
  readonly pairLast: Int32Array
  /** Per reference of the plan: 1 where any event of the reach has one. */
  readonly hasAny: Uint8Array
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
  #nextTimeMs = 0
  #localMinute = 0
  #localWeekday = 0

  constructor(plan: CardPlan) {
    this.#plan = plan
    this.#windowsMs = Float64Array.from(plan.windowsMs)
    const size = plan.windowsMs.length
    const windows = (): Float64Array => new Float64Array(size)
    this.attempts = windows()
    this.singles = windows()
    this.counts = windows()
    this.sumsMinor = windows()
    this.minimaMinor = windows()
    this.maximaMinor = windows()
    this.squares = plan.windowsMs.map(() => new SquareSum())
    this.smaller = windows()
    this.equal = windows()
    this.sameHour = windows()
    this.sameWeekday = windows()
    this.declines = windows()
    this.triedAgain = windows()
    this.underLimit = windows()
    this.distinct = plan.columns.map(windows)
    this.pairCounts = plan.columns.map(windows)
    this.pairAttempts = plan.columns.map(windows)
    this.pairLast = new Int32Array(plan.columns.length)
    this.hasAny = new Uint8Array(plan.columns.length)
    this.#own = new Int32Array(plan.columns.length)
    this.#marks = plan.columns.map(() => new Uint32Array(MARKS_AT_FIRST))
  }

  /** Reads the events that come before `event` by (time, id). `event` may be one of the history, or new to it. */
  read(history: CardHistory, event: CardEvent): void {
    this.#begin(history, event)
    const data = history.data
    const windowsMs = this.#windowsMs
    const reachMs = windowsMs[windowsMs.length - 1] ?? 0
    const before = history.rankOf(event.timeMs, event.idRef)
    const oldestRaw = history.count - CARD_RAW_MAX
    const horizonMs = history.newestMs - CARD_RETAIN_MS
    let ring = 0
    // Merged by rule, stored so already or not: all of an hour counts, before the transaction or after it.
    let mergedFrom = oldestRaw - 1
    for (let index = before - 1; index >= 0 && index >= oldestRaw; index -= 1) {
      const base = index * STRIDE
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
    this.#sumRings()
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
    this.attempts.fill(0)
    this.singles.fill(0)
    this.counts.fill(0)
    this.sumsMinor.fill(0)
    this.minimaMinor.fill(Infinity)
    this.maximaMinor.fill(0)
    for (const sum of this.squares) sum.reset()
    if (this.#plan.hasQuantile) {
      this.smaller.fill(0)
      this.equal.fill(0)
    }
    if (this.#plan.hasRhythm) {
      this.sameHour.fill(0)
      this.sameWeekday.fill(0)
    }
    if (this.#plan.hasDeclines) {
      this.declines.fill(0)
      this.triedAgain.fill(0)
      this.underLimit.fill(0)
    }
    for (let slot = 0; slot < this.distinct.length; slot += 1) {
      this.distinct[slot]?.fill(0)
      this.pairCounts[slot]?.fill(0)
      this.pairAttempts[slot]?.fill(0)
    }
    this.pairLast.fill(-1)
    this.hasAny.fill(0)
    this.limitMinor = Infinity
    this.lastIndex = -1
    this.lastPlaceIndex = -1
    this.isApproximate = false
    this.#hasMerged = false
  }

  /** Adds one single event to its ring. */
  #add(history: CardHistory, event: CardEvent, index: number, ring: number): void {
    const data = history.data
    const base = index * STRIDE
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
        this.#addRhythm(timeMs + (data[base + COLUMN.utcOffset] ?? 0) * MINUTE_MS, ring)
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
    this.#addReferences(data, base, index, ring, isPayment)
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
    const data = history.data
    for (let index = from; index >= 0; index -= 1) {
      const base = index * STRIDE
      const startMs = bucketStartMs(data[base] ?? 0)
      if ((data[base] ?? 0) < horizonMs) break
      const isRetry = ((data[base + COLUMN.flags] ?? 0) & FLAG.retry) !== 0
      const ring = this.#mergedRing(startMs, event.timeMs, horizonMs, history.newestMs)
      if (ring < 0) continue
      this.attempts[ring] = (this.attempts[ring] ?? 0) + 1
      if (!isRetry) this.#addPayment(data[base + COLUMN.amount] ?? 0, NaN, ring)
    }
    for (const bucket of history.buckets) {
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

  /** Ring of a merged hour, -1 outside; notes where the hour lies across an end of a window. */
  #mergedRing(startMs: number, timeMs: number, horizonMs: number, newestMs: number): number {
    if (startMs > timeMs || startMs < horizonMs) return -1
    const ageMs = timeMs - startMs
    // A late transaction may stand inside a merged hour, part of which comes after it.
    if (ageMs < BUCKET_MS && timeMs < newestMs) this.isApproximate = true
    for (let ring = 0; ring < this.#windowsMs.length; ring += 1) {
      const windowMs = this.#windowsMs[ring] ?? 0
      if (ageMs < windowMs) {
        this.#hasMerged = true
        return ring
      }
      if (ageMs - windowMs < BUCKET_MS) this.isApproximate = true
    }
    return -1
  }

  #sumRings(): void {
    const size = this.#windowsMs.length
    accumulate(this.attempts, size)
    accumulate(this.singles, size)
    accumulate(this.counts, size)
    accumulate(this.sumsMinor, size)
    for (let ring = 1; ring < size; ring += 1) {
      this.minimaMinor[ring] = Math.min(
        this.minimaMinor[ring] ?? Infinity,
        this.minimaMinor[ring - 1] ?? Infinity,
      )
      this.maximaMinor[ring] = Math.max(
        this.maximaMinor[ring] ?? 0,
        this.maximaMinor[ring - 1] ?? 0,
      )
      const shorter = this.squares[ring - 1]
      if (this.#plan.hasSquares && shorter !== undefined) {
        this.squares[ring]?.add(shorter.high, shorter.low)
      }
    }
    if (this.#plan.hasQuantile) {
      accumulate(this.smaller, size)
      accumulate(this.equal, size)
    }
    if (this.#plan.hasRhythm) {
      accumulate(this.sameHour, size)
      accumulate(this.sameWeekday, size)
    }
    if (this.#plan.hasDeclines) {
      accumulate(this.declines, size)
      accumulate(this.triedAgain, size)
    }
    for (let slot = 0; slot < this.distinct.length; slot += 1) {
      accumulate(this.distinct[slot], size)
      accumulate(this.pairCounts[slot], size)
      accumulate(this.pairAttempts[slot], size)
    }
  }

  /** The limit is known only after the pass; declines are rare, and so is this. */
  #countUnderLimit(history: CardHistory, event: CardEvent, before: number): void {
    const data = history.data
    const windowsMs = this.#windowsMs
    const oldestRaw = Math.max(0, history.count - CARD_RAW_MAX)
    for (let index = before - 1; index >= oldestRaw; index -= 1) {
      const base = index * STRIDE
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

function accumulate(values: Float64Array | undefined, size: number): void {
  if (values === undefined) return
  for (let ring = 1; ring < size; ring += 1) {
    values[ring] = (values[ring] ?? 0) + (values[ring - 1] ?? 0)
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
