// What one reading of a card holds, by window. Made once, used for every transaction; what no feature of the plan asks for
// keeps its zeros.

import type { CardPlan } from './card-plan.ts'
import { SquareSum } from './squares.ts'

export class CardSums {
  readonly attempts: Float64Array
  /** Payments that are held singly: what quantile and rhythm look at. */
  readonly singles: Float64Array
  /** Payments: retries left out. */
  readonly counts: Float64Array
  readonly sumsMinor: Float64Array
  readonly minimaMinor: Float64Array
  readonly maximaMinor: Float64Array
  readonly squares: readonly SquareSum[]
  /** Payments of a smaller amount, and of the same. */
  readonly smaller: Float64Array
  readonly equal: Float64Array
  readonly sameHour: Float64Array
  readonly sameWeekday: Float64Array
  readonly declines: Float64Array
  readonly triedAgain: Float64Array
  /** Payments not declined that lie just under `limitMinor`; only once that is known. */
  readonly underLimit: Float64Array
  /** Smallest declined amount of the reach; Infinity for none. */
  limitMinor = Infinity
  /** Per reference of the plan: that of the transaction itself, 0 for none. Where it is, nothing else of it is read. */
  readonly ownRefs: Float64Array
  /** Per reference of the plan, per window: distinct ones besides the transaction's own. */
  readonly distinct: readonly Float64Array[]
  /** Per reference of the plan, per window: payments that share the transaction's, and attempts. */
  readonly pairCounts: readonly Float64Array[]
  readonly pairAttempts: readonly Float64Array[]
  /** Per reference of the plan: index of the newest event that shares it, -1 for none. */
  readonly pairLast: Int32Array
  /** Per reference of the plan: 1 where any event of the reach has one. */
  readonly hasAny: Uint8Array

  constructor({ windowsMs, columns }: CardPlan) {
    const windows = (): Float64Array => new Float64Array(windowsMs.length)
    this.attempts = windows()
    this.singles = windows()
    this.counts = windows()
    this.sumsMinor = windows()
    this.minimaMinor = windows()
    this.maximaMinor = windows()
    this.squares = windowsMs.map(() => new SquareSum())
    this.smaller = windows()
    this.equal = windows()
    this.sameHour = windows()
    this.sameWeekday = windows()
    this.declines = windows()
    this.triedAgain = windows()
    this.underLimit = windows()
    this.ownRefs = new Float64Array(columns.length)
    this.distinct = columns.map(windows)
    this.pairCounts = columns.map(windows)
    this.pairAttempts = columns.map(windows)
    this.pairLast = new Int32Array(columns.length)
    this.hasAny = new Uint8Array(columns.length)
  }
}
