// Decisions of a decision batch whose messages have not appeared yet in its replay.

import type { RecordedBatch } from './replay-records.ts'

/** Decisions of a decision batch without a message so far. */
export class RestOfBatch {
  readonly block: RecordedBatch
  readonly #byOffset = new Map<number, number>()
  readonly #byCause = new Map<number, number[]>()

  constructor(block: RecordedBatch) {
    this.block = block
    for (const [index, { offset, revision, causeOffset }] of block.decisions.entries()) {
      if (revision === 0) this.#byOffset.set(offset, index)
      else if (causeOffset !== null) {
        const caused = this.#byCause.get(causeOffset) ?? []
        caused.push(index)
        this.#byCause.set(causeOffset, caused)
      }
    }
  }

  take(offset: number): number | null {
    const index = this.#byOffset.get(offset) ?? null
    if (index !== null) this.#byOffset.delete(offset)
    return index
  }

  takeRevisions(causeOffset: number): readonly number[] {
    const indexes = this.#byCause.get(causeOffset) ?? []
    this.#byCause.delete(causeOffset)
    return indexes
  }

  indexes(): readonly number[] {
    return [...this.#byOffset.values(), ...[...this.#byCause.values()].flat()]
  }
}
