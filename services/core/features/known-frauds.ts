// Which transactions of an entity are known as fraud at a moment: the last word on each counts.

import type { EntityLabel } from './entity-part.ts'

const LOW_BITS = 0x1_0000_0000

export class KnownFrauds {
  /** One label per transaction that is known as fraud. */
  readonly found: EntityLabel[] = []
  readonly #last = new Map<number, EntityLabel>()

  /**
   * Reads labels[from, to), which are in the order of the log, as of `asOfMs`. Words on transactions before `horizonMs`
   * may be forgotten already, and do not count.
   */
  read(
    labels: readonly EntityLabel[],
    from: number,
    to: number,
    asOfMs: number,
    horizonMs: number,
  ): void {
    this.found.length = 0
    let hasClash = false
    for (let index = from; index < to; index += 1) {
      const label = labels[index]
      if (label === undefined || label.knownAtMs > asOfMs) continue
      if (label.timeMs < horizonMs) continue
      // A genuine word is only kept where it follows another, so without one nothing is undone.
      if (!label.isFraud) hasClash = true
      this.found.push(label)
    }
    if (hasClash || this.#hasDoubles()) this.#settle()
  }

  /** Whether the transaction with these low 32 bits of its reference is among them. */
  has(id: number): boolean {
    for (const { idRef } of this.found) if (idRef % LOW_BITS === id) return true
    return false
  }

  #hasDoubles(): boolean {
    if (this.found.length < 2) return false
    this.#last.clear()
    for (const label of this.found) this.#last.set(label.idRef, label)
    return this.#last.size < this.found.length
  }

  #settle(): void {
    this.#last.clear()
    for (const label of this.found) {
      const known = this.#last.get(label.idRef)
      // Labels come by offset, so of two known at the same time the later one stands.
      if (known === undefined || label.knownAtMs >= known.knownAtMs)
        this.#last.set(label.idRef, label)
    }
    this.found.length = 0
    for (const label of this.#last.values()) if (label.isFraud) this.found.push(label)
  }
}
