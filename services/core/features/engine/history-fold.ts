// Folds a whole history into feature rows, in memory, with the code that the scorer uses (P4): one PartitionFold
// per partition, cards and entities in maps instead of Redis, partitions in step as in an aligned replay.

import { partitionOf } from '../../murmur2.ts'
import { hashOf } from '../../id-hash.ts'
import type { Label, Transaction } from '../../transaction.ts'
import type { RateTable } from '../../currency.ts'
import { CardHistory } from '../state/card-history.ts'
import { writeSequence } from './card-sequence.ts'
import { EntityPart, type Cut } from '../state/entity-part.ts'
import { entityKeyOf, type EntityKind } from '../catalogue/feature-definition.ts'
import type { FeaturePlan } from './feature-plan.ts'
import type { PartitionState, ReadablePart } from './fold-state.ts'
import { FEATURE_PLAN, PARTITION_START, PartitionFold, type Folded } from './partition-fold.ts'
import { DAY_MS, LATENESS_MS, REACH_MS } from '../catalogue/time.ts'

/** Partitions take part in no feature value; they are folded apart since the scorer's partitions are. */
export const PARTITIONS_DEFAULT = 4

/** A value is compacted once it holds this many events, then each time it has doubled. */
const COMPACT_EVENTS_MIN = 64

/** What no transaction in time can reach is forgotten, so memory follows the cards of the last weeks. */
const FORGET_MS = REACH_MS + LATENESS_MS + DAY_MS

const NOT_LIMITED: Cut = { nextOffset: Infinity, labelNextOffset: Infinity }

const encoder = new TextEncoder()

interface Kept<Value> {
  readonly value: Value
  newestMs: number
  compactAtEvents: number
}

export interface HistoryFoldOptions {
  readonly rates: RateTable
  /** FEATURE_PLAN unless given. */
  readonly plan?: FeaturePlan
  /** Partitions of the topics whose scorer is to be equalled; PARTITIONS_DEFAULT unless given. */
  readonly partitionCount?: number
}

/** Takes transactions and labels merged by event time and known-at time, oldest first. */
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

  /** Writes the feature row at `position` and takes the transaction in. The rate table must know the currency. */
  transaction(transaction: Transaction, row: Float64Array, position: number): Folded {
    this.#sweep(transaction.eventTimeMs)
    return this.#partitionOf(transaction.card).transaction(transaction, row, position)
  }

  /** Writes the card's payments before a transaction that is not yet taken in (see writeSequence) at `position`. */
  sequence(transaction: Transaction, out: Float64Array, position: number): void {
    const { card, eventTimeMs, id } = transaction
    const history = this.#partitionOf(card).card(card)
    writeSequence(history, eventTimeMs, hashOf(id), Infinity, { values: out, position })
  }

  /** Takes a label in; the next transactions see it from its known-at time on. */
  label(label: Label): void {
    this.#partitionOf(label.card).label(label)
  }

  /** Cards and parts of entities in memory. */
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
  readonly cards = new Map<string, Kept<CardHistory>>()
  /** By kind and reference. */
  readonly entities = new Map<number, Kept<EntityPart>>()
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
      // States are told apart by nobody here: a row is for training, where absent is absent.
      states: this.#states,
      position: 0,
    }
    const folded = this.#fold.applyTransaction(
      { transaction, offset },
      this.#nextLabelOffset,
      this,
      out,
    )
    this.#keepSmall(transaction)
    return folded
  }

  label(label: Label): void {
    this.#fold.applyLabel(label, this.#nextLabelOffset, this)
    this.#nextLabelOffset += 1
    // It may come before its transaction, and must not be swept away until then.
    for (const key of this.#touched) touch(this.entities.get(key), label.eventTimeMs)
    this.#touched.clear()
  }

  card(card: string): CardHistory {
    return keep(this.cards, card, () => new CardHistory())
  }

  ownEntity(kind: EntityKind, ref: number): EntityPart {
    const kept = keep(this.entities, entityKeyOf(kind, ref), () => new EntityPart())
    this.#touched.add(entityKeyOf(kind, ref))
    return kept
  }

  otherEntities(kind: EntityKind, ref: number): readonly ReadablePart[] {
    const parts: ReadablePart[] = []
    for (const partition of this.#partitions) {
      if (partition === this) continue
      const kept = partition.entities.get(entityKeyOf(kind, ref))
      if (kept !== undefined) parts.push({ part: kept.value, frontier: NOT_LIMITED })
    }
    return parts
  }

  forgetBefore(timeMs: number): void {
    for (const values of [this.cards, this.entities]) {
      for (const [key, kept] of values as Map<string | number, Kept<unknown>>) {
        if (kept.newestMs < timeMs) values.delete(key as never)
      }
    }
  }

  readonly #touched = new Set<number>()

  #keepSmall({ card, eventTimeMs }: Transaction): void {
    const keptCard = this.cards.get(card)
    touch(keptCard, eventTimeMs)
    if (keptCard !== undefined && keptCard.value.count >= keptCard.compactAtEvents) {
      keptCard.value.compact(this.#nextOffset)
      keptCard.compactAtEvents = Math.max(
        COMPACT_EVENTS_MIN,
        keptCard.value.count + COMPACT_EVENTS_MIN,
      )
    }
    for (const key of this.#touched) {
      const kept = this.entities.get(key)
      touch(kept, eventTimeMs)
      if (kept === undefined || kept.value.count < kept.compactAtEvents) continue
      kept.value.compact({ nextOffset: this.#nextOffset, labelNextOffset: this.#nextLabelOffset })
      kept.compactAtEvents = Math.max(COMPACT_EVENTS_MIN, 2 * kept.value.count)
    }
    this.#touched.clear()
  }
}

function keep<Key, Value>(values: Map<Key, Kept<Value>>, key: Key, make: () => Value): Value {
  let kept = values.get(key)
  if (kept === undefined) {
    kept = { value: make(), newestMs: -Infinity, compactAtEvents: COMPACT_EVENTS_MIN }
    values.set(key, kept)
  }
  return kept.value
}

function touch(kept: Kept<unknown> | undefined, timeMs: number): void {
  if (kept !== undefined) kept.newestMs = Math.max(kept.newestMs, timeMs)
}
