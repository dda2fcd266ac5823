// Finds how far a micro-batch reaches in event time.

import type { Taken } from './record-queue.ts'

/** The newest event time among its transactions, and the newest watermark among its labels; -1 for none. */
export function newestTimesOf({ entries, labels }: Taken): {
  readonly eventMs: number
  readonly labelMs: number
} {
  let eventMs = -1
  for (const entry of entries) {
    if (entry.kind === 'transaction') eventMs = Math.max(eventMs, entry.transaction.eventTimeMs)
  }
  let labelMs = -1
  for (const label of labels) {
    if (label.kind === 'watermark') labelMs = Math.max(labelMs, label.timeMs)
  }
  return { eventMs, labelMs }
}
