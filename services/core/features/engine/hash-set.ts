// A set of 32-bit hashes that is emptied in no time: a Set costs five times as much where it is filled and emptied for
// every transaction. Open addressing; an entry belongs to the set when it carries the present mark.

const SLOTS_AT_FIRST = 512

export class HashSet {
  #hashes = new Uint32Array(SLOTS_AT_FIRST)
  #marks = new Uint32Array(SLOTS_AT_FIRST)
  #mark = 1
  #size = 0

  get size(): number {
    return this.#size
  }

  clear(): void {
    if (this.#size === 0) return
    this.#size = 0
    this.#mark += 1
  }

  add(hash: number): void {
    const hashes = this.#hashes
    const marks = this.#marks
    const last = hashes.length - 1
    let slot = hash & last
    while (marks[slot] === this.#mark) {
      if (hashes[slot] === hash) return
      slot = (slot + 1) & last
    }
    hashes[slot] = hash
    marks[slot] = this.#mark
    this.#size += 1
    if (2 * this.#size > hashes.length) this.#grow()
  }

  /** All of them, in no particular order. */
  toArray(): number[] {
    const all: number[] = []
    for (let slot = 0; slot < this.#hashes.length; slot += 1) {
      if (this.#marks[slot] === this.#mark) all.push(this.#hashes[slot] ?? 0)
    }
    return all
  }

  #grow(): void {
    const all = this.toArray()
    this.#hashes = new Uint32Array(2 * this.#hashes.length)
    this.#marks = new Uint32Array(this.#hashes.length)
    this.#mark = 1
    this.#size = 0
    for (const hash of all) this.add(hash)
  }
}
