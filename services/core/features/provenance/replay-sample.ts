// Sample that a replay recomputes: everything, a share of cards and entities by hash, or requested ones.

import { murmur2Text } from '../../murmur2.ts'
import type { EntityKind } from '../catalogue/feature-definition.ts'

const CARD_SEED = 0x3c6ef372
const HASHES = 0x1_0000_0000

/** Selects the cards and entities to keep. A sample may shrink, but never grows: dropped state cannot be recovered. */
export interface ReplaySample {
  /** True when nothing is left out. */
  readonly isAll: boolean
  hasCard(card: string): boolean
  hasEntity(kind: EntityKind, ref: number): boolean
  /** Drops about half of the sample; false when that is impossible. */
  halve(): boolean
}

/** Cards and entities by hash: about `share` of each, and the same ones in every process. */
export class HashSample implements ReplaySample {
  #share: number

  /** @throws RangeError unless 0 < share <= 1. */
  constructor(share: number) {
    if (!(share > 0 && share <= 1)) throw new RangeError(`A sample is above 0 and at most 1.`)
    this.#share = share
  }

  get share(): number {
    return this.#share
  }

  get isAll(): boolean {
    return this.#share === 1
  }

  hasCard(card: string): boolean {
    return this.isAll || murmur2Text(card, CARD_SEED) / HASHES < this.#share
  }

  /** References are hashes already. */
  hasEntity(_: EntityKind, ref: number): boolean {
    return this.isAll || (ref % HASHES) / HASHES < this.#share
  }

  halve(): boolean {
    this.#share /= 2
    return true
  }
}

/** One card and the entities of one transaction. */
export class PickedSample implements ReplaySample {
  readonly isAll = false
  readonly #card: string
  readonly #refs: Readonly<Record<EntityKind, number>>

  constructor(card: string, refs: Readonly<Record<EntityKind, number>>) {
    this.#card = card
    this.#refs = refs
  }

  hasCard(card: string): boolean {
    return card === this.#card
  }

  hasEntity(kind: EntityKind, ref: number): boolean {
    return ref !== 0 && this.#refs[kind] === ref
  }

  halve(): boolean {
    return false
  }
}
