// Features and state codec without I/O: what a scorer does with a batch between its read and its write, with maps for
// Redis. One thread.

import { ByteWriter } from '../../core/features/bytes.ts'
import { CardHistory } from '../../core/features/card-history.ts'
import { decodeCard } from '../../core/features/card-decoding.ts'
import {
  encodeCard,
  hasMessagesApart,
  writeCard,
  writeCardAddition,
  type CardLayout,
} from '../../core/features/card-layouts.ts'
import {
  decodeEntityPart,
  entityLayoutBeside,
  writeEntityAddition,
  writeEntityPart,
} from '../../core/features/entity-layouts.ts'
import type { Cut, EntityPart } from '../../core/features/entity-part.ts'
import { entityKeyOf, type EntityKind } from '../../core/features/feature-definition.ts'
import type { FeaturePlan } from '../../core/features/feature-plan.ts'
import type { LaneState, ReadablePart } from '../../core/features/fold-state.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import { MessagePages } from '../../platform/redis/message-pages.ts'
import { ValueCache } from '../../platform/redis/value-cache.ts'
import { endOf, LaneRows, StopWatch, type Meter } from './feature-fold.ts'
import { decodeBatch, type LoadBatch } from './feature-load.ts'
import { median } from './statistics.ts'

/** Some pages of messages, which nobody reads again here. */
const PAGES_WEIGHT_MAX = 10_000
const NO_PARTS: readonly ReadablePart[] = []
/** All on one day. */
const DAY = 0
const START: Cut = { nextOffset: 0, labelNextOffset: 0 }

/** `each_batch` decodes every value that a batch needs; `kept` keeps all of them decoded from then on. */
export const DECODINGS = ['each_batch', 'kept'] as const
export type Decoding = (typeof DECODINGS)[number]

export interface FoldCase {
  readonly plan: FeaturePlan
  readonly decoding: Decoding
  readonly layout: CardLayout
  readonly codecs: Codecs
  readonly batches: readonly LoadBatch[]
  /** Batches before this one make the state and warm the code up; they are not measured. */
  readonly measureFrom: number
}

export interface FoldOutcome extends Meter {
  /** Transactions measured. */
  readonly events: number
  readonly checksum: string
  /** Events that the cards hold singly at the end, median and most, and the median of stored bytes. */
  readonly heldMedian: number
  readonly heldMax: number
  readonly bytesMedian: number
}

/** Folds all batches, compacting and encoding every value that each has changed. */
export function foldInMemory({
  plan,
  decoding,
  layout,
  codecs,
  batches,
  measureFrom,
}: FoldCase): FoldOutcome {
  const state = new MemoryState(decoding, layout)
  const rows = new LaneRows(plan)
  const watch = new StopWatch()
  let events = 0
  let committed = START
  for (const [index, batch] of batches.entries()) {
    if (rows.isFullFor(batch.records.length)) rows.take()
    const decoded = decodeBatch(batch, codecs)
    if (index >= measureFrom) watch.start()
    rows.add(decoded, state)
    state.write(committed, rows.fold.position.newestEventMs)
    if (index >= measureFrom) {
      watch.stop()
      events += batch.records.length
    }
    committed = endOf(batch)
  }
  rows.take()
  return { ...watch.total, events, checksum: rows.checksum, ...state.sizes() }
}

class MemoryState implements LaneState {
  readonly entityHorizonMs = -Infinity
  readonly messages: MessagePages
  readonly #isKept: boolean
  readonly #layout: CardLayout
  readonly #writer = new ByteWriter()
  readonly #cardBytes = new Map<string, Buffer>()
  readonly #partBytes = new Map<number, Buffer>()
  readonly #keptCards = new Map<string, CardHistory>()
  readonly #keptParts = new Map<number, EntityPart>()
  readonly #cards = new Map<string, CardHistory>()
  readonly #parts = new Map<number, EntityPart>()

  constructor(decoding: Decoding, layout: CardLayout) {
    this.#isKept = decoding === 'kept'
    this.#layout = layout
    const isKeeping = hasMessagesApart(layout)
    const kept = new ValueCache(PAGES_WEIGHT_MAX).open()
    this.messages = new MessagePages({ isKeeping, runs: [], newestEventMs: -1, kept })
  }

  card(card: string): CardHistory {
    let history = this.#cards.get(card)
    if (history !== undefined) return history
    history = this.#keptCards.get(card) ?? decodeCard(this.#cardBytes.get(card) ?? null)
    this.#cards.set(card, history)
    if (this.#isKept) this.#keptCards.set(card, history)
    return history
  }

  ownEntity(kind: EntityKind, ref: number): EntityPart {
    const key = entityKeyOf(kind, ref)
    let part = this.#parts.get(key)
    if (part !== undefined) return part
    part = this.#keptParts.get(key) ?? decodeEntityPart(this.#partBytes.get(key) ?? null)
    this.#parts.set(key, part)
    if (this.#isKept) this.#keptParts.set(key, part)
    return part
  }

  otherEntities(): readonly ReadablePart[] {
    return NO_PARTS
  }

  /** Encodes what the batch has changed: what is new of it, or the whole once what is committed was made small. */
  write(committed: Cut, newestEventMs: number): void {
    for (const [card, history] of this.#cards) this.#writeCard(card, history, committed)
    for (const [key, part] of this.#parts) this.#writePart(key, part, committed)
    this.#writePages(newestEventMs)
    this.#cards.clear()
    this.#parts.clear()
    // As a lane session does with what it sends; nobody reads values that are kept decoded.
    if (!this.#isKept) return
    this.#writer.takeKept()
    this.#writer.recycle()
  }

  #writeCard(card: string, history: CardHistory, committed: Cut): void {
    const writer = this.#writer
    if (writeCardAddition(history, this.#layout, writer, DAY) === null) {
      history.compact(committed.nextOffset)
      writeCard(history, this.#layout, writer, DAY)
    }
    if (this.#isKept) writer.keep()
    else this.#cardBytes.set(card, writer.take())
  }

  #writePart(key: number, part: EntityPart, committed: Cut): void {
    const layout = entityLayoutBeside(this.#layout)
    const writer = this.#writer
    if (writeEntityAddition(part, layout, writer, DAY) === null) {
      part.compact(committed)
      writeEntityPart(part, layout, writer, DAY)
    }
    if (this.#isKept) writer.keep()
    else this.#partBytes.set(key, writer.take())
  }

  /** Nobody reads messages again where no transaction is late. */
  #writePages(newestEventMs: number): void {
    const writer = this.#writer
    for (const page of this.messages.takeWrite(newestEventMs).changed) {
      page.write(writer)
      if (this.#isKept) writer.keep()
      else writer.take()
    }
  }

  sizes(): Pick<FoldOutcome, 'heldMedian' | 'heldMax' | 'bytesMedian'> {
    for (const [card, history] of this.#keptCards) {
      this.#cardBytes.set(card, encodeCard(history, this.#layout, this.#writer))
    }
    const held = [...this.#cardBytes.values()].map((bytes) => decodeCard(bytes).count)
    return {
      heldMedian: median(held),
      heldMax: held.reduce((most, each) => Math.max(most, each), 0),
      bytesMedian: median([...this.#cardBytes.values()].map(({ length }) => length)),
    }
  }
}
