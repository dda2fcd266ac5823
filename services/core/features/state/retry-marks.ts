// Marks events of a card as retries because of a later message, and removes those marks when that message is dropped.
//
// An event that was a retry on arrival stays one: the attempts before it in the log are never dropped before it,
// whether they are still stored or not. So only marks made by late attempts (FLAG.lateRetry) can be removed, and they
// stay while one of those attempts is stored. Once such an attempt is merged or finalised, which happens to committed
// ones only, the mark is permanent.

import { COLUMN, FLAG } from './card-columns.ts'
import { RETRY_MS } from '../catalogue/time.ts'

/** Events of a card, in order of time. */
export interface EventRows {
  readonly data: Float64Array
  /** Numbers per event. */
  readonly stride: number
  readonly count: number
  readonly finalisedCount: number
}

/** Marks the events from `from` on that are retries of the late event at this index. */
export function markRetriesAfter(
  { data, stride, count }: EventRows,
  index: number,
  from: number,
): void {
  const intent = data[index * stride + COLUMN.intent]
  const untilMs = (data[index * stride] ?? 0) + RETRY_MS
  for (let base = from * stride; base < count * stride; base += stride) {
    if ((data[base] ?? 0) > untilMs) return
    if (data[base + COLUMN.intent] !== intent) continue
    const flags = data[base + COLUMN.flags] ?? 0
    if ((flags & FLAG.retry) === 0) data[base + COLUMN.flags] = flags | FLAG.retry | FLAG.lateRetry
  }
}

/** Makes the marks that the attempt at this index caused permanent: the attempt is being merged or finalised. */
export function keepRetriesOf({ data, stride, count }: EventRows, index: number): void {
  const own = index * stride
  const intent = data[own + COLUMN.intent] ?? 0
  if (intent === 0) return
  const untilMs = (data[own] ?? 0) + RETRY_MS
  for (let base = own + stride; base < count * stride; base += stride) {
    if ((data[base] ?? 0) > untilMs) return
    if (data[base + COLUMN.intent] !== intent || !isLaterInLog(data, own, base)) continue
    data[base + COLUMN.flags] = (data[base + COLUMN.flags] ?? 0) & ~FLAG.lateRetry
  }
}

/** Removes marks after events of these intents were dropped. */
export function unmarkRetriesOf(rows: EventRows, dropped: ReadonlySet<number>): void {
  const { data, stride, count, finalisedCount } = rows
  for (let index = finalisedCount; index < count; index += 1) {
    const base = index * stride
    const flags = data[base + COLUMN.flags] ?? 0
    if ((flags & FLAG.lateRetry) === 0 || !dropped.has(data[base + COLUMN.intent] ?? 0)) continue
    if (!hasLateAttempt(rows, index)) {
      data[base + COLUMN.flags] = flags & ~(FLAG.retry | FLAG.lateRetry)
    }
  }
}

/** Whether a late attempt of the same intent precedes this event by at most RETRY_MS. */
function hasLateAttempt({ data, stride, finalisedCount }: EventRows, index: number): boolean {
  const own = index * stride
  const fromMs = (data[own] ?? 0) - RETRY_MS
  for (let base = own - stride; base >= finalisedCount * stride; base -= stride) {
    if ((data[base] ?? 0) < fromMs) return false
    if (data[base + COLUMN.intent] !== data[own + COLUMN.intent]) continue
    if (isLaterInLog(data, base, own)) return true
  }
  return false
}

function isLaterInLog(data: Float64Array, a: number, b: number): boolean {
  return (data[a + COLUMN.offset] ?? 0) > (data[b + COLUMN.offset] ?? 0)
}
