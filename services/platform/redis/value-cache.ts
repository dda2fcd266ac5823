// Decoded values that stay in memory between the micro-batches of a lane session, least recently used out first.
// One bound for all lanes of a process: how many of them there are changes with every rebalance.

interface Kept {
  readonly owner: object
  readonly value: unknown
  readonly weight: number
}

export class ValueCache {
  readonly #weightMax: number
  /** By key, least recently used first. */
  readonly #kept = new Map<string, Kept>()
  #weight = 0

  constructor(weightMax: number) {
    this.#weightMax = weightMax
  }

  get weight(): number {
    return this.#weight
  }

  get size(): number {
    return this.#kept.size
  }

  /** What `owner` put under the key; undefined when that is gone. */
  get(owner: object, key: string): unknown {
    const kept = this.#kept.get(key)
    return kept?.owner === owner ? kept.value : undefined
  }

  /** Keeps the value as the most recently used, in place of what stood there. */
  put(owner: object, key: string, value: unknown, weight: number): void {
    this.#remove(key)
    this.#kept.set(key, { owner, value, weight })
    this.#weight += weight
    for (const oldest of this.#kept.keys()) {
      if (this.#weight <= this.#weightMax) return
      this.#remove(oldest)
    }
  }

  /** Forgets everything of an owner. */
  forget(owner: object): void {
    for (const [key, kept] of this.#kept) if (kept.owner === owner) this.#remove(key)
  }

  #remove(key: string): void {
    const kept = this.#kept.get(key)
    if (kept === undefined) return
    this.#kept.delete(key)
    this.#weight -= kept.weight
  }
}
