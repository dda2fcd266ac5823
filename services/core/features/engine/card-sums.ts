// What one reading of a card holds, by window. Made once, used for every transaction; what no feature of the plan asks for
// keeps its zeros.

import type { CardPlan } from './card-plan.ts'
import { ReferenceReading } from './reference-reading.ts'
import { SquareSum } from '../state/squares.ts'

export class CardSums {
  /** Index of the oldest event that a window holds singly; that of the transaction where it holds none. */
  readonly firsts: Int32Array
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
  /** In the order of the plan. */
  readonly references: readonly ReferenceReading[]

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
    this.references = references.map((each) => new ReferenceReading(each, windowsMs.length))
  }
}
