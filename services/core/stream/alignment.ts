// In an aligned replay a lane goes on only when the others can no longer change what it is about to read.

import { BUCKET_MS, ENTITY_DELAY_MS, bucketStartMs } from '../features/time.ts'
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
