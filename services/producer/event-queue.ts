// A priority queue by time (binary heap). Items with equal times leave in the order of insertion, so the order never
// depends on the shape of the heap. Hot path: parallel arrays, no object per entry.

import assert from 'node:assert/strict'

/** Unbounded by itself; its users limit the number of items. */
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
      if (at(this.#timesMs, parent) <= timeMs) break
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
      const childMs = at(this.#timesMs, child)
      if (timeMs < childMs || (timeMs === childMs && order < at(this.#orders, child))) break
      this.#move(child, index)
      index = child
    }
    this.#timesMs[index] = timeMs
    this.#orders[index] = order
    this.#items[index] = item
    return first
  }

  #isBefore(left: number, right: number): boolean {
    const leftMs = at(this.#timesMs, left)
    const rightMs = at(this.#timesMs, right)
    if (leftMs !== rightMs) return leftMs < rightMs
    return at(this.#orders, left) < at(this.#orders, right)
  }

  #move(from: number, to: number): void {
    this.#timesMs[to] = at(this.#timesMs, from)
    this.#orders[to] = at(this.#orders, from)
    this.#items[to] = this.#items[from] as Item
  }
}

function at(numbers: readonly number[], index: number): number {
  const number = numbers[index]
  assert(number !== undefined, 'The index is inside the heap.')
  return number
}
