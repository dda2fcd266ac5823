// Features and state codec without I/O: what a scorer does with a batch between its read and its write, with maps for
// Redis. One thread.

import { forEachNear } from '../../services/core/features/state/prefetch.ts'
import { ByteWriter } from '../../services/core/features/state/bytes.ts'
import { CardHistory } from '../../services/core/features/state/card-history.ts'
import {
  decodeCard,
  encodeCard,
  writeCard,
  writeCardAddition,
} from '../../services/core/features/state/card-codec.ts'
import {
  decodeEntityPart,
  writeEntityAddition,
  writeEntityPart,
} from '../../services/core/features/state/entity-codec.ts'
import type { Cut, EntityPart } from '../../services/core/features/state/entity-part.ts'
import {
  entityKeyOf,
  type EntityKind,
} from '../../services/core/features/catalogue/feature-definition.ts'
import type { FeaturePlan } from '../../services/core/features/engine/feature-plan.ts'
import type {
  PartitionState,
  ReadablePart,
} from '../../services/core/features/engine/fold-state.ts'
import type { Codecs } from '../../services/core/wire/codecs.ts'
import { MessagePages } from '../../services/platform/redis/message-pages.ts'
import { ValueCache } from '../../services/platform/redis/value-cache.ts'
import { endOf, PartitionRows, StopWatch, type Meter } from './feature-fold.ts'
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
  codecs,
  batches,
  measureFrom,
}: FoldCase): FoldOutcome {
  const state = new MemoryState(decoding)
  const rows = new PartitionRows(plan)
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

/** Values by id, in memory or as bytes, and which of them the batch has asked for. */
class Values<Id, Value extends CardHistory | EntityPart> {
  readonly #isKept: boolean
  readonly #decode: (bytes: Buffer | null) => Value
  readonly #indexes = new Map<Id, number>()
  /** Present while the batch lasts, or for good where they are kept. */
  readonly #values: (Value | null)[] = []
  readonly #bytes: (Buffer | null)[] = []
  readonly #isAsked: boolean[] = []
  readonly #asked: number[] = []

  constructor(isKept: boolean, decode: (bytes: Buffer | null) => Value) {
    this.#isKept = isKept
    this.#decode = decode
  }

  /** Hot path. */
  get(id: Id): Value {
    const index = this.#indexes.get(id) ?? this.#add(id)
    let value = this.#values[index] ?? null
    if (value === null) {
      value = this.#decode(this.#bytes[index] ?? null)
      this.#values[index] = value
    }
    if (this.#isAsked[index] === true) return value
    this.#isAsked[index] = true
    this.#asked.push(index)
    return value
  }

  /** Ends the batch: `encode` makes what is to be written the present value of the writer. */
  write(writer: ByteWriter, encode: (value: Value) => void): void {
    const valueAt = (index: number): Value | undefined => this.#values[index] ?? undefined
    forEachNear(this.#asked, valueAt, (value, index) => {
      encode(value)
      if (this.#isKept) writer.keep()
      else {
        this.#bytes[index] = writer.take()
        this.#values[index] = null
      }
      this.#isAsked[index] = false
    })
    this.#asked.length = 0
  }

  /** All values, as they are stored. */
  stored(encode: (value: Value) => Buffer): readonly Buffer[] {
    return this.#bytes.map((bytes, index) => {
      const value = this.#values[index] ?? null
      return value === null ? (bytes ?? Buffer.alloc(0)) : encode(value)
    })
  }

  #add(id: Id): number {
    const index = this.#values.length
    this.#indexes.set(id, index)
    this.#values.push(null)
    this.#bytes.push(null)
    this.#isAsked.push(false)
    return index
  }
}

class MemoryState implements PartitionState {
  readonly entityHorizonMs = -Infinity
  readonly messages: MessagePages
  readonly #isKept: boolean
  readonly #writer = new ByteWriter()
  readonly #cards: Values<string, CardHistory>
  readonly #parts: Values<number, EntityPart>

  constructor(decoding: Decoding) {
    this.#isKept = decoding === 'kept'
    this.#cards = new Values(this.#isKept, (bytes) => decodeCard(bytes))
    this.#parts = new Values(this.#isKept, (bytes) => decodeEntityPart(bytes))
    const kept = new ValueCache(PAGES_WEIGHT_MAX).open()
    this.messages = new MessagePages({ runs: [], newestEventMs: -1, kept })
  }

  card(card: string): CardHistory {
    return this.#cards.get(card)
  }

  ownEntity(kind: EntityKind, ref: number): EntityPart {
    return this.#parts.get(entityKeyOf(kind, ref))
  }

  otherEntities(): readonly ReadablePart[] {
    return NO_PARTS
  }

  /** Encodes what the batch has changed: what is new of it, or the whole once what is committed was made small. */
  write(committed: Cut, newestEventMs: number): void {
    const writer = this.#writer
    this.#cards.write(writer, (history) => {
      if (writeCardAddition(history, writer, DAY) !== null) return
      history.compact(committed.nextOffset)
      writeCard(history, writer, DAY)
    })
    this.#parts.write(writer, (part) => {
      if (writeEntityAddition(part, writer, DAY) !== null) return
      part.compact(committed)
      writeEntityPart(part, writer, DAY)
    })
    this.#writePages(newestEventMs)
    // As a partition session does with what it sends; nobody reads values that are kept decoded.
    writer.takeKept()
    if (this.#isKept) writer.recycle()
  }

  /** Nobody reads messages again where no transaction is late. */
  #writePages(newestEventMs: number): void {
    for (const page of this.messages.takeWrite(newestEventMs).changed) {
      this.#writer.keepElsewhere(page.seal())
    }
  }

  sizes(): Pick<FoldOutcome, 'heldMedian' | 'heldMax' | 'bytesMedian'> {
    const bytes = this.#cards.stored((history) => encodeCard(history, this.#writer))
    const held = bytes.map((each) => decodeCard(each).count)
    return {
      heldMedian: median(held),
      heldMax: held.reduce((most, each) => Math.max(most, each), 0),
      bytesMedian: median(bytes.map(({ length }) => length)),
    }
  }
}
