// Last payments of a card before a transaction, as input of a sequence model. They come from the same history as the
// card's features, in memory or from Redis.

import { COLUMN, STRIDE_NARROW } from '../state/card-columns.ts'
import type { CardHistory } from '../state/card-history.ts'
import { CARD_RAW_MAX, CARD_RETAIN_MS } from '../state/card-limits.ts'
import { CARD_REACH_MS, DAY_MS, MINUTE_MS } from '../catalogue/time.ts'

/** Maximum payments in a sequence. */
export const SEQUENCE_EVENTS = 16

/**
 * Numbers per payment: amount in minor units of the reference currency; age in ms; local time of day in ms; hash of the
 * merchant category (see hashOf), 0 for none. The time of day is in UTC, and the category is 0, if no feature requires
 * the card to store them.
 */
export const SEQUENCE_WIDTH = 4

/** Numbers per sequence; NaN where there is no payment. */
export const SEQUENCE_LENGTH = SEQUENCE_EVENTS * SEQUENCE_WIDTH

/**
 * Output of consecutive sequences; the next one goes to `position`. Reused, so that no object is allocated per event.
 */
interface SequenceOutput {
  readonly values: Float64Array
  position: number
}

/**
 * Writes the newest attempts before (timeMs, idHash), newest first, at `position`. Retries are included, since a late
 * payment can change which attempts are retries. As for the features, only events with an offset below `nextOffset`
 * count. Events that are CARD_REACH_MS old, or more than CARD_RETAIN_MS older than the card's newest event, are
 * excluded whether they are still stored or not. Hot path.
 */
export function writeSequence(
  { data, stride, count, references }: CardHistory,
  timeMs: number,
  idHash: number,
  nextOffset: number,
  { values: out, position }: SequenceOutput,
): void {
  const end = position + SEQUENCE_LENGTH
  const isWide = stride !== STRIDE_NARROW
  let sinceMs = timeMs - CARD_REACH_MS
  let at = position
  let singly = 0
  for (let index = count - 1; index >= 0 && at < end && singly < CARD_RAW_MAX; index -= 1) {
    const base = index * stride
    if ((data[base + COLUMN.offset] ?? 0) >= nextOffset) continue
    const eventMs = data[base + COLUMN.time] ?? 0
    if (singly === 0) sinceMs = Math.max(sinceMs, eventMs - CARD_RETAIN_MS - 1)
    singly += 1
    if (eventMs > timeMs) continue
    if (eventMs <= sinceMs) break
    if (eventMs === timeMs && (data[base + COLUMN.id] ?? 0) >= idHash) continue
    out[at] = data[base + COLUMN.amount] ?? 0
    out[at + 1] = timeMs - eventMs
    const utcOffset = isWide ? (data[base + COLUMN.utcOffset] ?? 0) : 0
    out[at + 2] = timeOfDayMs(eventMs + utcOffset * MINUTE_MS)
    out[at + 3] = isWide ? (references[data[base + COLUMN.category] ?? 0] ?? 0) : 0
    at += SEQUENCE_WIDTH
  }
  out.fill(NaN, at, end)
}

/** Never negative, not even before 1970. */
function timeOfDayMs(localMs: number): number {
  return ((localMs % DAY_MS) + DAY_MS) % DAY_MS
}
