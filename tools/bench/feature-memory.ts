// Folds one micro-batch into feature rows, and measures what the features benchmark reports: processor time, and a
// checksum over all rows, so that no speedup comes from wrong results.

import { crc32 } from 'node:zlib'
import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import {
  entityKeyOf,
  type EntityKind,
} from '../../services/core/features/catalogue/feature-definition.ts'
import type { FeaturePlan } from '../../services/core/features/engine/feature-plan.ts'
import type {
  PartitionState,
  ReadablePart,
} from '../../services/core/features/engine/fold-state.ts'
import {
  PARTITION_START,
  PartitionFold,
  type RowOutput,
} from '../../services/core/features/engine/partition-fold.ts'
import { ByteWriter } from '../../services/core/features/state/bytes.ts'
import {
  decodeCard,
  encodeCard,
  writeCard,
  writeCardAddition,
} from '../../services/core/features/state/card-codec.ts'
import { CardHistory } from '../../services/core/features/state/card-history.ts'
import {
  decodeEntityPart,
  writeEntityAddition,
  writeEntityPart,
} from '../../services/core/features/state/entity-codec.ts'
import type { Frontier, EntityPart } from '../../services/core/features/state/entity-part.ts'
import { forEachPrefetched } from '../../services/core/features/state/prefetch.ts'
import type { Codecs } from '../../services/core/wire/codecs.ts'
import { MessagePages } from '../../services/platform/redis/message-pages.ts'
import { ValueCache } from '../../services/platform/redis/value-cache.ts'
import { decodeBatch, type DecodedBatch, type LoadBatch } from './feature-load.ts'
import { median } from './statistics.ts'

/** Number of rows per check, during which the meter is paused. */
const ROWS_AT_ONCE = 4_096
const HEX_DIGITS = 8

export interface Meter {
  readonly wallMs: number
  readonly cpuMs: number
}

/** Wall time and processor time of this process, with all its threads, while the meter runs. */
export class StopWatch {
  #wallMs = 0
  #cpuMs = 0
  #startMs = 0
  #startCpu = process.cpuUsage()

  start(): void {
    this.#startMs = performance.now()
    this.#startCpu = process.cpuUsage()
  }

  stop(): void {
    const { user, system } = process.cpuUsage(this.#startCpu)
    this.#cpuMs += (user + system) / 1_000
    this.#wallMs += performance.now() - this.#startMs
  }

  get total(): Meter {
    return { wallMs: this.#wallMs, cpuMs: this.#cpuMs }
  }
}

/** Folds the batches of one partition. */
export class PartitionRows {
  readonly fold: PartitionFold
  readonly #width: number
  readonly #out: RowOutput
  #rows = 0
  #valuesCrc = 0
  #statesCrc = 0

  constructor(plan: FeaturePlan) {
    this.fold = new PartitionFold({ rates: DEFAULT_RATES, plan }, PARTITION_START)
    this.#width = plan.definitions.length
    this.#out = {
      row: new Float64Array(ROWS_AT_ONCE * this.#width),
      states: new Uint8Array(ROWS_AT_ONCE * this.#width),
      position: 0,
    }
  }

  /** True if the rows must be collected before a batch of this size. */
  isFullFor(size: number): boolean {
    return this.#rows + size > ROWS_AT_ONCE
  }

  /** Labels first, then transactions in order of their offsets, as the scorer does. At most ROWS_AT_ONCE. */
  add(batch: DecodedBatch, state: PartitionState): void {
    const { fold } = this
    const { transactions, records, labels, offset, labelOffset } = batch
    for (const [index, label] of labels.entries())
      fold.applyLabel(label, labelOffset + index, state)
    const labelEnd = labelOffset + labels.length
    fold.expect(transactions, state)
    for (const [index, transaction] of transactions.entries()) {
      this.#out.position = this.#rows * this.#width
      const entry = { transaction, offset: offset + index, record: records[index] ?? null }
      fold.applyTransaction(entry, labelEnd, state, this.#out)
      this.#rows += 1
    }
  }

  /** Adds the rows since the last call to the checksum. */
  take(): void {
    const values = this.#out.row.subarray(0, this.#rows * this.#width)
    const states = this.#out.states.subarray(0, values.length)
    // There are many bit patterns of NaN; the states say which values are absent.
    for (let at = 0; at < values.length; at += 1) if (Number.isNaN(values[at])) values[at] = 0
    this.#valuesCrc = crc32(new Uint8Array(values.buffer, 0, values.byteLength), this.#valuesCrc)
    this.#statesCrc = crc32(states, this.#statesCrc)
    this.#rows = 0
  }

  /** Checksum of the values and states of all collected rows; independent of the split into batches. */
  get checksum(): string {
    const hex = (crc: number): string => crc.toString(16).padStart(HEX_DIGITS, '0')
    return `${hex(this.#valuesCrc)}-${hex(this.#statesCrc)}`
  }
}

/** Positions in the logs after a batch. */
export function endOf(batch: LoadBatch): Frontier {
  return {
    nextOffset: batch.offset + batch.records.length,
    labelNextOffset: batch.labelOffset + batch.labels.length,
  }
}

// Features and state codec without I/O: the work of a scorer on a batch between its read and its write, with maps
// instead of Redis. One thread.

/** A few pages of messages, which nothing reads again here. */
const PAGES_WEIGHT_MAX = 10_000
const NO_PARTS: readonly ReadablePart[] = []
/** All writes are on one day. */
const DAY = 0
const START: Frontier = { nextOffset: 0, labelNextOffset: 0 }

/** `each_batch` decodes every value that a batch needs; `kept` keeps all of them decoded from then on. */
export const DECODINGS = ['each_batch', 'kept'] as const
export type Decoding = (typeof DECODINGS)[number]

export interface FoldCase {
  readonly plan: FeaturePlan
  readonly decoding: Decoding
  readonly codecs: Codecs
  readonly batches: readonly LoadBatch[]
  /** Batches before this one build the state and warm up the code; they are not measured. */
  readonly measureFrom: number
}

export interface FoldOutcome extends Meter {
  /** Number of measured transactions. */
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

/** Values by id, decoded or as bytes, and which of them the batch has used. */
class Values<Id, Value extends CardHistory | EntityPart> {
  readonly #isKept: boolean
  readonly #decode: (bytes: Buffer | null) => Value
  readonly #indexes = new Map<Id, number>()
  /** Present during the batch, or permanently if values are kept. */
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

  /** Ends the batch: `encode` makes the data to write the current value of the writer. */
  write(writer: ByteWriter, encode: (value: Value) => void): void {
    const valueAt = (index: number): Value | undefined => this.#values[index] ?? undefined
    forEachPrefetched(this.#asked, valueAt, (value, index) => {
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

  /** All values in their stored form. */
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

  /** Encodes the changes of the batch: additions, or whole values after compacting committed events. */
  write(committed: Frontier, newestEventMs: number): void {
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
    // As a partition session does after sending; decoded values are not read from these bytes.
    writer.takeKept()
    if (this.#isKept) writer.recycle()
  }

  /** Messages are not read again if no transaction is late. */
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
