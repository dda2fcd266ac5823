// A late transaction precedes others of its card that are already decided. Their features are recomputed, as they were
// just before it and just after; if the outcome differs, the scorer publishes a revision.
//
// Both rows see the card up to the cause, and entities as the cause sees them. So a revision, like a decision, is a
// function of the log. After a sequence of late transactions the last revision equals the decision on the ordered
// stream.

import type { Transaction } from '../../transaction.ts'
import type { CardEvent } from '../state/card-event.ts'
import { COLUMN } from '../state/card-columns.ts'
import { type CardHistory } from '../state/card-history.ts'
import { REVISABLE_MAX } from '../state/card-limits.ts'
import type { PartitionMessages } from './fold-state.ts'
import { CARD_REACH_MS, LATENESS_MS } from '../catalogue/time.ts'

/** A decided transaction that comes after a late one. */
export interface Later {
  readonly transaction: Transaction
  readonly event: CardEvent
}

/** One row with its states. */
export interface ComputedRow {
  readonly row: Float64Array
  readonly states: Uint8Array
  readonly isApproximate: boolean
}

/** A decision whose features a late transaction changed. */
export interface Recomputed {
  readonly transaction: Transaction
  /** Offset of the decision. */
  readonly offset: number
  readonly amountMinor: number
  /** Number of the revision: how often the decision was recomputed, including this time. */
  readonly revision: number
  readonly before: ComputedRow
  readonly after: ComputedRow
}

/**
 * Oldest event time of decisions that can be recomputed, given the newest event time of the partition. It depends on
 * the partition, not on the card, so that a partition knows which messages are no longer needed.
 */
export function revisableFromMs(newestEventMs: number): number {
  return newestEventMs - LATENESS_MS
}

/**
 * Decisions of the card that `cause` can change, in event order: events after it, among the REVISABLE_MAX newest, that
 * are not older than `fromMs` and whose message is stored.
 */
export function revisable(
  history: CardHistory,
  cause: CardEvent,
  fromMs: number,
  messages: PartitionMessages,
  read: (message: Uint8Array, offset: number) => Later | null,
): readonly Later[] {
  const later: Later[] = []
  const from = Math.max(
    history.rankOf(cause.timeMs, cause.idHash),
    history.count - REVISABLE_MAX,
    history.finalisedCount,
  )
  for (let index = from; index < history.count; index += 1) {
    const timeMs = history.at(index, COLUMN.time)
    if (timeMs < fromMs || timeMs - cause.timeMs >= CARD_REACH_MS) continue
    const offset = history.at(index, COLUMN.offset)
    const message = messages.find(offset)
    const found = message === null ? null : read(message, offset)
    if (found !== null) later.push(found)
  }
  return later
}

/** Recomputes the rows after the cause was inserted, and records those that differ. */
export function recompute(
  history: CardHistory,
  causeOffset: number,
  later: readonly Later[],
  before: readonly ComputedRow[],
  rowOf: (event: CardEvent) => ComputedRow,
): readonly Recomputed[] {
  const changed: Recomputed[] = []
  for (const [index, { transaction, event }] of later.entries()) {
    const was = before[index]
    if (was === undefined) continue
    const after = rowOf(event)
    if (isSameRow(was.row, after.row)) continue
    const revision = history.addCause(event.offset, causeOffset)
    if (revision === 0) continue
    const { offset, amountMinor } = event
    changed.push({ transaction, offset, amountMinor, revision, before: was, after })
  }
  return changed
}

/** Compares bit for bit: NaN equals NaN, and 0 is not -0. */
function isSameRow(a: Float64Array, b: Float64Array): boolean {
  for (let index = 0; index < a.length; index += 1) if (!Object.is(a[index], b[index])) return false
  return true
}
