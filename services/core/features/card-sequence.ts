// The last payments of a card before a transaction, as a sequence model sees them: from the same history as the
// card's features, in memory or from Redis.

import { COLUMN } from './card-columns.ts'
import type { CardHistory } from './card-history.ts'
import { CARD_RAW_MAX } from './card-limits.ts'
import { CARD_REACH_MS } from './time.ts'

/** Payments that a sequence holds at most. */
export const SEQUENCE_EVENTS = 32

/** Numbers of one payment: amount in minor units of the reference currency; age in ms. */
export const SEQUENCE_WIDTH = 2

/** Numbers of one sequence; NaN where there is no payment. */
export const SEQUENCE_LENGTH = SEQUENCE_EVENTS * SEQUENCE_WIDTH

/**
 * Writes the newest attempts (retries too: what is one may change with a late payment) that come before (timeMs, idRef),
 * newest first, at `position`. Of events that came later in the log nothing is seen: only offsets below `nextOffset`
 * count, as for the features. What is CARD_REACH_MS old is not seen either, whether it is still held or not. Hot path.
 */
export function writeSequence(
  { data, stride, count }: CardHistory,
  timeMs: number,
  idRef: number,
  nextOffset: number,
  out: Float64Array,
  position: number,
): void {
  const end = position + SEQUENCE_LENGTH
  const sinceMs = timeMs - CARD_REACH_MS
  let at = position
  let singly = 0
  for (let index = count - 1; index >= 0 && at < end && singly < CARD_RAW_MAX; index -= 1) {
    const base = index * stride
    if ((data[base + COLUMN.offset] ?? 0) >= nextOffset) continue
    singly += 1
    const eventMs = data[base + COLUMN.time] ?? 0
    if (eventMs > timeMs) continue
    if (eventMs <= sinceMs) break
    if (eventMs === timeMs && (data[base + COLUMN.id] ?? 0) >= idRef) continue
    out[at] = data[base + COLUMN.amount] ?? 0
    out[at + 1] = timeMs - eventMs
    at += SEQUENCE_WIDTH
  }
  out.fill(NaN, at, end)
}
