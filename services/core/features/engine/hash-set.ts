// A set of 32-bit hashes with a constant-time clear. A Set costs five times as much when it is filled and cleared for
// every transaction. Open addressing; a slot is occupied if it has the current generation.

const SLOTS_INITIAL = 512

export class HashSet {
  #hashes = new Uint32Array(SLOTS_INITIAL)
  #generations = new Uint32Array(SLOTS_INITIAL)
  #generation = 1
  #size = 0

  get size(): number {
    return this.#size
  }

  clear(): void {
    if (this.#size === 0) return
    this.#size = 0
    this.#generation += 1
  }

  add(hash: number): void {
    const hashes = this.#hashes
    const generations = this.#generations
    const last = hashes.length - 1
    let slot = hash & last
    while (generations[slot] === this.#generation) {
      if (hashes[slot] === hash) return
      slot = (slot + 1) & last
    }
    hashes[slot] = hash
    generations[slot] = this.#generation
    this.#size += 1
    if (2 * this.#size > hashes.length) this.#grow()
  }

  /** All hashes, in no particular order. */
  toArray(): number[] {
    const all: number[] = []
    for (let slot = 0; slot < this.#hashes.length; slot += 1) {
      if (this.#generations[slot] === this.#generation) all.push(this.#hashes[slot] ?? 0)
    }
    return all
  }

  #grow(): void {
    const all = this.toArray()
    this.#hashes = new Uint32Array(2 * this.#hashes.length)
    this.#generations = new Uint32Array(this.#hashes.length)
    this.#generation = 1
    this.#size = 0
    for (const hash of all) this.add(hash)
  }
}
