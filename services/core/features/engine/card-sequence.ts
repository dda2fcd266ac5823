// The last payments of a card before a transaction, as a sequence model sees them: from the same history as the
// card's features, in memory or from Redis.

import { COLUMN, STRIDE_NARROW } from '../state/card-columns.ts'
import type { CardHistory } from '../state/card-history.ts'
import { CARD_RAW_MAX, CARD_RETAIN_MS } from '../state/card-limits.ts'
import { CARD_REACH_MS, DAY_MS, MINUTE_MS } from '../catalogue/time.ts'

/** Payments that a sequence holds at most. */
export const SEQUENCE_EVENTS = 16

/**
 * Numbers of one payment: amount in minor units of the reference currency; age in ms; local time of day in ms; reference of
 * its merchant category (see hashOf), 0 for none. Time of day is that of UTC, and the category 0, where no feature
 * has the card keep them.
 */
export const SEQUENCE_WIDTH = 4

/** Numbers of one sequence; NaN where there is no payment. */
export const SEQUENCE_LENGTH = SEQUENCE_EVENTS * SEQUENCE_WIDTH

/** Sequences are written one after the other into the same array: the next at `position`. Reused, so that none is made per event. */
interface SequenceOutput {
  readonly values: Float64Array
  position: number
}

/**
 * Writes the newest attempts (retries too: what is one may change with a late payment) that come before (timeMs, idHash),
 * newest first, at `position`. Of events that came later in the log nothing is seen: only offsets below `nextOffset`
 * count, as for the features. What is CARD_REACH_MS old is not seen either, nor what is CARD_RETAIN_MS older than the newest
 * of the card, whether it is still held or not. Hot path.
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

/** Never negative, before 1970 either. */
function timeOfDayMs(localMs: number): number {
  return ((localMs % DAY_MS) + DAY_MS) % DAY_MS
}
