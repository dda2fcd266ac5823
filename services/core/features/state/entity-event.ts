// How the events of an entity's part are kept: singly in rows of numbers, or merged by the hour.

import type { KmvSketch } from './kmv-sketch.ts'

/** Events of one hour that are kept singly. */
export const HOUR_RAW_MAX = 16

/** A merged hour. */
export interface HourlyBucket {
  readonly startMs: number
  count: number
  /** Its cards: all of them, or the smallest hashes where there were more. */
  readonly cards: KmvSketch
}

/** Places of an event's fields. */
export const ENTITY_COLUMN = { time: 0, offset: 1, id: 2, card: 3 } as const
export const ENTITY_STRIDE = 4

/** What is indexed by the hour. */
export interface HourlyEvents {
  readonly count: number
  readonly hourlyBuckets: readonly HourlyBucket[]
  at(index: number, column: number): number
}
