// Decoded values that stay in memory between the micro-batches of a lane session, least recently used out first.
// One bound for all lanes of a process: how many of them there are changes with every rebalance.

/** What a value is kept under. */
export type ValueId = string | number

interface Kept {
  readonly owner: Map<ValueId, Kept>
  readonly id: ValueId
  value: unknown
  weight: number
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

  /** Keeps the value as the most recently used, in place of what stood there. Hot path. */
  put(id: ValueId, value: unknown, weight: number): void {
    let kept = this.#byId.get(id)
    if (kept === undefined) {
      kept = { owner: this.#byId, id, value, weight: 0 }
      this.#byId.set(id, kept)
    }
    kept.value = value
    this.#order.use(kept, weight)
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

/** All values, least recently used first. */
class UseOrder {
  readonly #weightMax: number
  readonly #all = new Set<Kept>()
  #weight = 0

  constructor(weightMax: number) {
    this.#weightMax = weightMax
  }

  get weight(): number {
    return this.#weight
  }

  use(kept: Kept, weight: number): void {
    this.#all.delete(kept)
    this.#all.add(kept)
    this.#weight += weight - kept.weight
    kept.weight = weight
    for (const oldest of this.#all) {
      if (this.#weight <= this.#weightMax) return
      this.remove(oldest)
    }
  }

  remove(kept: Kept): void {
    this.#all.delete(kept)
    kept.owner.delete(kept.id)
    this.#weight -= kept.weight
  }
}
