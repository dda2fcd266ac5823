// The messages that a partition keeps apart from its cards: in Redis until nobody can ask for them any more, and those used last
// in memory, like all values. Pages are written whole, with the batch that adds to them.

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
import type { KeptValues } from './value-cache.ts'

/** Pages that one write takes out of Redis, at the most. */
const PAGES_DROPPED_MAX = 256
/** Newest event times of pages that are counted together lie within this, so that a partition has a few runs of pages. */
const RUN_MS = 12 * HOUR_MS

type Run = { -readonly [Field in keyof PageRun]: PageRun[Field] }

/** Where a session begins. */
export interface PagesStart {
  /** The pages in Redis, oldest first. */
  readonly runs: readonly PageRun[]
  /** No message in Redis has a later event time. */
  readonly newestEventMs: number
  /** Pages in memory, by index. */
  readonly kept: KeptValues
}

/** What a write does to the pages in Redis. */
export interface PagesWrite {
  readonly changed: readonly MessagePage[]
  /** Indexes of pages that nobody will ask for. */
  readonly dropped: readonly number[]
}

export class MessagePages implements PartitionMessages {
  readonly #start: PagesStart
  /** The page that the partition will go on with stays in memory, whatever else takes it. */
  #last: MessagePage | null = null
  /** What the batch has at hand, by index; other partitions may take the rest of the memory meanwhile. */
  readonly #held = new Map<number, MessagePage>()
  readonly #changed = new Set<MessagePage>()
  /** What stands in Redis, oldest first. */
  readonly #runs: Run[]
  #current: MessagePage | null = null

  constructor(start: PagesStart) {
    this.#start = start
    this.#runs = start.runs.map((run) => ({ ...run }))
  }

  /** The pages in Redis, oldest first. */
  get runs(): readonly PageRun[] {
    return this.#runs
  }

  /** A batch begins at this offset. The page that has to be read before messages are kept; null where there is none. */
  begin(nextOffset: number): number | null {
    this.#held.clear()
    const isNew = nextOffset % PAGE_OFFSETS === 0
    const index = pageOf(nextOffset)
    return isNew || this.#hold(index) ? null : index
  }

  /** Pages of these messages that have to be read. */
  unreadOf(offsets: readonly number[]): readonly number[] {
    const indexes = new Set(offsets.map(pageOf))
    return [...indexes].filter((index) => !this.#hold(index))
  }

  /**
   * Takes in a page that was read; what is from `nextOffset` on is still to be decided.
   * @throws SluiceError SLUICE_STATE_CORRUPT
   */
  take(index: number, value: Buffer | null, nextOffset: number): void {
    const { newestEventMs } = this.#start
    const page =
      value === null ? new MessagePage(index) : decodePage(index, value, nextOffset, newestEventMs)
    this.#held.set(index, page)
  }

  keep(offset: number, eventTimeMs: number, message: Uint8Array): void {
    const index = pageOf(offset)
    let page = this.#current
    if (page?.index !== index) {
      page = this.#held.get(index) ?? new MessagePage(index)
      this.#held.set(index, page)
      this.#current = page
      this.#changed.add(page)
    }
    page.keep(offset, eventTimeMs, message)
  }

  find(offset: number): Uint8Array | null {
    return this.#held.get(pageOf(offset))?.find(offset) ?? null
  }

  /** What a write does to the pages, where this is the newest event time that is committed. It is taken to be done. */
  takeWrite(newestEventMs: number): PagesWrite {
    const changed = [...this.#changed]
    for (const page of changed) this.#note(page)
    this.#keepInMemory(changed)
    this.#changed.clear()
    this.#current = null
    return { changed, dropped: this.#drop(revisableFromMs(newestEventMs)) }
  }

  /** Gives up what is in memory. */
  close(): void {
    this.#held.clear()
    this.#changed.clear()
    this.#current = null
    this.#last = null
    this.#start.kept.clear()
  }

  /** Has a page at hand for the batch; false when it is not in memory. */
  #hold(index: number): boolean {
    if (this.#held.has(index)) return true
    const isLast = this.#last?.index === index
    const page = isLast ? this.#last : (this.#start.kept.get(index) as MessagePage | undefined)
    if (page === undefined || page === null) return false
    this.#held.set(index, page)
    return true
  }

  #keepInMemory(changed: readonly MessagePage[]): void {
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
