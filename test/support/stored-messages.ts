// Messages stored apart from the cards, as a partition session stores them: pages in a map instead of Redis, and a cache
// in memory until it is discarded.

import assert from 'node:assert/strict'
import type { CardLookup } from '../../services/core/features/engine/fold-state.ts'
import type { PageRun } from '../../services/core/stream/partition-progress.ts'
import { MessagePages } from '../../services/platform/redis/message-pages.ts'
import { ValueCache } from '../../services/platform/redis/value-cache.ts'
import { readByLate } from '../../services/scorer/batch/read-set.ts'
import type { Entry } from './fold-entries.ts'

/** A page or two, so that others must be read. */
const KEPT_WEIGHT_MAX = 300

/** Messages of a partition that survive a crash. */
export interface PartitionPages {
  readonly pages: Map<number, Buffer>
  runs: readonly PageRun[]
}

/** Position of a partition's state. */
export interface Status {
  readonly nextOffset: number
  readonly newestEventMs: number
}

export class StoredMessages {
  readonly #stored: PartitionPages
  #open: MessagePages | null = null

  constructor(stored: PartitionPages) {
    this.#stored = stored
  }

  /** Pages for a batch that begins at this offset, with the state at `status`. */
  begin(nextOffset: number, status: Status): MessagePages {
    this.#open ??= new MessagePages({
      newestEventMs: status.newestEventMs,
      runs: this.#stored.runs,
      kept: new ValueCache(KEPT_WEIGHT_MAX).open(),
    })
    const messages = this.#open
    const unread = messages.begin(nextOffset)
    if (unread !== null) this.#read(messages, [unread], nextOffset)
    return messages
  }

  /** Reads the messages that late transactions need. Every expected message exists. */
  readLate(
    messages: MessagePages,
    entries: readonly Entry[],
    state: CardLookup,
    { nextOffset, newestEventMs }: Status,
  ): void {
    const taken = entries.map((entry) =>
      entry.kind === 'transaction' ? { ...entry, timestampMs: 0 } : entry,
    )
    const late = readByLate({ entries: taken, labels: [] }, state, newestEventMs, {
      valuesMax: Infinity,
      withEntities: true,
    })
    if (late === null) return
    const offsets = late.messages.map(({ offset }) => offset)
    this.#read(messages, messages.unreadOf(offsets), nextOffset)
    for (const offset of offsets) {
      assert.ok(messages.find(offset) !== null, `the message at ${offset} is gone`)
    }
  }

  /** Atomic, like the script of a write. */
  write(messages: MessagePages, committedMs: number): void {
    const { changed, dropped } = messages.takeWrite(committedMs)
    for (const page of changed) {
      this.#stored.pages.set(page.index, Buffer.from(page.seal()))
    }
    for (const index of dropped) this.#stored.pages.delete(index)
    this.#stored.runs = messages.runs.map((run) => ({ ...run }))
  }

  /** Discards the messages in memory. */
  close(): void {
    this.#open = null
  }

  #read(messages: MessagePages, indexes: Iterable<number>, nextOffset: number): void {
    for (const index of indexes) {
      messages.take(index, this.#stored.pages.get(index) ?? null, nextOffset)
    }
  }
}
