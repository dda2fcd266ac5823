// Values of a replay by key: created on first use, compacted when they have grown, and removed when no event can need
// them any more.

import { DAY_MS } from '../catalogue/time.ts'

/** A value is compacted once it holds this many events, then each time it has doubled. */
const COMPACT_SIZE_MIN = 64

interface Entry<Value> {
  readonly value: Value
  newestMs: number
  compactAt: number
}

export class ReplayValues<Key, Value> {
  readonly #entries = new Map<Key, Entry<Value>>()
  readonly #make: () => Value
  #sweptMs = -Infinity

  constructor(make: () => Value) {
    this.#make = make
  }

  get size(): number {
    return this.#entries.size
  }

  peek(key: Key): Value | null {
    return this.#entries.get(key)?.value ?? null
  }

  get(key: Key): Value {
    let entry = this.#entries.get(key)
    if (entry === undefined) {
      entry = { value: this.#make(), newestMs: -Infinity, compactAt: COMPACT_SIZE_MIN }
      this.#entries.set(key, entry)
    }
    return entry.value
  }

  /** Records an addition, and compacts when that has become worthwhile. */
  touch(
    key: Key,
    timeMs: number,
    sizeOf: (value: Value) => number,
    compact: (value: Value) => void,
  ): void {
    const entry = this.#entries.get(key)
    if (entry === undefined) return
    entry.newestMs = Math.max(entry.newestMs, timeMs)
    if (sizeOf(entry.value) < entry.compactAt) return
    compact(entry.value)
    entry.compactAt = Math.max(COMPACT_SIZE_MIN, 2 * sizeOf(entry.value))
  }

  /** Goes through all values, so it runs at most once a day of event time. */
  forgetBefore(timeMs: number): void {
    if (!(timeMs >= this.#sweptMs + DAY_MS)) return
    this.#sweptMs = timeMs
    for (const [key, { newestMs }] of this.#entries)
      if (newestMs < timeMs) this.#entries.delete(key)
  }

  keepOnly(isKept: (key: Key) => boolean): void {
    for (const key of this.#entries.keys()) if (!isKept(key)) this.#entries.delete(key)
  }
}
