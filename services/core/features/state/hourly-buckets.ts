// Hourly part of a card's windows: events older than the newest CARD_RAW_MAX, still stored singly or already merged.
// Few cards have any.
//
// Each hour is added to the shortest window that contains it (its ring). Prefix sums over the rings give the windows.

import { COLUMN, FLAG, type Bucket } from './card-columns.ts'
import type { CardHistory } from './card-history.ts'
import { SquareSum } from './squares.ts'
import { BUCKET_MS, bucketStartMs } from '../catalogue/time.ts'

export class HourlyBuckets {
  readonly attempts: Float64Array
  readonly counts: Float64Array
  readonly sumsMinor: Float64Array
  readonly minimaMinor: Float64Array
  readonly maximaMinor: Float64Array
  readonly squares: readonly SquareSum[]
  /** True if an hour counts in some window or straddles an end of one. */
  isUsed = false
  readonly #windowsMs: Float64Array
  #from = 0

  constructor(windowsMs: Float64Array) {
    const windows = (): Float64Array => new Float64Array(windowsMs.length)
    this.#windowsMs = windowsMs
    this.attempts = windows()
    this.counts = windows()
    this.sumsMinor = windows()
    this.minimaMinor = windows()
    this.maximaMinor = windows()
    this.squares = Array.from(windowsMs, () => new SquareSum())
  }

  /**
   * Reads, as of `timeMs`, the buckets and the events up to index `from`; each event counts at the start of its hour.
   */
  read(history: CardHistory, timeMs: number, from: number, horizonMs: number): void {
    const { data, stride, buckets, newestMs } = history
    this.#clear()
    for (let index = from; index >= 0; index -= 1) {
      const base = index * stride
      const eventMs = data[base] ?? 0
      if (eventMs < horizonMs) break
      const ring = this.#ringOf(bucketStartMs(eventMs), timeMs, horizonMs, newestMs)
      if (ring < 0) continue
      const isRetry = ((data[base + COLUMN.flags] ?? 0) & FLAG.retry) !== 0
      this.attempts[ring] = (this.attempts[ring] ?? 0) + 1
      if (!isRetry) this.#addPayment(data[base + COLUMN.amount] ?? 0, ring)
    }
    this.#from = 0
    for (let index = buckets.length - 1; index >= 0; index -= 1) {
      const bucket = buckets[index]
      if (bucket === undefined || bucket.startMs < horizonMs) break
      const ring = this.#ringOf(bucket.startMs, timeMs, horizonMs, newestMs)
      if (ring >= 0) this.#addBucket(bucket, ring)
    }
    this.#sumRings()
  }

  #clear(): void {
    this.attempts.fill(0)
    this.counts.fill(0)
    this.sumsMinor.fill(0)
    this.minimaMinor.fill(Infinity)
    this.maximaMinor.fill(0)
    for (const sum of this.squares) sum.reset()
    this.isUsed = false
    this.#from = 0
  }

  #addPayment(amountMinor: number, ring: number): void {
    this.counts[ring] = (this.counts[ring] ?? 0) + 1
    this.sumsMinor[ring] = (this.sumsMinor[ring] ?? 0) + amountMinor
    this.#widenRange(amountMinor, amountMinor, ring)
    this.squares[ring]?.addSquareOf(amountMinor)
  }

  #addBucket(bucket: Bucket, ring: number): void {
    this.attempts[ring] = (this.attempts[ring] ?? 0) + bucket.attempts
    this.counts[ring] = (this.counts[ring] ?? 0) + bucket.count
    this.sumsMinor[ring] = (this.sumsMinor[ring] ?? 0) + bucket.sumMinor
    this.#widenRange(bucket.minimumMinor, bucket.maximumMinor, ring)
    this.squares[ring]?.add(bucket.squares.high, bucket.squares.low)
  }

  #widenRange(minimumMinor: number, maximumMinor: number, ring: number): void {
    this.minimaMinor[ring] = Math.min(this.minimaMinor[ring] ?? Infinity, minimumMinor)
    this.maximaMinor[ring] = Math.max(this.maximaMinor[ring] ?? 0, maximumMinor)
  }

  /**
   * Ring of an hour, -1 if it is outside all windows. Sets `isUsed` if the hour is inside a window or straddles an end
   * of one. Hours come newest first: windows that are shorter than the age of the whole hour are skipped for all later
   * hours.
   */
  #ringOf(startMs: number, timeMs: number, horizonMs: number, newestMs: number): number {
    if (startMs > timeMs || startMs < horizonMs) return -1
    const ageMs = timeMs - startMs
    // A late transaction can lie inside an hour, part of which comes after it.
    if (ageMs < BUCKET_MS && timeMs < newestMs) this.isUsed = true
    const windowsMs = this.#windowsMs
    while (ageMs - (windowsMs[this.#from] ?? Infinity) >= BUCKET_MS) this.#from += 1
    for (let ring = this.#from; ring < windowsMs.length; ring += 1) {
      const windowMs = windowsMs[ring] ?? 0
      if (ageMs < windowMs || ageMs - windowMs < BUCKET_MS) this.isUsed = true
      if (ageMs < windowMs) return ring
    }
    return -1
  }

  /** Turns sums per ring into sums per window. */
  #sumRings(): void {
    const { attempts, counts, sumsMinor, squares } = this
    for (let ring = 1; ring < attempts.length; ring += 1) {
      const shorter = ring - 1
      attempts[ring] = (attempts[ring] ?? 0) + (attempts[shorter] ?? 0)
      counts[ring] = (counts[ring] ?? 0) + (counts[shorter] ?? 0)
      sumsMinor[ring] = (sumsMinor[ring] ?? 0) + (sumsMinor[shorter] ?? 0)
      this.#widenRange(this.minimaMinor[shorter] ?? Infinity, this.maximaMinor[shorter] ?? 0, ring)
      const sum = squares[shorter]
      if (sum !== undefined) squares[ring]?.add(sum.high, sum.low)
    }
  }
}
