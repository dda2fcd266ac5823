// Decoded values that stay in memory between the micro-batches of a partition session. One bound in bytes for all partitions of a process:
// how many of them there are changes with every rebalance. What goes first is what was not used since its turn came last
// (the clock of second chance, Corbato 1968): nearly the least recently used, and to put a value again marks it.

/** What a value is kept under. */
export type ValueId = string | number

/** A value in its place. */
export interface KeptValue {
  readonly value: unknown
}

interface Kept extends KeptValue {
  readonly owner: KeptValues
  readonly id: ValueId
  value: unknown
  bytes: number
  /** Put again since its turn came last. */
  isUsed: boolean
  /** Given up: the place is another one by now. */
  isGone: boolean
}

/** The values of one owner. */
export class KeptValues {
  /** True once a value had to make room. */
  isIncomplete = false
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
  put(id: ValueId, value: unknown, bytes: number, place?: KeptValue): void {
    const known = place as Kept | undefined
    let kept = known?.isGone === false ? known : this.#byId.get(id)
    if (kept === undefined) {
      kept = { owner: this, id, value, bytes: 0, isUsed: false, isGone: false }
      this.#byId.set(id, kept)
      this.#order.add(kept)
    } else kept.isUsed = true
    kept.value = value
    this.#order.resize(kept, bytes)
  }

  clear(): void {
    for (const kept of this.#byId.values()) this.#order.remove(kept)
    this.#byId.clear()
  }

  /** Called by the cache: the value has to make room. */
  giveUp(id: ValueId): void {
    this.isIncomplete = true
    this.#byId.delete(id)
  }
}

export class ValueCache {
  readonly #order: UseOrder

  constructor(bytesMax: number) {
    this.#order = new UseOrder(bytesMax)
  }

  get bytes(): number {
    return this.#order.bytes
  }

  /** Room for the values of one more owner. */
  open(): KeptValues {
    return new KeptValues(this.#order)
  }
}

/** All values, in the order in which their turns come. */
class UseOrder {
  readonly #bytesMax: number
  readonly #all = new Set<Kept>()
  /** Whose turn is next. It goes on from where it stood, over and over. */
  #hand = this.#all.values()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  add(kept: Kept): void {
    this.#all.add(kept)
  }

  /** Notes the size of a value, and gives up others, or this one, until there is room for it. */
  resize(kept: Kept, bytes: number): void {
    this.#bytes += bytes - kept.bytes
    kept.bytes = bytes
    while (this.#bytes > this.#bytesMax && this.#all.size > 0) {
      const { done, value: next } = this.#hand.next()
      if (done === true) this.#hand = this.#all.values()
      else if (next.isUsed) next.isUsed = false
      else {
        this.remove(next)
        next.owner.giveUp(next.id)
      }
    }
  }

  remove(kept: Kept): void {
    this.#all.delete(kept)
    kept.isGone = true
    this.#bytes -= kept.bytes
  }
}
