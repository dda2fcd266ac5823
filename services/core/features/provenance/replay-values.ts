// Values of a replay by key: created on first use, compacted when they have grown, and removed when no event can need
// them any more.

import { DAY_MS } from '../catalogue/time.ts'

/** A value is compacted once it holds this many events, then each time it has doubled. */
const COMPACT_SIZE_MIN = 64

interface Kept<Value> {
  readonly value: Value
  newestMs: number
  compactAt: number
}

export class ReplayValues<Key, Value> {
  readonly #kept = new Map<Key, Kept<Value>>()
  readonly #make: () => Value
  #sweptMs = -Infinity

  constructor(make: () => Value) {
    this.#make = make
  }

  get size(): number {
    return this.#kept.size
  }

  peek(key: Key): Value | null {
    return this.#kept.get(key)?.value ?? null
  }

  get(key: Key): Value {
    let kept = this.#kept.get(key)
    if (kept === undefined) {
      kept = { value: this.#make(), newestMs: -Infinity, compactAt: COMPACT_SIZE_MIN }
      this.#kept.set(key, kept)
    }
    return kept.value
  }

  /** Records an addition, and compacts when that has become worthwhile. */
  touch(
    key: Key,
    timeMs: number,
    sizeOf: (value: Value) => number,
    compact: (value: Value) => void,
  ): void {
    const kept = this.#kept.get(key)
    if (kept === undefined) return
    kept.newestMs = Math.max(kept.newestMs, timeMs)
    if (sizeOf(kept.value) < kept.compactAt) return
    compact(kept.value)
    kept.compactAt = Math.max(COMPACT_SIZE_MIN, 2 * sizeOf(kept.value))
  }

  /** Goes through all values, so it runs at most once a day of event time. */
  forgetBefore(timeMs: number): void {
    if (!(timeMs >= this.#sweptMs + DAY_MS)) return
    this.#sweptMs = timeMs
    for (const [key, { newestMs }] of this.#kept) if (newestMs < timeMs) this.#kept.delete(key)
  }

  keepOnly(isKept: (key: Key) => boolean): void {
    for (const key of this.#kept.keys()) if (!isKept(key)) this.#kept.delete(key)
  }
}
