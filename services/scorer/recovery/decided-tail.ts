// Batches that a partition has decided without its state, newest last, until they are applied to the state. Bounded:
// batches that no longer fit are read from the log again.

import type { Frontier } from '../../core/stream/partition-progress.ts'
import type { Foldable } from './state-rebuilder.ts'

export class DecidedTail {
  readonly #messagesMax: number
  #batches: Foldable[] = []
  #messageCount = 0
  #start: Frontier

  /** `start` is where the first batch will begin. */
  constructor(start: Frontier, messagesMax: number) {
    this.#start = start
    this.#messagesMax = messagesMax
  }

  /** The position of the first batch; when there is none, that of the next one. */
  get start(): Frontier {
    return this.#start
  }

  get first(): Foldable | null {
    return this.#batches[0] ?? null
  }

  get messageCount(): number {
    return this.#messageCount
  }

  push(batch: Foldable): void {
    this.#batches.push(batch)
    this.#messageCount += countOf(batch)
    while (this.#messageCount > this.#messagesMax) this.#shift()
  }

  /** Removes the first batch, if it is still this one. */
  done(batch: Foldable): void {
    if (this.#batches[0] === batch) this.#shift()
  }

  #shift(): void {
    const batch = this.#batches.shift()
    if (batch === undefined) return
    this.#messageCount -= countOf(batch)
    const { nextOffset, labelNextOffset } = batch
    this.#start = { nextOffset, labelNextOffset }
  }
}

/** A batch without messages takes room too. */
function countOf({ entries, labels }: Foldable): number {
  return 1 + entries.length + labels.length
}
