// Folds a whole history into feature rows, in memory, with the code that the scorer uses (P4): one LaneFold
// per partition, cards and terminals in maps instead of Redis, lanes in step as in an aligned replay.

import { partitionOf } from '../murmur2.ts'
import type { Label, Transaction } from '../transaction.ts'
import type { RateTable } from '../currency.ts'
import { CardHistory } from './card-history.ts'
import { EntityPart, type Cut } from './entity-part.ts'
import {
  LANE_START,
  LaneFold,
  type Folded,
  type LaneState,
  type ReadablePart,
} from './lane-fold.ts'
import { DAY_MS, LATENESS_MS, REACH_MS } from './time.ts'

/** Lanes take part in no feature value; they are folded apart since the scorer's lanes are. */
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
  /** Partitions of the topics whose scorer is to be equalled; PARTITIONS_DEFAULT unless given. */
  readonly partitionCount?: number
}

/** Takes transactions and labels merged by event time and known-at time, oldest first. */
export class HistoryFold {
  readonly #lanes: readonly Lane[]
  #sweptMs = -Infinity

  constructor({ rates, partitionCount = PARTITIONS_DEFAULT }: HistoryFoldOptions) {
    const lanes: Lane[] = []
    for (let partition = 0; partition < partitionCount; partition += 1) {
      lanes.push(new Lane(rates, lanes))
    }
    this.#lanes = lanes
  }

  /** Writes the feature row at `position` and takes the transaction in. The rate table must know the currency. */
  transaction(transaction: Transaction, row: Float64Array, position: number): Folded {
    this.#sweep(transaction.eventTimeMs)
    return this.#laneOf(transaction.card).transaction(transaction, row, position)
  }

  /** Takes a label in; the next transactions see it from its known-at time on. */
  label(label: Label): void {
    this.#laneOf(label.card).label(label)
  }

  /** Cards and terminal parts in memory. */
  get size(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.cards.size + lane.terminals.size, 0)
  }

  #laneOf(card: string): Lane {
    const lane = this.#lanes[partitionOf(encoder.encode(card), this.#lanes.length)]
    if (lane === undefined) throw new Error('A history fold needs at least one partition.')
    return lane
  }

  #sweep(nowMs: number): void {
    if (nowMs < this.#sweptMs + DAY_MS) return
    this.#sweptMs = nowMs
    for (const lane of this.#lanes) lane.forgetBefore(nowMs - FORGET_MS)
  }
}

class Lane implements LaneState {
  readonly cards = new Map<string, Kept<CardHistory>>()
  readonly terminals = new Map<string, Kept<EntityPart>>()
  readonly #fold: LaneFold
  readonly #lanes: readonly Lane[]
  #nextOffset = 0
  #nextLabelOffset = 0

  constructor(rates: RateTable, lanes: readonly Lane[]) {
    this.#fold = new LaneFold(rates, LANE_START)
    this.#lanes = lanes
  }

  transaction(transaction: Transaction, row: Float64Array, position: number): Folded {
    const offset = this.#nextOffset
    this.#nextOffset += 1
    const folded = this.#fold.applyTransaction(
      transaction,
      offset,
      this.#nextLabelOffset,
      this,
      row,
      position,
    )
    this.#keepSmall(transaction)
    return folded
  }

  label(label: Label): void {
    this.#fold.applyLabel(label, this.#nextLabelOffset, this)
    this.#nextLabelOffset += 1
    if (label.terminal !== null) touch(this.terminals.get(label.terminal), label.eventTimeMs)
  }

  card(card: string): CardHistory {
    return keep(this.cards, card, () => new CardHistory())
  }

  ownTerminal(terminal: string): EntityPart {
    return keep(this.terminals, terminal, () => new EntityPart())
  }

  otherTerminals(terminal: string): readonly ReadablePart[] {
    const parts: ReadablePart[] = []
    for (const lane of this.#lanes) {
      if (lane === this) continue
      const kept = lane.terminals.get(terminal)
      if (kept !== undefined) parts.push({ part: kept.value, cut: NOT_LIMITED })
    }
    return parts
  }

  forgetBefore(timeMs: number): void {
    for (const values of [this.cards, this.terminals]) {
      for (const [key, kept] of values) {
        if (kept.newestMs < timeMs) values.delete(key)
      }
    }
  }

  #keepSmall({ card, terminal, eventTimeMs }: Transaction): void {
    const keptCard = this.cards.get(card)
    touch(keptCard, eventTimeMs)
    if (keptCard !== undefined && keptCard.value.eventCount >= keptCard.compactAtEvents) {
      keptCard.value.compact(this.#nextOffset)
      keptCard.compactAtEvents = Math.max(COMPACT_EVENTS_MIN, 2 * keptCard.value.eventCount)
    }
    const keptPart = terminal === null ? undefined : this.terminals.get(terminal)
    touch(keptPart, eventTimeMs)
    if (keptPart !== undefined && keptPart.value.timesMs.length >= keptPart.compactAtEvents) {
      keptPart.value.compact({
        nextOffset: this.#nextOffset,
        labelNextOffset: this.#nextLabelOffset,
      })
      keptPart.compactAtEvents = Math.max(COMPACT_EVENTS_MIN, 2 * keptPart.value.timesMs.length)
    }
  }
}

function keep<Value>(values: Map<string, Kept<Value>>, key: string, make: () => Value): Value {
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
