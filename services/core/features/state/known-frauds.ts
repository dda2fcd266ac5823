// Which transactions of an entity are known as fraud at a moment: the last word on each counts.
//
// A word is about the transaction with its id and its event time. By the id alone a word on an earlier use of it would
// count for a later one until it is forgotten, and when that is hangs on how far its partition has come.

import { lowBitsOf } from '../../id-hash.ts'
import type { EntityLabel } from './entity-part.ts'

export class KnownFrauds {
  /** One label per transaction that is known as fraud. */
  readonly found: EntityLabel[] = []
  readonly #ids = new Set<number>()
  /** By reference of the id: the last word on each transaction that has it, seldom more than one. */
  readonly #last = new Map<number, EntityLabel[]>()

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

  /** Whether the transaction of this time with these low 32 bits of its reference is among them. */
  has(id: number, timeMs: number): boolean {
    for (const label of this.found) {
      if (label.timeMs === timeMs && lowBitsOf(label.idHash) === id) return true
    }
    return false
  }

  /** Whether an id is there twice, be it of one transaction or of two. */
  #hasDoubles(): boolean {
    if (this.found.length < 2) return false
    this.#ids.clear()
    for (const { idHash } of this.found) this.#ids.add(idHash)
    return this.#ids.size < this.found.length
  }

  #settle(): void {
    this.#last.clear()
    for (const label of this.found) {
      const words = this.#last.get(label.idHash)
      if (words === undefined) {
        this.#last.set(label.idHash, [label])
        continue
      }
      const place = words.findIndex(({ timeMs }) => timeMs === label.timeMs)
      const known = words[place]
      if (known === undefined) words.push(label)
      // Labels come by offset, so of two known at the same time the later one stands.
      else if (label.knownAtMs >= known.knownAtMs) words[place] = label
    }
    this.found.length = 0
    for (const words of this.#last.values()) {
      for (const label of words) if (label.isFraud) this.found.push(label)
    }
  }
}
