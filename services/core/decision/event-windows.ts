// Counts in a sliding window of event time, in a few buckets: small enough to be committed with every batch. Time only
// moves forward: callers pass the newest event time so far, so a late event counts as of now.

import assert from 'node:assert/strict'

/** Buckets that make up one window. */
export const BUCKETS = 10

/** Largest count of one bucket, and largest sum. Both saturate (P6: their text has a limit). */
export const COUNT_MAX = 36 ** 6 - 1
export const SUM_MAX = 36 ** 10 - 1

/** A few sums per bucket, newest bucket first. */
export interface EventWindow {
  readonly bucketMs: number
  /** Number of the newest bucket: its start divided by `bucketMs`. */
  newest: number
  /** At most `bucketsMax`; each holds one number per field. */
  buckets: number[][]
  readonly bucketsMax: number
  /** Largest value of each field. */
  readonly fieldsMax: readonly number[]
}

export function openWindow(
  bucketMs: number,
  bucketsMax: number,
  fieldsMax: readonly number[],
): EventWindow {
  return { bucketMs, newest: 0, buckets: [], bucketsMax, fieldsMax }
}

/**
 * Moves the window to this time, and drops buckets that have left it. A time before the newest bucket changes nothing.
 */
export function moveTo(window: EventWindow, timeMs: number): void {
  const bucket = Math.floor(timeMs / window.bucketMs)
  const ahead = bucket - window.newest
  if (ahead <= 0) return
  const fresh = Array.from({ length: Math.min(ahead, window.bucketsMax) }, () =>
    window.fieldsMax.map(() => 0),
  )
  window.buckets = [...fresh, ...window.buckets].slice(0, window.bucketsMax)
  window.newest = bucket
}

/** Adds to the newest bucket. */
export function addTo(window: EventWindow, field: number, value: number): void {
  const [newest] = window.buckets
  const max = window.fieldsMax[field]
  if (newest === undefined) return
  const before = newest[field]
  assert(max !== undefined && before !== undefined, 'The window has no such field.')
  newest[field] = Math.min(max, before + value)
}

/** Sum of one field over all buckets. */
export function sumOf(window: EventWindow, field: number): number {
  let sum = 0
  for (const bucket of window.buckets) {
    const value = bucket[field]
    assert(value !== undefined, 'The window has no such field.')
    sum += value
  }
  return sum
}

/** `newest:a.b,a.b`, in base 36, newest bucket first; 0 is left out. */
export function encodeWindow({ newest, buckets }: EventWindow): string {
  const texts = buckets.map((bucket) => trimmed(bucket.map(digits).join('.'), '.'))
  return `${digits(newest)}:${trimmed(texts.join(','), ',')}`
}

/** Fills a window from its text. False, without any change, when the text does not have this shape. */
export function decodeWindow(text: string, window: EventWindow): boolean {
  const [newestText, bucketsText, ...rest] = text.split(':')
  if (newestText === undefined || bucketsText === undefined || rest.length > 0) return false
  const newest = numberOf(newestText)
  const { bucketsMax, fieldsMax } = window
  const buckets: number[][] = bucketsText
    .split(',')
    .map((bucket) => bucket.split('.').map(numberOf))
  if (buckets.length > bucketsMax) return false
  for (const bucket of buckets) {
    if (bucket.length > fieldsMax.length) return false
    while (bucket.length < fieldsMax.length) bucket.push(0)
    if (!bucket.every((value, field) => value <= (fieldsMax[field] ?? -Infinity))) return false
  }
  if (!Number.isSafeInteger(newest)) return false
  window.newest = newest
  // A window that has moved is full, with zeros if necessary.
  while (newest > 0 && buckets.length < bucketsMax) buckets.push(fieldsMax.map(() => 0))
  window.buckets = newest > 0 ? buckets : []
  return true
}

function digits(value: number): string {
  return value === 0 ? '' : value.toString(36)
}

function numberOf(text: string): number {
  if (text === '') return 0
  return /^[0-9a-z]{1,11}$/.test(text) ? parseInt(text, 36) : NaN
}

function trimmed(text: string, end: string): string {
  let length = text.length
  while (length > 0 && text[length - 1] === end) length -= 1
  return text.slice(0, length)
}
