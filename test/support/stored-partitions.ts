// Partitions that store their state as the scorer does, as encoded values and progress, in maps instead of Redis. A
// batch reads values, applies entries, and appends to each value or rewrites it, compacted up to the committed
// position. A crash loses everything that is not written.

import { ByteWriter } from '../../services/core/features/state/bytes.ts'
import type { CardHistory } from '../../services/core/features/state/card-history.ts'
import { decodeCard, encodeCard } from '../../services/core/features/state/card-codec.ts'
import {
  decodeEntityPart,
  encodeEntityPart,
} from '../../services/core/features/state/entity-codec.ts'
import type { Frontier, EntityPart } from '../../services/core/features/state/entity-part.ts'
import type { EntityKind } from '../../services/core/features/catalogue/feature-definition.ts'
import type {
  CardLookup,
  PartitionState,
  ReadablePart,
} from '../../services/core/features/engine/fold-state.ts'
import {
  PARTITION_START,
  type PartitionPosition,
} from '../../services/core/features/engine/partition-fold.ts'
import { LATENESS_MS } from '../../services/core/features/catalogue/time.ts'
import { furthest, type PartitionProgress } from '../../services/core/stream/partition-progress.ts'
import type { MessagePages } from '../../services/platform/redis/message-pages.ts'
import { encodeCardAddition, encodeEntityAddition } from './additions.ts'
import type { StreamItem } from './feature-streams.ts'
import {
  foldEntries,
  nextOffset,
  openFold,
  type Entry,
  type FoldedRow,
  type LabelEntry,
  type PartitionLog,
} from './fold-entries.ts'
import { StoredMessages, type PartitionPages, type Status } from './stored-messages.ts'

/** Positions in a partition's logs: the number of preceding entries and labels. */
export interface LogPosition {
  readonly entryCount: number
  readonly labelCount: number
}

const LOG_START: LogPosition = { entryCount: 0, labelCount: 0 }

/** Progress of the other partitions that a batch has used. */
export type Frontiers = readonly (PartitionProgress | null)[]

/** Guards that a control switches off. */
export interface Guards {
  readonly forgetsFromCommit: boolean
  readonly mergesCommittedOnly: boolean
}

const ALL_GUARDS: Guards = { forgetsFromCommit: true, mergesCommittedOnly: true }

/** Everything that survives a crash. */
export class StoredPartitions {
  readonly cards = new Map<string, Buffer>()
  readonly entities = new Map<string, Buffer>()
  readonly messages: readonly PartitionPages[]
  readonly progress: (PartitionProgress | null)[]

  constructor(partitionCount: number) {
    this.messages = Array.from({ length: partitionCount }, () => ({ pages: new Map(), runs: [] }))
    this.progress = Array.from({ length: partitionCount }, () => null)
  }
}

/** Applies one partition's log batch by batch. */
export class StoredPartition {
  readonly #stored: StoredPartitions
  readonly #partition: number
  readonly #log: PartitionLog
  readonly #guards: Guards
  readonly #writer = new ByteWriter()
  readonly #messages: StoredMessages
  /** Values that the partition has read or written, until they are evicted: the same objects are encoded again. */
  readonly #kept: CachedValues = { cards: new Map(), parts: new Map() }
  /** Cards that were read since the partition started, and those that it started with. */
  #met = new Set<string>()
  #beganAtOffset = 0
  #fold = openFold(PARTITION_START)
  #at = LOG_START
  #committed: { readonly at: LogPosition; readonly position: PartitionPosition } = {
    at: LOG_START,
    position: PARTITION_START,
  }

  constructor(stored: StoredPartitions, partition: number, log: PartitionLog, guards = ALL_GUARDS) {
    this.#stored = stored
    this.#partition = partition
    this.#log = log
    this.#guards = guards
    this.#messages = new StoredMessages(
      stored.messages[partition] ?? { pages: new Map(), runs: [] },
    )
  }

  get at(): LogPosition {
    return this.#at
  }

  get isAtEnd(): boolean {
    const { entryCount, labelCount } = this.#at
    return entryCount === this.#log.entries.length && labelCount === this.#log.labels.length
  }

  get position(): PartitionPosition {
    return this.#fold.position
  }

  /**
   * Applies the logs up to these positions and writes the state. Without a commit a crash goes back to the earlier
   * position. With `frontiers` the batch is one of a live partition, which sees the others up to there.
   */
  step(to: LogPosition, frontiers: Frontiers | null = null): readonly FoldedRow[] {
    const entries = this.#log.entries.slice(this.#at.entryCount, to.entryCount)
    const labels = this.#log.labels.slice(this.#at.labelCount, to.labelCount)
    const messages = this.#beginMessages()
    const snapshot = new Snapshot(this.#stored, this.#partition, {
      kept: this.#kept,
      frontiers,
      messages,
      onFirst: (card, history) => {
        if (this.#met.has(card)) return
        this.#met.add(card)
        if (this.#guards.forgetsFromCommit) history.forgetFrom(this.#beganAtOffset)
      },
    })
    this.#messages.readLate(messages, entries, snapshot, this.#status)
    const next = offsetsAt(this.#log, to)
    const rows = foldEntries(labels, entries, next.labelNextOffset, this.#fold, snapshot)
    const { mergesCommittedOnly } = this.#guards
    const committed = offsetsAt(this.#log, mergesCommittedOnly ? this.#committed.at : to)
    snapshot.write(committed, this.#writer)
    this.#messages.write(messages, this.#committed.position.newestEventMs)
    const progress = { generation: 1, ...next, ...this.#fold.position }
    const before = this.#stored.progress[this.#partition] ?? null
    this.#stored.progress[this.#partition] = before === null ? progress : furthest(progress, before)
    this.#at = to
    return rows
  }

  commit(): void {
    this.#committed = { at: this.#at, position: this.#fold.position }
  }

  /** Values are read again when they are next needed. */
  evict(): void {
    this.#kept.cards.clear()
    this.#kept.parts.clear()
    this.#messages.close()
  }

  /** Status of the partition before a batch. */
  get #status(): Status {
    const { nextOffset } = offsetsAt(this.#log, this.#at)
    return { nextOffset, newestEventMs: this.#fold.position.newestEventMs }
  }

  #beginMessages(): MessagePages {
    const { nextOffset } = this.#status
    const stored = this.#stored.progress[this.#partition] ?? this.#status
    return this.#messages.begin(nextOffset, stored)
  }

  /** Everything in memory is lost; the state stays as written. */
  crash(): void {
    this.#at = this.#committed.at
    this.#fold = openFold(this.#committed.position)
    this.#met = new Set()
    this.evict()
    this.#beganAtOffset = offsetsAt(this.#log, this.#at).nextOffset
  }
}

/** The offsets at a position in the logs. */
export function offsetsAt({ entries, labels }: PartitionLog, at: LogPosition): Frontier {
  const after = (log: readonly { readonly offset: number }[], count: number): number =>
    count === 0 ? 0 : (log[count - 1]?.offset ?? 0) + 1
  return {
    nextOffset: after(entries, at.entryCount),
    labelNextOffset: after(labels, at.labelCount),
  }
}

/** Live: before this time the aggregates of partitions that are ahead are incomplete. */
export function horizonOf(frontiers: Frontiers, partition: number): number {
  const newestMs = frontiers.map((frontier, index) =>
    index === partition ? -1 : (frontier?.newestEventMs ?? -1),
  )
  return Math.max(...newestMs) - LATENESS_MS
}

interface CachedValues {
  readonly cards: Map<string, CardHistory>
  readonly parts: Map<string, EntityPart>
}

interface SnapshotOptions {
  readonly kept: CachedValues
  /** Null for an aligned partition, which sees everything that is stored. */
  readonly frontiers: Frontiers | null
  readonly messages: MessagePages
  /** Called when a card's history is first read. */
  readonly onFirst: (card: string, history: CardHistory) => void
}

class Snapshot implements PartitionState, CardLookup {
  readonly entityHorizonMs: number
  readonly messages: MessagePages
  readonly #stored: StoredPartitions
  readonly #partition: number
  readonly #frontiers: Frontiers
  readonly #kept: CachedValues
  readonly #onFirst: (card: string, history: CardHistory) => void
  readonly #cards = new Map<string, CardHistory>()
  readonly #parts = new Map<string, EntityPart>()
  readonly #others = new Map<string, readonly ReadablePart[]>()

  constructor(
    stored: StoredPartitions,
    partition: number,
    { kept, frontiers, messages, onFirst }: SnapshotOptions,
  ) {
    this.#stored = stored
    this.#partition = partition
    this.#frontiers = frontiers ?? stored.progress
    this.#kept = kept
    this.messages = messages
    this.#onFirst = onFirst
    this.entityHorizonMs = frontiers === null ? -Infinity : horizonOf(frontiers, partition)
  }

  card(card: string): CardHistory {
    const known = this.#cards.get(card)
    if (known !== undefined) return known
    const history =
      this.#kept.cards.get(card) ??
      decodeCard(this.#stored.cards.get(`${this.#partition}/${card}`) ?? null)
    this.#onFirst(card, history)
    this.#cards.set(card, history)
    return history
  }

  peekCard(card: string): CardHistory {
    return this.card(card)
  }

  ownEntity(kind: EntityKind, ref: number): EntityPart {
    const key = `${this.#partition}/${kind}/${ref}`
    const part =
      this.#parts.get(key) ??
      this.#kept.parts.get(key) ??
      decodeEntityPart(this.#stored.entities.get(key) ?? null)
    this.#parts.set(key, part)
    return part
  }

  otherEntities(kind: EntityKind, ref: number): readonly ReadablePart[] {
    const known = this.#others.get(`${kind}/${ref}`)
    if (known !== undefined) return known
    const parts = this.#frontiers.flatMap((frontier, partition): ReadablePart[] => {
      const value = this.#stored.entities.get(`${partition}/${kind}/${ref}`)
      if (partition === this.#partition || frontier === null || value === undefined) return []
      return [{ part: decodeEntityPart(value), frontier }]
    })
    this.#others.set(`${kind}/${ref}`, parts)
    return parts
  }

  write(committed: Frontier, writer: ByteWriter): void {
    for (const [card, history] of this.#cards) {
      const key = `${this.#partition}/${card}`
      this.#kept.cards.set(card, history)
      const added = encodeCardAddition(history, writer)
      if (added !== null) append(this.#stored.cards, key, added)
      else {
        history.compact(committed.nextOffset)
        this.#stored.cards.set(key, encodeCard(history, writer))
      }
    }
    for (const [key, part] of this.#parts) {
      this.#kept.parts.set(key, part)
      const added = encodeEntityAddition(part, writer)
      if (added !== null) append(this.#stored.entities, key, added)
      else {
        part.compact(committed)
        this.#stored.entities.set(key, encodeEntityPart(part, writer))
      }
    }
  }
}

function append(values: Map<string, Buffer>, key: string, added: Buffer): void {
  values.set(key, Buffer.concat([values.get(key) ?? Buffer.alloc(0), added]))
}

/** Deals a stream to partitions by `partitionOf`, with offsets that increase by 1, occasionally by 2. */
export function logsOf(
  items: readonly StreamItem[],
  partitionCount: number,
  partitionOf: (card: string) => number,
): readonly PartitionLog[] {
  const logs = Array.from({ length: partitionCount }, () => ({
    entries: [] as Entry[],
    labels: [] as LabelEntry[],
  }))
  for (const item of items) {
    const card = item.kind === 'label' ? item.label.card : item.transaction.card
    const log = logs[partitionOf(card)]
    if (log === undefined) throw new Error(`No partition for ${card}.`)
    if (item.kind === 'label') log.labels.push({ ...item, offset: nextOffset(log.labels) })
    else log.entries.push({ ...item, offset: nextOffset(log.entries) })
  }
  return logs
}
