// Layout of an entity's events: single events are rows of numbers, merged events are hourly buckets.

import type { KmvSketch } from './kmv-sketch.ts'

/** Maximum number of events of one hour that are stored singly. */
export const HOUR_RAW_MAX = 16

/** Merged events of one hour. */
export interface HourlyBucket {
  readonly startMs: number
  count: number
  /** Hashes of the hour's cards: all of them, or the smallest ones if there were more. */
  readonly cards: KmvSketch
}

/** Positions of an event's fields in its row. */
export const ENTITY_COLUMN = { time: 0, offset: 1, id: 2, card: 3 } as const
export const ENTITY_STRIDE = 4

/** Input of HourIndex. */
export interface HourlyEvents {
  readonly count: number
  readonly hourlyBuckets: readonly HourlyBucket[]
  at(index: number, column: number): number
}
