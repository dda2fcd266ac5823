// A binary heap of things to come, earliest first; equal times leave in the order in which they came, so
// the order never depends on the heap's shape. Hot path: parallel arrays, no object per entry.

/** Holds at most what its user puts in; the simulator's use is bounded by its options. */
export class EventQueue<Item> {
  readonly #timesMs: number[] = []
  readonly #orders: number[] = []
  readonly #items: Item[] = []
  #nextOrder = 0

  get size(): number {
    return this.#items.length
  }

  /** Time of the earliest entry, or Infinity when there is none. */
  get nextTimeMs(): number {
    return this.#timesMs[0] ?? Number.POSITIVE_INFINITY
  }

  push(timeMs: number, item: Item): void {
    let index = this.#items.length
    const order = this.#nextOrder
    this.#nextOrder += 1
    this.#timesMs.push(timeMs)
    this.#orders.push(order)
    this.#items.push(item)
    while (index > 0) {
      const parent = (index - 1) >>> 1
      if ((this.#timesMs[parent] ?? 0) <= timeMs) break
      this.#move(parent, index)
      index = parent
    }
    this.#timesMs[index] = timeMs
    this.#orders[index] = order
    this.#items[index] = item
  }

  /** Removes the earliest entry. */
  pop(): Item | undefined {
    const first = this.#items[0]
    const timeMs = this.#timesMs.pop()
    const order = this.#orders.pop()
    const item = this.#items.pop()
    if (timeMs === undefined || order === undefined || item === undefined) return undefined
    const size = this.#items.length
    if (size === 0) return first
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= size) break
      if (child + 1 < size && this.#isBefore(child + 1, child)) child += 1
      const childMs = this.#timesMs[child] ?? 0
      if (timeMs < childMs || (timeMs === childMs && order < (this.#orders[child] ?? 0))) break
      this.#move(child, index)
      index = child
    }
    this.#timesMs[index] = timeMs
    this.#orders[index] = order
    this.#items[index] = item
    return first
  }

  #isBefore(left: number, right: number): boolean {
    const leftMs = this.#timesMs[left] ?? 0
    const rightMs = this.#timesMs[right] ?? 0
    if (leftMs !== rightMs) return leftMs < rightMs
    return (this.#orders[left] ?? 0) < (this.#orders[right] ?? 0)
  }

  #move(from: number, to: number): void {
    this.#timesMs[to] = this.#timesMs[from] ?? 0
    this.#orders[to] = this.#orders[from] ?? 0
    this.#items[to] = this.#items[from] as Item
  }
}
