// Layout of a card's events: single events are rows of numbers, merged events are hourly buckets.

import { REFERENCES, type Reference } from '../catalogue/feature-definition.ts'
import { SquareSum } from './squares.ts'
import { bucketStartMs } from '../catalogue/time.ts'

/**
 * Positions of an event's fields in its row. References are indexes into `references`, 0 for none. The fields of every
 * event come first: a card whose features need no others stores no others.
 */
export const COLUMN = {
  time: 0,
  amount: 1,
  flags: 2,
  offset: 3,
  id: 4,
  intent: 5,
  merchant: 6,
  terminal: 7,
  device: 8,
  network: 9,
  category: 10,
  country: 11,
  latitude: 12,
  longitude: 13,
  utcOffset: 14,
} as const
/**
 * Numbers per event: STRIDE for a card that has any of the columns from `merchant` on, STRIDE_NARROW for one that has
 * none.
 */
export const STRIDE = 15
export const STRIDE_NARROW = 6

/** Optional parts of an event that are stored. The features decide, so state holds nothing that no feature reads. */
export interface KeptColumns {
  readonly references: ReadonlySet<Reference>
  readonly places: boolean
  readonly localTime: boolean
}

/** Everything that a feature can read. */
export const EVERYTHING: KeptColumns = {
  references: new Set(REFERENCES),
  places: true,
  localTime: true,
}

/** Columns that hold an index into the card's references. */
export const REFERENCE_COLUMNS: Readonly<Record<Exclude<Reference, 'country'>, number>> = {
  merchant: COLUMN.merchant,
  terminal: COLUMN.terminal,
  device: COLUMN.device,
  network: COLUMN.network,
  category: COLUMN.category,
}

/** Columns that a card stores only if one of its events uses them. */
export const OPTIONAL_COLUMNS = [
  ...Object.values(REFERENCE_COLUMNS),
  COLUMN.country,
  COLUMN.utcOffset,
  COLUMN.intent,
] as const

/** Optional columns that an event uses: bit i is OPTIONAL_COLUMNS[i]. Hot path. */
export function columnsUsed(data: Float64Array, base: number, stride: number): number {
  if (stride === STRIDE_NARROW) return data[base + COLUMN.intent] === 0 ? 0 : INTENT_BIT
  let columns = 0
  for (let bit = 0; bit < OPTIONAL_COLUMNS.length; bit += 1) {
    if (data[base + (OPTIONAL_COLUMNS[bit] ?? 0)] !== 0) columns |= 1 << bit
  }
  return columns
}

export const COUNTRY_BIT = 1 << OPTIONAL_COLUMNS.indexOf(COLUMN.country)
export const UTC_OFFSET_BIT = 1 << OPTIONAL_COLUMNS.indexOf(COLUMN.utcOffset)
export const INTENT_BIT = 1 << OPTIONAL_COLUMNS.indexOf(COLUMN.intent)

/** `lateRetry`: only attempts with a later offset made the event a retry, and none of them is merged. */
export const FLAG = { presence: 3, declined: 4, place: 8, retry: 64, lateRetry: 128 } as const
export const OUTCOME_SHIFT = 4

/** Offset of a finalised event: below every real offset. */
export const FINALISED_OFFSET = -1

/** Index of an outcome, stored with an event so that duplicates get the same decision; 0 means unknown. */
export type StoredOutcome = 0 | 1 | 2 | 3

/** Merged events of one hour. */
export interface Bucket {
  startMs: number
  attempts: number
  /** Without retries, as in all fields below. */
  count: number
  sumMinor: number
  readonly squares: SquareSum
  minimumMinor: number
  maximumMinor: number
}

export function emptyBucket(startMs: number): Bucket {
  const squares = new SquareSum()
  return {
    startMs,
    attempts: 0,
    count: 0,
    sumMinor: 0,
    squares,
    minimumMinor: Infinity,
    maximumMinor: 0,
  }
}

/** Adds a merged event to the bucket of its hour. `buckets` are in order of time. */
export function addToBuckets(
  buckets: Bucket[],
  timeMs: number,
  amountMinor: number,
  isRetry: boolean,
): void {
  const startMs = bucketStartMs(timeMs)
  let position = buckets.length
  while (position > 0 && (buckets[position - 1]?.startMs ?? 0) > startMs) position -= 1
  let bucket = buckets[position - 1]
  if (bucket?.startMs !== startMs) {
    bucket = emptyBucket(startMs)
    buckets.splice(position, 0, bucket)
  }
  bucket.attempts += 1
  if (isRetry) return
  bucket.count += 1
  bucket.sumMinor += amountMinor
  bucket.squares.addSquareOf(amountMinor)
  bucket.minimumMinor = Math.min(bucket.minimumMinor, amountMinor)
  bucket.maximumMinor = Math.max(bucket.maximumMinor, amountMinor)
}

/** Returns the references that events still use, in order of first use, and updates the indexes of the events. */
export function usedReferences(
  data: Float64Array,
  count: number,
  stride: number,
  references: readonly number[],
): number[] {
  const kept: number[] = [0]
  if (stride === STRIDE_NARROW) return kept
  const indexOf = new Map<number, number>()
  for (let base = 0; base < count * STRIDE; base += STRIDE) {
    for (const column of Object.values(REFERENCE_COLUMNS)) {
      const old = data[base + column] ?? 0
      if (old === 0) continue
      let next = indexOf.get(old)
      if (next === undefined) {
        next = kept.length
        kept.push(references[old] ?? 0)
        indexOf.set(old, next)
      }
      data[base + column] = next
    }
  }
  return kept
}

/** Part of a finalised event's id hash that is kept: its low byte. */
export function idCheckOf(idHash: number): number {
  return idHash % 256
}

/** Removes the buckets that start before this time. */
export function forgetBuckets(buckets: Bucket[], horizonMs: number): void {
  while (buckets[0] !== undefined && buckets[0].startMs < horizonMs) buckets.shift()
}
