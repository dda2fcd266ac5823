// Spans of time that features and their state rely on.

export const SECOND_MS = 1_000
export const MINUTE_MS = 60 * SECOND_MS
export const HOUR_MS = 60 * MINUTE_MS
export const DAY_MS = 24 * HOUR_MS

/** Width of the coarse buckets that old or crowded events are merged into. */
export const BUCKET_MS = 60 * MINUTE_MS

/** Start of the bucket that holds this time. */
export function bucketStartMs(timeMs: number): number {
  return Math.floor(timeMs / BUCKET_MS) * BUCKET_MS
}

/** Longest card window. */
export const CARD_REACH_MS = 30 * DAY_MS

/**
 * Shortest time before the transaction at which the windows of shared entities end. Partitions of an aligned replay may
 * be this far apart, less the bucket in which a window ends.
 */
export const ENTITY_DELAY_MS = 2 * HOUR_MS

/** The same for windows over labels, which take about that long to be known. */
export const LABEL_DELAY_MS = 7 * DAY_MS

/** Longest look back of an entity window, its delay included. The longest of all: the reach of the plan. */
export const ENTITY_REACH_MS = LABEL_DELAY_MS + 30 * DAY_MS

export const REACH_MS = Math.max(CARD_REACH_MS, ENTITY_REACH_MS)

/**
 * Longest time that a transaction may lag the newest event of its card (or, in a replay, the furthest partition) and
 * still find all of its windows. State is retained for the reach plus this.
 */
export const LATENESS_MS = 3 * DAY_MS

/** Attempts of one intent within this time of an earlier one are retries of it. */
export const RETRY_MS = 24 * HOUR_MS
