// A late transaction lands before others of its card that are decided already. Their features are computed again, as
// they were just before it and just after; where the outcome differs, the scorer publishes a revision.
//
// Both rows see the card up to the cause, and entities as the cause sees them. So a revision is a function of the
// log, like a decision, and of a chain of late transactions the last one leads to what the ordered stream gives.

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
  /** How often it was recomputed, this time included: the number of the revision. */
  readonly revision: number
  readonly before: ComputedRow
  readonly after: ComputedRow
}

/**
 * The oldest event time of decisions that may be computed again, where this is the newest event time of the partition. By the
 * partition, not by the card: so a partition knows which messages nobody will ask for.
 */
export function revisableFromMs(newestEventMs: number): number {
  return newestEventMs - LATENESS_MS
}

/**
 * Decisions of the card that `cause` may change, in event order: events that come after it, of the REVISABLE_MAX newest
 * ones those not older than `fromMs` whose message is known.
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

/** Computes the rows again, the cause being held by now, and counts those that differ. */
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

/** Bit for bit: NaN equals NaN, and 0 is not -0. */
function isSameRow(a: Float64Array, b: Float64Array): boolean {
  for (let index = 0; index < a.length; index += 1) if (!Object.is(a[index], b[index])) return false
  return true
}
