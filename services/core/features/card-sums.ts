// The sums of one reading of a card, by window. An event is added to the shortest window that holds it (its ring); sums
// over the rings give the windows. Hot path: made once, used for every transaction.

import type { CardPlan } from './card-plan.ts'
import { SquareSum } from './squares.ts'

/** Arrays of the class below that begin with 0: the single ones, and those of each reference. */
const SINGLE_SUMS = 12
const SUMS_PER_REFERENCE = 3

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
  /** Per reference of the plan, per window: distinct ones besides the transaction's own. */
  readonly distinct: readonly Float64Array[]
  /** Per reference of the plan, per window: payments that share the transaction's, and attempts. */
  readonly pairCounts: readonly Float64Array[]
  readonly pairAttempts: readonly Float64Array[]
  /** Per reference of the plan: index of the newest event that shares it, -1 for none. */
  readonly pairLast: Int32Array
  /** Per reference of the plan: 1 where any event of the reach has one. */
  readonly hasAny: Uint8Array
  readonly #sums: CardPlan
  /** All that begin with 0, in one piece. */
  readonly #zeroed: Float64Array

  constructor(plan: CardPlan) {
    this.#sums = plan
    const size = plan.windowsMs.length
    this.#zeroed = new Float64Array(size * (SINGLE_SUMS + SUMS_PER_REFERENCE * plan.columns.length))
    let used = 0
    const windows = (): Float64Array => {
      used += size
      return this.#zeroed.subarray(used - size, used)
    }
    this.attempts = windows()
    this.singles = windows()
    this.counts = windows()
    this.sumsMinor = windows()
    this.minimaMinor = new Float64Array(size)
    this.maximaMinor = windows()
    this.squares = plan.windowsMs.map(() => new SquareSum())
    this.smaller = windows()
    this.equal = windows()
    this.sameHour = windows()
    this.sameWeekday = windows()
    this.declines = windows()
    this.triedAgain = windows()
    this.underLimit = windows()
    this.distinct = plan.columns.map(windows)
    this.pairCounts = plan.columns.map(windows)
    this.pairAttempts = plan.columns.map(windows)
    this.pairLast = new Int32Array(plan.columns.length)
    this.hasAny = new Uint8Array(plan.columns.length)
    if (used !== this.#zeroed.length) throw new RangeError('A sum has no room of its own.')
  }

  /** Begins anew. */
  protected clear(): void {
    this.#zeroed.fill(0)
    this.minimaMinor.fill(Infinity)
    for (const sum of this.squares) sum.reset()
    this.pairLast.fill(-1)
    this.hasAny.fill(0)
    this.limitMinor = Infinity
  }

  /** From rings to windows. */
  protected sumRings(): void {
    const { hasSquares, hasQuantile, hasRhythm, hasDeclines } = this.#sums
    accumulate(this.attempts)
    accumulate(this.singles)
    accumulate(this.counts)
    accumulate(this.sumsMinor)
    this.#sumExtremes(hasSquares)
    if (hasQuantile) accumulate(this.smaller)
    if (hasQuantile) accumulate(this.equal)
    if (hasRhythm) accumulate(this.sameHour)
    if (hasRhythm) accumulate(this.sameWeekday)
    if (hasDeclines) accumulate(this.declines)
    if (hasDeclines) accumulate(this.triedAgain)
    for (const values of this.distinct) accumulate(values)
    for (const values of this.pairCounts) accumulate(values)
    for (const values of this.pairAttempts) accumulate(values)
  }

  #sumExtremes(hasSquares: boolean): void {
    const { minimaMinor, maximaMinor, squares } = this
    for (let ring = 1; ring < minimaMinor.length; ring += 1) {
      const shorter = ring - 1
      minimaMinor[ring] = Math.min(minimaMinor[ring] ?? Infinity, minimaMinor[shorter] ?? Infinity)
      maximaMinor[ring] = Math.max(maximaMinor[ring] ?? 0, maximaMinor[shorter] ?? 0)
      const sum = squares[shorter]
      if (hasSquares && sum !== undefined) squares[ring]?.add(sum.high, sum.low)
    }
  }
}

function accumulate(values: Float64Array): void {
  for (let ring = 1; ring < values.length; ring += 1) {
    values[ring] = (values[ring] ?? 0) + (values[ring - 1] ?? 0)
  }
}
