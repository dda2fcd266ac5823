// Sums of minor units that stay exact however many there are: a number for as long as it is safe, a bigint behind it.

import assert from 'node:assert/strict'

/** Far enough below 2^53 that one amount more is still exact. */
const LOW_MAX = 2 ** 52

export class MoneySum {
  #low = 0
  #high = 0n

  /** Adds an amount that is not negative. */
  add(amountMinor: number): void {
    assert(Number.isSafeInteger(amountMinor) && amountMinor >= 0, 'An amount is a whole number.')
    if (amountMinor > LOW_MAX) {
      this.#high += BigInt(amountMinor)
      return
    }
    this.#low += amountMinor
    if (this.#low < LOW_MAX) return
    this.#high += BigInt(this.#low)
    this.#low = 0
  }

  get minor(): bigint {
    return this.#high + BigInt(this.#low)
  }
}
