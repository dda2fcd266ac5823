// Aggregates of a card's history for one kind of reference, for example the merchant: the number of distinct
// references, and the payments that share the transaction's own. Hot path: no allocation, the object is reused.

import { COLUMN, FLAG } from '../state/card-columns.ts'
import type { CardEvent } from '../state/card-event.ts'
import type { CardHistory } from '../state/card-history.ts'
import type { ReferencePlan } from './card-plan.ts'

/** Initial size of the array that stamps the distinct references of a card. */
const STAMPS_INITIAL = 256

/** Countries are numbers below this. */
const COUNTRIES = 677

export class ReferenceAggregates {
  /** Whether the transaction names one. If not, no other field is set, since no feature reads them. */
  isNamed = false
  /** Whether any event in the reach names one. */
  isAnyNamed = false
  /** Index of the newest event with the transaction's reference; -1 for none. */
  last = -1
  /** Per window: distinct references other than the transaction's own. */
  readonly distinct: Float64Array
  /** Per window: payments with the transaction's reference. */
  readonly pairCounts: Float64Array
  readonly #plan: ReferencePlan
  #stamps = new Uint32Array(STAMPS_INITIAL)
  #stamp = 0

  constructor(plan: ReferencePlan, windowCount: number) {
    this.#plan = plan
    this.distinct = new Float64Array(windowCount)
    this.pairCounts = new Float64Array(windowCount)
  }

  /** Reads the events from `oldest` up to `rank`; each window begins at one of `firsts`. */
  read(
    history: CardHistory,
    event: CardEvent,
    rank: number,
    oldest: number,
    firsts: Int32Array,
  ): void {
    const { column, distinctWindows, pairWindows } = this.#plan
    const ownRef = ownReference(event, column)
    this.isNamed = ownRef !== 0
    this.last = -1
    if (ownRef === 0) return
    const own = column === COLUMN.country ? ownRef : history.indexOfReference(ownRef)
    // A narrow history has no references.
    const end = column < history.stride ? rank : 0
    if (own !== 0) this.last = lastWith(history, column, own, oldest, end)
    this.isAnyNamed = this.last >= 0 || hasAny(history, column, oldest, end)
    if (distinctWindows > 0) this.#countDistinct(history, own, end, firsts)
    if (pairWindows > 0) this.#countPairs(history, own, firsts)
  }

  #countDistinct(history: CardHistory, own: number, end: number, firsts: Int32Array): void {
    const { data, stride, references } = history
    const { column, distinctWindows } = this.#plan
    const { distinct } = this
    const needed = column === COLUMN.country ? COUNTRIES : references.length
    if (this.#stamps.length < needed) this.#stamps = new Uint32Array(2 * needed)
    this.#stamp += 1
    const stamps = this.#stamps
    const stamp = this.#stamp
    let others = 0
    let index = end - 1
    for (let window = 0; window < distinctWindows; window += 1) {
      const first = firsts[window] ?? 0
      for (; index >= first; index -= 1) {
        const reference = data[index * stride + column] ?? 0
        if (reference === 0 || reference === own || stamps[reference] === stamp) continue
        stamps[reference] = stamp
        others += 1
      }
      distinct[window] = others
    }
  }

  #countPairs({ data, stride }: CardHistory, own: number, firsts: Int32Array): void {
    const { column, pairWindows } = this.#plan
    const { pairCounts } = this
    let payments = 0
    let index = this.last
    for (let window = 0; window < pairWindows; window += 1) {
      const first = firsts[window] ?? 0
      for (; index >= first; index -= 1) {
        const base = index * stride
        if (data[base + column] !== own) continue
        if (((data[base + COLUMN.flags] ?? 0) & FLAG.retry) === 0) payments += 1
      }
      pairCounts[window] = payments
    }
  }
}

/** Index of the newest event with this value, among those from `oldest` up to `end`; -1 for none. */
function lastWith(
  { data, stride }: CardHistory,
  column: number,
  own: number,
  oldest: number,
  end: number,
): number {
  let index = end - 1
  while (index >= oldest && data[index * stride + column] !== own) index -= 1
  return index >= oldest ? index : -1
}

function hasAny(
  { data, stride }: CardHistory,
  column: number,
  oldest: number,
  end: number,
): boolean {
  let index = end - 1
  while (index >= oldest && data[index * stride + column] === 0) index -= 1
  return index >= oldest
}

/** The reference of an event in this column, 0 for none. */
function ownReference(event: CardEvent, column: number): number {
  switch (column) {
    case COLUMN.merchant:
      return event.merchantHash
    case COLUMN.terminal:
      return event.terminalHash
    case COLUMN.device:
      return event.deviceHash
    case COLUMN.network:
      return event.networkHash
    case COLUMN.category:
      return event.categoryHash
    case COLUMN.country:
      return event.countryHash
    default:
      throw new RangeError(`Column ${column} has no references.`)
  }
}
