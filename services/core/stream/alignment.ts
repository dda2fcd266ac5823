// In an aligned replay a lane goes on only when the others can no longer change what it is about to read.

import { BUCKET_MS, ENTITY_DELAY_MS, bucketStartMs } from '../features/catalogue/time.ts'
import type { LaneProgress } from './lane-progress.ts'

/**
 * True when a transaction of this time in lane `partition` reads the same shared state whatever the other lanes
 * do next: they are past the end of the hour in which its entity windows end, and every lane, its own
 * included, has all labels known by then.
 */
export function mayGoOn(
  eventTimeMs: number,
  partition: number,
  ownLabelWatermarkMs: number,
  progress: readonly (LaneProgress | null)[],
): boolean {
  // Nothing is known of the other lanes before the first reading.
  if (progress.length <= partition) return false
  if (ownLabelWatermarkMs < eventTimeMs) return false
  const settledMs = bucketStartMs(eventTimeMs - ENTITY_DELAY_MS) + BUCKET_MS
  return progress.every(
    (lane, index) =>
      index === partition ||
      (lane !== null && lane.watermarkMs >= settledMs && lane.labelWatermarkMs >= eventTimeMs),
  )
}

/**
 * How far a watermark of a batch may lie beyond where the batch's first transaction found its lane: the spare hours for
 * which parts of entities are kept (ENTITY_RETAIN_MS).
 */
const BATCH_SPAN_MS = 2 * BUCKET_MS

/**
 * What one batch of an aligned replay may hold. Its watermarks let the other lanes go on once the state is written, and
 * go on they do when this lane crashes before its commit. The batch is then decided again from parts that forget what
 * lies a reach before the others' newest events, so its watermarks must not lead them far.
 */
export class AlignedBatch {
  #newestMs: number
  #firstMs: number | null = null

  /** `newestMs` is the newest event time or watermark of the lane before the batch; Infinity where nobody waits. */
  constructor(newestMs: number) {
    this.#newestMs = newestMs
  }

  /** Counts a transaction that is in the batch. */
  addTransaction(eventTimeMs: number): void {
    this.#firstMs ??= this.#newestMs
    this.#newestMs = Math.max(this.#newestMs, eventTimeMs)
  }

  /** Counts a watermark; false when the batch has to end before it. */
  addWatermark(timeMs: number): boolean {
    if (this.#firstMs !== null && timeMs > this.#firstMs + BATCH_SPAN_MS) return false
    this.#newestMs = Math.max(this.#newestMs, timeMs)
    return true
  }
}

/** Live: true when another lane has not yet come to where the entity windows of this transaction end. */
export function isLagging(
  eventTimeMs: number,
  partition: number,
  progress: readonly (LaneProgress | null)[],
): boolean {
  return progress.some(
    (lane, index) =>
      index !== partition && (lane === null || lane.newestEventMs < eventTimeMs - ENTITY_DELAY_MS),
  )
}

/**
 * Live: how far the slowest other lane is behind the end of the entity windows of a transaction of this time, ms; 0 when
 * none is behind, null when some lane has not begun.
 */
export function entityAgeMsOf(
  eventTimeMs: number,
  partition: number,
  progress: readonly (LaneProgress | null)[],
): number | null {
  let ageMs = 0
  for (const [index, lane] of progress.entries()) {
    if (index === partition) continue
    if (lane === null || lane.newestEventMs < 0) return null
    ageMs = Math.max(ageMs, eventTimeMs - ENTITY_DELAY_MS - lane.newestEventMs)
  }
  return ageMs
}
