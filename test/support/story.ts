// Single transactions, for tests that state a rule with an example.

import { FEATURE_NAMES } from '../../services/core/features/catalogue/feature-list.ts'
import {
  FEATURE_STATES,
  type FeatureState,
} from '../../services/core/features/engine/feature-states.ts'
import { type FeatureAnnotation } from '../../services/core/features/engine/feature-annotations.ts'
import {
  PARTITION_START,
  type PartitionFold,
} from '../../services/core/features/engine/partition-fold.ts'
import type { Recomputed } from '../../services/core/features/engine/late-revisions.ts'
import { hashOf } from '../../services/core/id-hash.ts'
import type { Transaction } from '../../services/core/transaction.ts'
import { labelOf, STREAM_START_MS } from './feature-streams.ts'
import { foldEntries, openFold, PlainState, type FoldedRow } from './fold-entries.ts'

/** A transaction; `atMs` counts from the start of the story, a Sunday at midnight. */
export interface Payment extends Partial<Omit<Transaction, 'eventTimeMs'>> {
  readonly atMs: number
  readonly partition?: number
}

export interface Word {
  readonly of: Transaction
  readonly verdict: 'fraud' | 'genuine'
  /** After the start of the story. */
  readonly knownAtMs: number
  readonly partition?: number
}

/** Outcome of one transaction. */
export class Told {
  readonly transaction: Transaction
  readonly folded: FoldedRow

  constructor(transaction: Transaction, folded: FoldedRow) {
    this.transaction = transaction
    this.folded = folded
  }

  get annotations(): readonly FeatureAnnotation[] {
    return this.folded.annotations
  }

  get recomputed(): readonly Recomputed[] {
    return this.folded.recomputed
  }

  get isEmpty(): boolean {
    return this.folded.row.every(Number.isNaN)
  }

  value(name: string): number {
    return this.folded.row[columnOf(name)] ?? NaN
  }

  values(...names: readonly string[]): readonly number[] {
    return names.map((name) => this.value(name))
  }

  state(name: string): FeatureState {
    return FEATURE_STATES[this.folded.states[columnOf(name)] ?? 0] ?? 'absent'
  }
}

/** One state in memory, with as many partitions as the payments name. */
export class Story {
  readonly states: PlainState[] = []
  readonly #folds: PartitionFold[] = []
  readonly #offsets: number[] = []
  readonly #labelOffsets: number[] = []
  #count = 0

  constructor(partitionCount = 1) {
    while (this.states.length < partitionCount) {
      this.states.push(new PlainState(this.states))
      this.#folds.push(openFold(PARTITION_START))
      this.#offsets.push(0)
      this.#labelOffsets.push(0)
    }
  }

  pay({ atMs, partition = 0, ...fields }: Payment): Told {
    const transaction: Transaction = {
      ...NOTHING_NAMED,
      id: `tx-${this.#count}`,
      ...fields,
      eventTimeMs: STREAM_START_MS + atMs,
    }
    this.#count += 1
    const [fold, state] = this.#partitionOf(partition)
    const offset = this.#offsets[partition] ?? 0
    this.#offsets[partition] = offset + 1
    const next = this.#labelOffsets[partition] ?? 0
    const entry = { kind: 'transaction' as const, offset, transaction }
    const [folded] = foldEntries([], [entry], next, fold, state)
    if (folded === undefined) throw new Error('A transaction always gives a row.')
    return new Told(transaction, folded)
  }

  /** The same at many times. */
  payAt(timesMs: readonly number[], payment: Omit<Payment, 'atMs'> = {}): readonly Told[] {
    return timesMs.map((atMs) => this.pay({ ...payment, atMs }))
  }

  label({ of, verdict, knownAtMs, partition = 0 }: Word): void {
    const [fold, state] = this.#partitionOf(partition)
    const offset = this.#labelOffsets[partition] ?? 0
    this.#labelOffsets[partition] = offset + 1
    fold.applyLabel(labelOf(of, STREAM_START_MS + knownAtMs, verdict), offset, state)
  }

  watermark(atMs: number, partition = 0): void {
    this.#partitionOf(partition)[0].applyWatermark(STREAM_START_MS + atMs)
  }

  labelWatermark(atMs: number, partition = 0): void {
    this.#partitionOf(partition)[0].applyLabelWatermark(STREAM_START_MS + atMs)
  }

  #partitionOf(partition: number): readonly [PartitionFold, PlainState] {
    const [fold, state] = [this.#folds[partition], this.states[partition]]
    if (fold === undefined || state === undefined)
      throw new RangeError(`No partition ${partition}.`)
    return [fold, state]
  }
}

/** Names in the order of their hashes. */
export function idsInOrder(count: number): readonly string[] {
  return Array.from({ length: count }, (_, index) => `id-${index}`).toSorted(
    (a, b) => hashOf(a) - hashOf(b),
  )
}

function columnOf(name: string): number {
  const column = FEATURE_NAMES.indexOf(name)
  if (column < 0) throw new RangeError(`No feature ${name}.`)
  return column
}

const NOTHING_NAMED: Omit<Transaction, 'id' | 'eventTimeMs'> = {
  card: 'card',
  amountMinor: 1_000,
  currency: 'EUR',
  merchant: null,
  merchantCategory: null,
  terminal: null,
  country: null,
  latitude: null,
  longitude: null,
  utcOffsetMinutes: null,
  device: null,
  ipNetwork: null,
  channel: null,
  entryMode: null,
  authorisation: null,
  intentId: null,
  attributes: null,
}
