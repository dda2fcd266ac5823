// How many different cards there were, in bounded memory: exact up to CARDS_EXACT_MAX, an estimate beyond, from the
// smallest hashes alone (k minimum values). Which hashes are the smallest does not depend on the order of the cards.

import { referenceOf } from '../reference.ts'

/** Cards that are counted one by one; the standard error of an estimate is one by the root of it, 0.6 %. */
const CARDS_EXACT_MAX = 32_768

const REFERENCES = 2 ** 48

/** A number of cards, and whether it was counted or estimated. */
export interface CardCount {
  readonly cards: number
  readonly isExact: boolean
}

export class DistinctCards {
  readonly #exactMax: number
  #hashes = new Set<number>()
  /** Hashes from here on are no longer among the smallest. */
  #limit = Infinity

  constructor(exactMax = CARDS_EXACT_MAX) {
    this.#exactMax = exactMax
  }

  add(card: string): void {
    const hash = referenceOf(card)
    if (hash >= this.#limit) return
    this.#hashes.add(hash)
    if (this.#hashes.size >= 2 * this.#exactMax) this.#prune()
  }

  get count(): CardCount {
    if (this.#hashes.size > this.#exactMax) this.#prune()
    if (this.#limit === Infinity) return { cards: this.#hashes.size, isExact: true }
    // The limit is the hash behind the smallest `exactMax`; that many cards have the share below it of all hashes.
    return { cards: Math.round(this.#exactMax / (this.#limit / REFERENCES)), isExact: false }
  }

  /** Keeps the smallest, and the next one as limit. */
  #prune(): void {
    const sorted = Float64Array.from(this.#hashes).sort()
    this.#limit = sorted[this.#exactMax] ?? Infinity
    this.#hashes = new Set(sorted.subarray(0, this.#exactMax))
  }
}
