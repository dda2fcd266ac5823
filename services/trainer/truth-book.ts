// Which transactions are frauds, by the labels of a history: the last word on each one stands. What is no word on a
// transaction of the history is counted by name.

import type { Label } from '../core/transaction.ts'
import type { SkipReason } from './history-facts.ts'

/** What a label must agree with. */
export interface KnownRow {
  readonly row: number
  readonly card: string
  readonly eventTimeMs: number
}

interface LastWord {
  readonly knownAtMs: number
  readonly verdict: Label['verdict']
}

/** Collects labels in the order of the history; a label may come before its transaction. */
export class TruthBook {
  readonly #skip: (reason: SkipReason) => void
  readonly #rows = new Map<string, KnownRow>()
  /** By transaction id: labels that came before it. At most as many as the history has labels. */
  readonly #waiting = new Map<string, Label[]>()
  readonly #lastWords = new Map<number, LastWord>()
  readonly #delaysMs: number[] = []
  #correctedLabels = 0

  constructor(skip: (reason: SkipReason) => void) {
    this.#skip = skip
  }

  /** Labels whose verdict a later one replaced. */
  get correctedLabels(): number {
    return this.#correctedLabels
  }

  /** A row that labels may speak of. */
  addRow(id: string, known: KnownRow): void {
    this.#rows.set(id, known)
    for (const label of this.#waiting.get(id) ?? []) this.#apply(known, label)
    this.#waiting.delete(id)
  }

  /** False when the label holds numbers that are none: nobody may use it. */
  addLabel(label: Label): boolean {
    if (!Number.isSafeInteger(label.knownAtMs) || !Number.isSafeInteger(label.eventTimeMs)) {
      this.#skip('label_not_finite')
      return false
    }
    this.#delaysMs.push(label.knownAtMs - label.eventTimeMs)
    const known = this.#rows.get(label.transactionId)
    if (known !== undefined) this.#apply(known, label)
    else {
      const waiting = this.#waiting.get(label.transactionId)
      if (waiting === undefined) this.#waiting.set(label.transactionId, [label])
      else waiting.push(label)
    }
    return true
  }

  /** Counts labels whose transaction never came, and marks the frauds in `truth`. */
  finish(truth: Uint8Array): Float64Array {
    for (const labels of this.#waiting.values()) {
      for (let count = 0; count < labels.length; count += 1) {
        this.#skip('label_of_unknown_transaction')
      }
    }
    for (const [row, { verdict }] of this.#lastWords) truth[row] = verdict === 'fraud' ? 1 : 0
    return Float64Array.from(this.#delaysMs)
  }

  #apply({ row, card, eventTimeMs }: KnownRow, label: Label): void {
    if (label.card !== card || label.eventTimeMs !== eventTimeMs) {
      this.#skip('label_of_other_card_or_time')
      return
    }
    if (label.verdict === 'unknown') {
      this.#skip('label_without_verdict')
      return
    }
    const before = this.#lastWords.get(row)
    if (before !== undefined && before.verdict !== label.verdict) {
      // Two words of one moment: as for features, the later in the history stands, and the other is left out.
      if (before.knownAtMs === label.knownAtMs) this.#skip('label_clashes')
      else this.#correctedLabels += 1
    }
    this.#lastWords.set(row, label)
  }
}
