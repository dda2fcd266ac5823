// Transactions of an entity that are known as fraud at a given time: the last label on each transaction decides.
//
// A label belongs to the transaction with its id and its event time. The id alone is not enough: a label on an earlier
// use of a reused id would count for the later use until it is dropped, and the time of that depends on the progress of
// its partition.

import { lowBitsOf } from '../../id-hash.ts'
import type { EntityLabel } from './entity-part.ts'

export class KnownFrauds {
  /** One label per transaction that is known as fraud. */
  readonly found: EntityLabel[] = []
  readonly #ids = new Set<number>()
  /** By id hash: the last label on each transaction with that hash, rarely more than one. */
  readonly #last = new Map<number, EntityLabel[]>()

  /**
   * Reads labels[from, to), which are in log order, as of `asOfMs`. Labels on transactions before `horizonMs` may
   * already be dropped and do not count.
   */
  read(
    labels: readonly EntityLabel[],
    from: number,
    to: number,
    asOfMs: number,
    horizonMs: number,
  ): void {
    this.found.length = 0
    let hasGenuine = false
    for (let index = from; index < to; index += 1) {
      const label = labels[index]
      if (label === undefined || label.knownAtMs > asOfMs) continue
      if (label.timeMs < horizonMs) continue
      // A genuine label is stored only after a fraud label, so without one nothing is revoked.
      if (!label.isFraud) hasGenuine = true
      this.found.push(label)
    }
    if (hasGenuine || this.#hasDoubles()) this.#keepLastLabels()
  }

  /** Whether the transaction with this time and these low 32 bits of its id hash is known as fraud. */
  has(id: number, timeMs: number): boolean {
    for (const label of this.found) {
      if (label.timeMs === timeMs && lowBitsOf(label.idHash) === id) return true
    }
    return false
  }

  /** Whether an id occurs twice, for one transaction or for two. */
  #hasDoubles(): boolean {
    if (this.found.length < 2) return false
    this.#ids.clear()
    for (const { idHash } of this.found) this.#ids.add(idHash)
    return this.#ids.size < this.found.length
  }

  #keepLastLabels(): void {
    this.#last.clear()
    for (const label of this.found) {
      const labels = this.#last.get(label.idHash)
      if (labels === undefined) {
        this.#last.set(label.idHash, [label])
        continue
      }
      const index = labels.findIndex(({ timeMs }) => timeMs === label.timeMs)
      const known = labels[index]
      if (known === undefined) labels.push(label)
      // Labels come by offset: of two with the same known-at time the later one wins.
      else if (label.knownAtMs >= known.knownAtMs) labels[index] = label
    }
    this.found.length = 0
    for (const labels of this.#last.values()) {
      for (const label of labels) if (label.isFraud) this.found.push(label)
    }
  }
}
