// How the events of a card are kept: singly in rows of numbers, or merged by the hour.

import { REFERENCES, type Reference } from '../catalogue/feature-definition.ts'
import { SquareSum } from './squares.ts'
import { bucketStartMs } from '../catalogue/time.ts'

/**
 * Places of an event's fields. References are indexes into `references`, 0 for none. Those that every event has come
 * first: a card whose features ask for no more keeps no more.
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
/** Numbers per event of a card that has any of the columns from `merchant` on, and of one that has none. */
export const STRIDE = 15
export const STRIDE_NARROW = 6

/** What of an event is kept: the features decide, so that state holds nothing that nobody asks for. */
export interface KeptColumns {
  readonly references: ReadonlySet<Reference>
  readonly places: boolean
  readonly localTime: boolean
}

/** Whatever a feature might ask for. */
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

/** Columns of which a card stores those that any of its events uses. */
export const OPTIONAL_COLUMNS = [
  ...Object.values(REFERENCE_COLUMNS),
  COLUMN.country,
  COLUMN.utcOffset,
  COLUMN.intent,
] as const

/** Which optional columns an event uses: bit i stands for OPTIONAL_COLUMNS[i]. Hot path. */
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

/** `lateRetry`: only attempts that came after it in the log made it a retry, and none of them is merged. */
export const FLAG = { presence: 3, declined: 4, place: 8, retry: 64, lateRetry: 128 } as const
export const OUTCOME_SHIFT = 4

/** The offset of a settled event: below every other. */
export const SETTLED_OFFSET = -1

/** Index of an outcome as stored with an event: what was decided, for duplicates; 0 is not known. */
export type StoredOutcome = 0 | 1 | 2 | 3

/** Merged events of one hour. */
export interface Bucket {
  startMs: number
  attempts: number
  /** Retries left out, as in all that follow. */
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

/** Adds a merged event to the bucket of its hour; `buckets` are in order of time. */
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

/** The references that events still have, in the order in which they are met; the events get their new indexes. */
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

/** What is left of the reference of a settled event's id: its low byte. */
export function idCheckOf(idHash: number): number {
  return idHash % 256
}

/** Takes away merged hours before this. */
export function forgetBuckets(buckets: Bucket[], horizonMs: number): void {
  while (buckets[0] !== undefined && buckets[0].startMs < horizonMs) buckets.shift()
}
