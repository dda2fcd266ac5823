// Decoded values that stay in memory between the micro-batches of a partition session. One limit in bytes applies to
// all partitions of a process, since their number changes with every rebalance. Eviction is CLOCK (Corbato 1968), an
// approximation of least recently used: an entry that was not put again since the hand last passed goes first.

/** Key of a cached value. */
export type ValueId = string | number

/** Entry of a value in the cache. */
export interface CachedValue {
  readonly value: unknown
}

interface Entry extends CachedValue {
  readonly owner: CachedValues
  readonly id: ValueId
  value: unknown
  bytes: number
  /** Put again since the hand last passed. */
  isUsed: boolean
  /** No longer in the cache. */
  isEvicted: boolean
}

/** The values of one owner. */
export class CachedValues {
  /** True once a value was evicted. */
  isIncomplete = false
  readonly #clock: ClockOrder
  readonly #byId = new Map<ValueId, Entry>()

  /** Created by `ValueCache.open`. */
  constructor(clock: ClockOrder) {
    this.#clock = clock
  }

  get size(): number {
    return this.#byId.size
  }

  /** Value under the id; undefined if there is none. Hot path. */
  get(id: ValueId): unknown {
    return this.#byId.get(id)?.value
  }

  /** Entry of the id, which can be passed to `put`; undefined if there is none. Hot path. */
  find(id: ValueId): CachedValue | undefined {
    return this.#byId.get(id)
  }

  /** Stores the value, replacing the previous one. `knownEntry` is the entry of the id, if the caller has it. Hot path. */
  put(id: ValueId, value: unknown, bytes: number, knownEntry?: CachedValue): void {
    const known = knownEntry as Entry | undefined
    let entry = known?.isEvicted === false ? known : this.#byId.get(id)
    if (entry === undefined) {
      entry = { owner: this, id, value, bytes: 0, isUsed: false, isEvicted: false }
      this.#byId.set(id, entry)
      this.#clock.add(entry)
    } else entry.isUsed = true
    entry.value = value
    this.#clock.resize(entry, bytes)
  }

  clear(): void {
    for (const entry of this.#byId.values()) this.#clock.remove(entry)
    this.#byId.clear()
  }

  /** Called by the cache when it evicts the value. */
  evicted(id: ValueId): void {
    this.isIncomplete = true
    this.#byId.delete(id)
  }
}

export class ValueCache {
  readonly #clock: ClockOrder

  constructor(bytesMax: number) {
    this.#clock = new ClockOrder(bytesMax)
  }

  get bytes(): number {
    return this.#clock.bytes
  }

  /** Opens a view for the values of one more owner. */
  open(): CachedValues {
    return new CachedValues(this.#clock)
  }
}

/** All entries in the order of the clock. */
class ClockOrder {
  readonly #bytesMax: number
  readonly #all = new Set<Entry>()
  /** The hand: the next entry to examine. It goes round the clock, and resumes where it stopped. */
  #hand = this.#all.values()
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  get bytes(): number {
    return this.#bytes
  }

  add(entry: Entry): void {
    this.#all.add(entry)
  }

  /** Sets the size of a value, then evicts others, or this one, until all fit. */
  resize(entry: Entry, bytes: number): void {
    this.#bytes += bytes - entry.bytes
    entry.bytes = bytes
    while (this.#bytes > this.#bytesMax && this.#all.size > 0) {
      const { done, value: next } = this.#hand.next()
      if (done === true) this.#hand = this.#all.values()
      else if (next.isUsed) next.isUsed = false
      else {
        this.remove(next)
        next.owner.evicted(next.id)
      }
    }
  }

  remove(entry: Entry): void {
    this.#all.delete(entry)
    entry.isEvicted = true
    this.#bytes -= entry.bytes
  }
}
