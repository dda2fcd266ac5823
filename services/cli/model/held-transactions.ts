// What a gate needs of the transactions of a stream, in memory that is bounded: beyond so many of them, those of a random
// part of the cards are held, the same whatever comes in which order. All of a card or nothing, since decisions of a card
// rest on its payments before.

import { hashOf } from '../../core/id-hash.ts'
import type { PastPayment } from './card-pasts.ts'

/** Transactions that are held at most. */
export const HELD_MAX = 2_000_000

const REFERENCES = 2 ** 48
const DRAW_SALT = 'held/'

export interface HeldTransaction {
  /** The fields that groups are made by, in their order. */
  readonly values: readonly string[]
  /** Null where nobody asks for the payments before. */
  readonly payment: PastPayment | null
}

export class HeldTransactions {
  readonly #max: number
  readonly #byPlace = new Map<string, HeldTransaction & { readonly draw: number }>()
  /** Share of the cards whose transactions are held: 1, or a half of it again and again. */
  share = 1

  constructor(max = HELD_MAX) {
    this.#max = max
  }

  /** `made` is called only for a card that is held. */
  add(place: string, card: string, made: () => HeldTransaction): void {
    const draw = hashOf(DRAW_SALT + card) / REFERENCES
    if (draw >= this.share) return
    this.#byPlace.set(place, { ...made(), draw })
    while (this.#byPlace.size > this.#max) this.#halve()
  }

  at(place: string): HeldTransaction | undefined {
    return this.#byPlace.get(place)
  }

  get size(): number {
    return this.#byPlace.size
  }

  #halve(): void {
    this.share /= 2
    for (const [place, { draw }] of this.#byPlace) {
      if (draw >= this.share) this.#byPlace.delete(place)
    }
  }
}
