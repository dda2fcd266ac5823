// Folds a whole history into feature rows in memory, with the code of the scorer (P4): one PartitionFold per partition,
// cards and entities in maps instead of Redis, partitions advancing together as in an aligned replay.

import { partitionOf } from '../../murmur2.ts'
import { hashOf } from '../../id-hash.ts'
import type { Label, Transaction } from '../../transaction.ts'
import type { RateTable } from '../../rates/rate-table.ts'
import { CardHistory } from '../state/card-history.ts'
import { writeSequence } from './card-sequence.ts'
import { EntityPart, type Frontier } from '../state/entity-part.ts'
import { entityKeyOf, type EntityKind } from '../catalogue/feature-definition.ts'
import type { FeaturePlan } from './feature-plan.ts'
import type { PartitionState, ReadablePart } from './fold-state.ts'
import { FEATURE_PLAN, PARTITION_START, PartitionFold, type Folded } from './partition-fold.ts'
import { DAY_MS, LATENESS_MS, REACH_MS } from '../catalogue/time.ts'

/**
 * The number of partitions affects no feature value; they are folded separately because the scorer's partitions are.
 */
export const PARTITIONS_DEFAULT = 4

/**
 * A value is compacted once it has this many events, then a card after as many more, an entity each time it has
 * doubled.
 */
const COMPACT_EVENTS_MIN = 64

/** Values that no timely transaction can reach are dropped, so memory grows with the cards of the last weeks only. */
const FORGET_MS = REACH_MS + LATENESS_MS + DAY_MS

const UNLIMITED: Frontier = { nextOffset: Infinity, labelNextOffset: Infinity }

const encoder = new TextEncoder()

interface Cached<Value> {
  readonly value: Value
  newestMs: number
  compactAtEvents: number
}

export interface HistoryFoldOptions {
  readonly rates: RateTable
  /** Defaults to FEATURE_PLAN. */
  readonly plan?: FeaturePlan
  /** Partitions of the topics of the scorer to reproduce; defaults to PARTITIONS_DEFAULT. */
  readonly partitionCount?: number
}

/** Accepts transactions and labels merged by event time and known-at time, oldest first. */
export class HistoryFold {
  readonly #partitions: readonly PartitionHistory[]
  #sweptMs = -Infinity

  constructor(options: HistoryFoldOptions) {
    const { partitionCount = PARTITIONS_DEFAULT } = options
    const partitions: PartitionHistory[] = []
    for (let partition = 0; partition < partitionCount; partition += 1) {
      partitions.push(new PartitionHistory(options, partitions))
    }
    this.#partitions = partitions
  }

  /** Writes the feature row at `position` and adds the transaction. The rate table must have the currency. */
  transaction(transaction: Transaction, row: Float64Array, position: number): Folded {
    this.#sweep(transaction.eventTimeMs)
    return this.#partitionOf(transaction.card).transaction(transaction, row, position)
  }

  /** Writes the card's payments before a transaction that is not added yet at `position`; see writeSequence. */
  sequence(transaction: Transaction, out: Float64Array, position: number): void {
    const { card, eventTimeMs, id } = transaction
    const history = this.#partitionOf(card).card(card)
    writeSequence(history, eventTimeMs, hashOf(id), Infinity, { values: out, position })
  }

  /** Adds a label; later transactions see it from its known-at time on. */
  label(label: Label): void {
    this.#partitionOf(label.card).label(label)
  }

  /** Number of cards and partial aggregates of entities in memory. */
  get size(): number {
    return this.#partitions.reduce(
      (sum, partition) => sum + partition.cards.size + partition.entities.size,
      0,
    )
  }

  #partitionOf(card: string): PartitionHistory {
    const partition = this.#partitions[partitionOf(encoder.encode(card), this.#partitions.length)]
    if (partition === undefined) throw new Error('A history fold needs at least one partition.')
    return partition
  }

  #sweep(nowMs: number): void {
    if (nowMs < this.#sweptMs + DAY_MS) return
    this.#sweptMs = nowMs
    for (const partition of this.#partitions) partition.forgetBefore(nowMs - FORGET_MS)
  }
}

class PartitionHistory implements PartitionState {
  readonly cards = new Map<string, Cached<CardHistory>>()
  /** By kind and hash. */
  readonly entities = new Map<number, Cached<EntityPart>>()
  readonly entityHorizonMs = -Infinity
  readonly #fold: PartitionFold
  readonly #partitions: readonly PartitionHistory[]
  readonly #states: Uint8Array
  #nextOffset = 0
  #nextLabelOffset = 0

  constructor(
    { rates, plan = FEATURE_PLAN }: HistoryFoldOptions,
    partitions: readonly PartitionHistory[],
  ) {
    this.#fold = new PartitionFold({ rates, plan }, PARTITION_START)
    this.#states = new Uint8Array(plan.definitions.length)
    this.#partitions = partitions
  }

  transaction(transaction: Transaction, row: Float64Array, position: number): Folded {
    const offset = this.#nextOffset
    this.#nextOffset += 1
    const out = {
      row: row.subarray(position, position + this.#states.length),
      // Not used: a row for training only has to distinguish present from absent.
      states: this.#states,
      position: 0,
    }
    const folded = this.#fold.applyTransaction(
      { transaction, offset },
      this.#nextLabelOffset,
      this,
      out,
    )
    this.#compactChanged(transaction)
    return folded
  }

  label(label: Label): void {
    this.#fold.applyLabel(label, this.#nextLabelOffset, this)
    this.#nextLabelOffset += 1
    // A label can come before its transaction; its entities must not be dropped until then.
    for (const key of this.#changed) touch(this.entities.get(key), label.eventTimeMs)
    this.#changed.clear()
  }

  card(card: string): CardHistory {
    return getOrCreate(this.cards, card, () => new CardHistory())
  }

  ownEntity(kind: EntityKind, ref: number): EntityPart {
    const cached = getOrCreate(this.entities, entityKeyOf(kind, ref), () => new EntityPart())
    this.#changed.add(entityKeyOf(kind, ref))
    return cached
  }

  otherEntities(kind: EntityKind, ref: number): readonly ReadablePart[] {
    const parts: ReadablePart[] = []
    for (const partition of this.#partitions) {
      if (partition === this) continue
      const cached = partition.entities.get(entityKeyOf(kind, ref))
      if (cached !== undefined) parts.push({ part: cached.value, frontier: UNLIMITED })
    }
    return parts
  }

  forgetBefore(timeMs: number): void {
    for (const values of [this.cards, this.entities]) {
      for (const [key, cached] of values as Map<string | number, Cached<unknown>>) {
        if (cached.newestMs < timeMs) values.delete(key as never)
      }
    }
  }

  readonly #changed = new Set<number>()

  #compactChanged({ card, eventTimeMs }: Transaction): void {
    const cachedCard = this.cards.get(card)
    touch(cachedCard, eventTimeMs)
    if (cachedCard !== undefined && cachedCard.value.count >= cachedCard.compactAtEvents) {
      cachedCard.value.compact(this.#nextOffset)
      cachedCard.compactAtEvents = Math.max(
        COMPACT_EVENTS_MIN,
        cachedCard.value.count + COMPACT_EVENTS_MIN,
      )
    }
    for (const key of this.#changed) {
      const cached = this.entities.get(key)
      touch(cached, eventTimeMs)
      if (cached === undefined || cached.value.count < cached.compactAtEvents) continue
      cached.value.compact({ nextOffset: this.#nextOffset, labelNextOffset: this.#nextLabelOffset })
      cached.compactAtEvents = Math.max(COMPACT_EVENTS_MIN, 2 * cached.value.count)
    }
    this.#changed.clear()
  }
}

function getOrCreate<Key, Value>(
  values: Map<Key, Cached<Value>>,
  key: Key,
  make: () => Value,
): Value {
  let cached = values.get(key)
  if (cached === undefined) {
    cached = { value: make(), newestMs: -Infinity, compactAtEvents: COMPACT_EVENTS_MIN }
    values.set(key, cached)
  }
  return cached.value
}

function touch(cached: Cached<unknown> | undefined, timeMs: number): void {
  if (cached !== undefined) cached.newestMs = Math.max(cached.newestMs, timeMs)
}
