// Exact sums of squares. A square of 10^12 minor units has 80 bits, so a sum is stored in two limbs: high x 2^40 + low.
// Integer sums do not depend on the order of addition.

const LIMB = 2 ** 40
const HALF = 2 ** 20
const EXACT_MAX = Number.MAX_SAFE_INTEGER

/** A sum of squares of integers up to 10^12. */
export class SquareSum {
  high = 0
  /** Below 2^40. */
  low = 0

  reset(): void {
    this.high = 0
    this.low = 0
  }

  copy({ high, low }: SquareSum): void {
    this.high = high
    this.low = low
  }

  /** Adds value². Hot path. */
  addSquareOf(value: number): void {
    if (value < HALF) {
      this.#addLow(value * value)
      return
    }
    const top = Math.floor(value / HALF)
    const rest = value % HALF
    const cross = 2 * top * rest
    this.high += top * top + Math.floor(cross / HALF)
    this.#addLow((cross % HALF) * HALF)
    this.#addLow(rest * rest)
  }

  add(high: number, low: number): void {
    this.high += high
    this.#addLow(low)
  }

  #addLow(value: number): void {
    const low = this.low + value
    if (low < LIMB) {
      this.low = low
      return
    }
    this.high += Math.floor(low / LIMB)
    this.low = low % LIMB
  }
}

/** Standard deviation of integers from their count, sum and sum of squares, without cancellation. */
export function deviationOf(count: number, sum: number, squares: SquareSum): number {
  if (squares.high === 0 && count * squares.low <= EXACT_MAX && sum * sum <= EXACT_MAX) {
    return Math.sqrt(count * squares.low - sum * sum) / count
  }
  const total = BigInt(squares.high) * BigInt(LIMB) + BigInt(squares.low)
  const variance = BigInt(count) * total - BigInt(sum) * BigInt(sum)
  return Math.sqrt(Number(variance)) / count
}
