// The messages that late transactions of a replayed partition may need, in memory.

import type { PartitionMessages } from '../engine/fold-state.ts'

/** Old messages are removed when this many more have accumulated since the last time. */
const SWEEP_AFTER = 1_000

export class ReplayMessages implements PartitionMessages {
  readonly #byOffset = new Map<number, { readonly timeMs: number; readonly message: Buffer }>()
  #leftLastTime = 0

  get size(): number {
    return this.#byOffset.size
  }

  keep(offset: number, eventTimeMs: number, message: Uint8Array): void {
    this.#byOffset.set(offset, { timeMs: eventTimeMs, message: Buffer.from(message) })
  }

  find(offset: number): Uint8Array | null {
    return this.#byOffset.get(offset)?.message ?? null
  }

  forget(offset: number): void {
    this.#byOffset.delete(offset)
  }

  /** Occasionally removes messages with an earlier event time. */
  forgetBefore(timeMs: number): void {
    if (this.#byOffset.size < 2 * this.#leftLastTime + SWEEP_AFTER) return
    for (const [offset, kept] of this.#byOffset) {
      if (kept.timeMs < timeMs) this.#byOffset.delete(offset)
    }
    this.#leftLastTime = this.#byOffset.size
  }

  keepOnly(isKept: (message: Uint8Array) => boolean): void {
    for (const [offset, { message }] of this.#byOffset) {
      if (!isKept(message)) this.#byOffset.delete(offset)
    }
  }
}
