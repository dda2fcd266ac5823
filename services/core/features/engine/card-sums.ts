// Aggregates of a card per window. Created once and reused for every transaction. Arrays that no feature of the plan
// needs stay zero.

import type { CardPlan } from './card-plan.ts'
import { ReferenceAggregates } from './reference-aggregates.ts'
import { SquareSum } from '../state/squares.ts'

export class CardSums {
  /** Index of the oldest single event in the window; index of the transaction if there is none. */
  readonly firsts: Int32Array
  readonly attempts: Float64Array
  /** Payments stored singly: the population of quantile and time-of-day features. */
  readonly singles: Float64Array
  /** Payments, without retries. */
  readonly counts: Float64Array
  readonly sumsMinor: Float64Array
  readonly minimaMinor: Float64Array
  readonly maximaMinor: Float64Array
  readonly squares: readonly SquareSum[]
  /** Payments with a smaller amount, and with the same amount. */
  readonly smaller: Float64Array
  readonly equal: Float64Array
  readonly sameHour: Float64Array
  readonly sameWeekday: Float64Array
  readonly declines: Float64Array
  readonly triedAgain: Float64Array
  /** Payments that were not declined and are just under `limitMinor`; valid only if the limit is known. */
  readonly underLimit: Float64Array
  /** Smallest declined amount in the reach; Infinity for none. */
  limitMinor = Infinity
  /** In the order of the plan. */
  readonly references: readonly ReferenceAggregates[]

  constructor({ windowsMs, references }: CardPlan) {
    const windows = (): Float64Array => new Float64Array(windowsMs.length)
    this.firsts = new Int32Array(windowsMs.length)
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
    this.references = references.map((each) => new ReferenceAggregates(each, windowsMs.length))
  }
}
