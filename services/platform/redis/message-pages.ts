// Messages that a partition stores separately from its cards. They stay in Redis as long as they may be needed; the
// most recently used pages are cached in memory, like all values. Pages are written whole, with the batch that adds to
// them.

import type { PartitionMessages } from '../../core/features/engine/fold-state.ts'
import { revisableFromMs } from '../../core/features/engine/late-revisions.ts'
import {
  decodePage,
  MessagePage,
  PAGE_OFFSETS,
  pageOf,
} from '../../core/features/state/message-page.ts'
import { HOUR_MS } from '../../core/features/catalogue/time.ts'
import { PAGE_RUNS_MAX, type PageRun } from '../../core/stream/partition-progress.ts'
import type { CachedValues } from './value-cache.ts'

/** Maximum pages that one write removes from Redis. */
const PAGES_DROPPED_MAX = 256
/** Newest event times of the pages of one run are within this range, so that a partition has few runs. */
const RUN_MS = 12 * HOUR_MS

type Run = { -readonly [Field in keyof PageRun]: PageRun[Field] }

/** Initial state of a session. */
export interface PagesStart {
  /** Runs of pages in Redis, oldest first. */
  readonly runs: readonly PageRun[]
  /** Upper bound of the event times of messages in Redis. */
  readonly newestEventMs: number
  /** Cached pages, by index. */
  readonly kept: CachedValues
}

/** Changes of a write to the pages in Redis. */
export interface PagesWrite {
  readonly changed: readonly MessagePage[]
  /** Indexes of pages that are no longer needed. */
  readonly dropped: readonly number[]
}

export class MessagePages implements PartitionMessages {
  readonly #start: PagesStart
  /** The newest page, which the partition continues, is never evicted. */
  #last: MessagePage | null = null
  /** Pinned pages of the batch, by index; other partitions may evict the rest in the meantime. */
  readonly #pinned = new Map<number, MessagePage>()
  readonly #changed = new Set<MessagePage>()
  /** Runs of pages in Redis, oldest first. */
  readonly #runs: Run[]
  #current: MessagePage | null = null

  constructor(start: PagesStart) {
    this.#start = start
    this.#runs = start.runs.map((run) => ({ ...run }))
  }

  /** Runs of pages in Redis, oldest first. */
  get runs(): readonly PageRun[] {
    return this.#runs
  }

  /**
   * Begins a batch at this offset. Returns the page that must be read before messages are stored; null if there is
   * none.
   */
  begin(nextOffset: number): number | null {
    this.#pinned.clear()
    const isNew = nextOffset % PAGE_OFFSETS === 0
    const index = pageOf(nextOffset)
    return isNew || this.#pin(index) ? null : index
  }

  /** Pages of these messages that must be read. */
  unreadOf(offsets: readonly number[]): readonly number[] {
    const indexes = new Set(offsets.map(pageOf))
    return [...indexes].filter((index) => !this.#pin(index))
  }

  /**
   * Accepts a page that was read, without the messages from `nextOffset` on, which are not decided yet.
   * @throws SluiceError SLUICE_STATE_CORRUPT
   */
  take(index: number, value: Buffer | null, nextOffset: number): void {
    const { newestEventMs } = this.#start
    const page =
      value === null ? new MessagePage(index) : decodePage(index, value, nextOffset, newestEventMs)
    this.#pinned.set(index, page)
  }

  keep(offset: number, eventTimeMs: number, message: Uint8Array): void {
    const index = pageOf(offset)
    let page = this.#current
    if (page?.index !== index) {
      page = this.#pinned.get(index) ?? new MessagePage(index)
      this.#pinned.set(index, page)
      this.#current = page
      this.#changed.add(page)
    }
    page.keep(offset, eventTimeMs, message)
  }

  find(offset: number): Uint8Array | null {
    return this.#pinned.get(pageOf(offset))?.find(offset) ?? null
  }

  /** Returns the changes of a write, given the newest committed event time. They then count as done. */
  takeWrite(newestEventMs: number): PagesWrite {
    const changed = [...this.#changed]
    for (const page of changed) this.#note(page)
    this.#cacheChanged(changed)
    this.#changed.clear()
    this.#current = null
    return { changed, dropped: this.#drop(revisableFromMs(newestEventMs)) }
  }

  /** Discards everything in memory. */
  close(): void {
    this.#pinned.clear()
    this.#changed.clear()
    this.#current = null
    this.#last = null
    this.#start.kept.clear()
  }

  /** Pins a page for the batch; false if it is not in memory. */
  #pin(index: number): boolean {
    if (this.#pinned.has(index)) return true
    const isLast = this.#last?.index === index
    const page = isLast ? this.#last : (this.#start.kept.get(index) as MessagePage | undefined)
    if (page === undefined || page === null) return false
    this.#pinned.set(index, page)
    return true
  }

  #cacheChanged(changed: readonly MessagePage[]): void {
    const before = this.#last
    this.#last = changed.at(-1) ?? before
    for (const page of new Set([before, ...changed])) {
      if (page === null || page === this.#last) continue
      this.#start.kept.put(page.index, page, page.memoryBytes)
    }
  }

  #drop(horizonMs: number): readonly number[] {
    const dropped: number[] = []
    let run = this.#runs[0]
    while (run !== undefined && run.newestMs < horizonMs && dropped.length < PAGES_DROPPED_MAX) {
      dropped.push(run.from)
      run.from += 1
      if (run.from < run.to) continue
      this.#runs.shift()
      run = this.#runs[0]
    }
    return dropped
  }

  #note({ index, newestMs }: MessagePage): void {
    const last = this.#runs.at(-1)
    const isLater = last !== undefined && index >= last.to && newestMs > last.beginMs + RUN_MS
    if (last === undefined || (isLater && this.#runs.length < PAGE_RUNS_MAX)) {
      this.#runs.push({ from: index, to: index + 1, beginMs: newestMs, newestMs })
      return
    }
    last.to = Math.max(last.to, index + 1)
    last.newestMs = Math.max(last.newestMs, newestMs)
  }
}
