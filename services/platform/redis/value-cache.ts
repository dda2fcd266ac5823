// Decoded values that stay in memory between the micro-batches of a partition session. One bound for all partitions of a process:
// how many of them there are changes with every rebalance. What goes first is what was not used since its turn came last
// (the clock of second chance, Corbato 1968): nearly the least recently used, and to put a value again annotations it.

/** What a value is kept under. */
export type ValueId = string | number

/** A value in its place. */
export interface KeptValue {
  readonly value: unknown
}

interface Kept extends KeptValue {
  readonly owner: Map<ValueId, Kept>
  readonly id: ValueId
  value: unknown
  weight: number
  /** Put again since its turn came last. */
  isUsed: boolean
  /** Given up: the place is another one by now. */
  isGone: boolean
}

/** The values of one owner. */
export class KeptValues {
  readonly #order: UseOrder
  readonly #byId = new Map<ValueId, Kept>()

  /** By `ValueCache.open`. */
  constructor(order: UseOrder) {
    this.#order = order
  }

  get size(): number {
    return this.#byId.size
  }

  /** What was put under the id; undefined when that is gone. Hot path. */
  get(id: ValueId): unknown {
    return this.#byId.get(id)?.value
  }

  /** The place of what was put under the id, which `put` can be told; undefined when that is gone. Hot path. */
  find(id: ValueId): KeptValue | undefined {
    return this.#byId.get(id)
  }

  /** Keeps the value, in place of what stood there: at `place`, where the caller knows it. Hot path. */
  put(id: ValueId, value: unknown, weight: number, place?: KeptValue): void {
    const known = place as Kept | undefined
    let kept = known?.isGone === false ? known : this.#byId.get(id)
    if (kept === undefined) {
      kept = { owner: this.#byId, id, value, weight: 0, isUsed: false, isGone: false }
      this.#byId.set(id, kept)
      this.#order.add(kept)
    } else kept.isUsed = true
    kept.value = value
    this.#order.weigh(kept, weight)
  }

  clear(): void {
    for (const kept of this.#byId.values()) this.#order.remove(kept)
  }
}

export class ValueCache {
  readonly #order: UseOrder

  constructor(weightMax: number) {
    this.#order = new UseOrder(weightMax)
  }

  get weight(): number {
    return this.#order.weight
  }

  /** Room for the values of one more owner. */
  open(): KeptValues {
    return new KeptValues(this.#order)
  }
}

/** All values, in the order in which their turns come. */
class UseOrder {
  readonly #weightMax: number
  readonly #all = new Set<Kept>()
  /** Whose turn is next. It goes on from where it stood, over and over. */
  #hand = this.#all.values()
  #weight = 0

  constructor(weightMax: number) {
    this.#weightMax = weightMax
  }

  get weight(): number {
    return this.#weight
  }

  add(kept: Kept): void {
    this.#all.add(kept)
  }

  /** Notes the weight of a value, and gives up others, or this one, until there is room for it. */
  weigh(kept: Kept, weight: number): void {
    this.#weight += weight - kept.weight
    kept.weight = weight
    while (this.#weight > this.#weightMax && this.#all.size > 0) {
      const { done, value: next } = this.#hand.next()
      if (done === true) this.#hand = this.#all.values()
      else if (next.isUsed) next.isUsed = false
      else this.remove(next)
    }
  }

  remove(kept: Kept): void {
    this.#all.delete(kept)
    kept.owner.delete(kept.id)
    kept.isGone = true
    this.#weight -= kept.weight
  }
}
