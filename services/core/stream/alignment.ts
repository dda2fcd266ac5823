// In an aligned replay a partition continues only when the others can no longer change the state that it is about to
// read.

import { BUCKET_MS, ENTITY_DELAY_MS, bucketStartMs } from '../features/catalogue/time.ts'
import type { PartitionProgress } from './partition-progress.ts'

/**
 * True when a transaction of this time in partition `partition` reads the same shared state whatever the other
 * partitions do next: they are past the end of the hour in which its entity windows end, and every partition, its own
 * included, has all labels known by then.
 */
export function mayGoOn(
  eventTimeMs: number,
  partition: number,
  ownLabelWatermarkMs: number,
  progress: readonly (PartitionProgress | null)[],
): boolean {
  // The progress of the other partitions is unknown before the first read.
  if (progress.length <= partition) return false
  if (ownLabelWatermarkMs < eventTimeMs) return false
  const finalisedMs = bucketStartMs(eventTimeMs - ENTITY_DELAY_MS) + BUCKET_MS
  return progress.every(
    (other, index) =>
      index === partition ||
      (other !== null && other.watermarkMs >= finalisedMs && other.labelWatermarkMs >= eventTimeMs),
  )
}

/**
 * Largest lead of a batch's watermark over the time of its partition at the batch's first transaction: the spare hours
 * for which partial aggregates are retained (ENTITY_RETAIN_MS).
 */
const BATCH_SPAN_MS = 2 * BUCKET_MS

/**
 * Limits of one batch of an aligned replay. Its watermarks let the other partitions continue once the state is written,
 * even when this partition crashes before its commit. The batch is then decided again from partial aggregates that drop
 * everything older than the reach before the others' newest events, so its watermarks must not lead them far.
 */
export class AlignedBatch {
  #newestMs: number
  #firstMs: number | null = null

  /** `newestMs` is the newest event time or watermark of the partition before the batch; Infinity when nobody waits. */
  constructor(newestMs: number) {
    this.#newestMs = newestMs
  }

  /** Counts a transaction that is in the batch. */
  addTransaction(eventTimeMs: number): void {
    this.#firstMs ??= this.#newestMs
    this.#newestMs = Math.max(this.#newestMs, eventTimeMs)
  }

  /** Counts a watermark; false when the batch must end before it. */
  addWatermark(timeMs: number): boolean {
    if (this.#firstMs !== null && timeMs > this.#firstMs + BATCH_SPAN_MS) return false
    this.#newestMs = Math.max(this.#newestMs, timeMs)
    return true
  }
}

/** Live: true when another partition has not yet reached the end of this transaction's entity windows. */
export function isLagging(
  eventTimeMs: number,
  partition: number,
  progress: readonly (PartitionProgress | null)[],
): boolean {
  return progress.some(
    (other, index) =>
      index !== partition &&
      (other === null || other.newestEventMs < eventTimeMs - ENTITY_DELAY_MS),
  )
}

/**
 * Live: lag of the slowest other partition behind the end of a transaction's entity windows, ms; 0 when none is behind,
 * null when some partition has not begun.
 */
export function entityAgeMsOf(
  eventTimeMs: number,
  partition: number,
  progress: readonly (PartitionProgress | null)[],
): number | null {
  let ageMs = 0
  for (const [index, other] of progress.entries()) {
    if (index === partition) continue
    if (other === null || other.newestEventMs < 0) return null
    ageMs = Math.max(ageMs, eventTimeMs - ENTITY_DELAY_MS - other.newestEventMs)
  }
  return ageMs
}
