// Shared by tests of the features: applying entries of a partition's two logs without deciding, and state in memory.

import { DEFAULT_RATES } from '../../services/core/rates/default-rates.ts'
import { CardHistory } from '../../services/core/features/state/card-history.ts'
import { EntityPart, type Frontier } from '../../services/core/features/state/entity-part.ts'
import type { EntityKind } from '../../services/core/features/catalogue/feature-definition.ts'
import { FEATURE_COUNT } from '../../services/core/features/catalogue/feature-list.ts'
import { type FeatureAnnotation } from '../../services/core/features/engine/feature-annotations.ts'
import type {
  PartitionState,
  ReadablePart,
} from '../../services/core/features/engine/fold-state.ts'
import {
  PartitionFold,
  type PartitionPosition,
} from '../../services/core/features/engine/partition-fold.ts'
import type { Recomputed } from '../../services/core/features/engine/late-revisions.ts'
import type { Label, Transaction } from '../../services/core/transaction.ts'
import { PlainMessages } from './plain-state.ts'

export type Entry =
  | { readonly kind: 'transaction'; readonly offset: number; readonly transaction: Transaction }
  | { readonly kind: 'watermark'; readonly offset: number; readonly timeMs: number }

export type LabelEntry =
  | { readonly kind: 'label'; readonly offset: number; readonly label: Label }
  | { readonly kind: 'watermark'; readonly offset: number; readonly timeMs: number }

/** The two logs of one partition. Offsets rise, with holes as transactions of Kafka leave them. */
export interface PartitionLog {
  readonly entries: readonly Entry[]
  readonly labels: readonly LabelEntry[]
}

/** A row with its states and annotations. */
export interface FoldedRow {
  readonly offset: number
  readonly row: readonly number[]
  readonly states: readonly number[]
  readonly annotations: readonly FeatureAnnotation[]
  readonly duplicateOf: number | null
  readonly duplicateOutcome: number
  readonly recomputed: readonly Recomputed[]
}

/** A fold that can read stored messages, so that later decisions are recomputed. */
export function openFold(position: PartitionPosition): PartitionFold {
  const readRecord = (record: Uint8Array): Transaction =>
    JSON.parse(Buffer.from(record).toString()) as Transaction
  return new PartitionFold({ rates: DEFAULT_RATES, readRecord }, position)
}

/** A transaction as its message is stored. */
export function recordOf(transaction: Transaction): Uint8Array {
  return Buffer.from(JSON.stringify(transaction))
}

/** The transactions of these entries, as a scorer announces them to the fold. */
export function transactionsOf(entries: readonly Entry[]): readonly Transaction[] {
  return entries.flatMap((entry) => (entry.kind === 'transaction' ? [entry.transaction] : []))
}

/** Labels, then entries, in the order of a micro-batch. */
export function foldEntries(
  labels: readonly LabelEntry[],
  entries: readonly Entry[],
  labelNextOffset: number,
  fold: PartitionFold,
  state: PartitionState,
): readonly FoldedRow[] {
  const expected = transactionsOf(entries)
  return foldExpecting(expected, { labels, entries, labelNextOffset }, fold, state)
}

/** The same, with `expected` announced to the fold as the next entries; null announces none. */
export function foldExpecting(
  expected: readonly Transaction[] | null,
  {
    labels = [],
    entries,
    labelNextOffset = Infinity,
  }: Partial<PartitionLog> & {
    readonly entries: readonly Entry[]
    readonly labelNextOffset?: number
  },
  fold: PartitionFold,
  state: PartitionState,
): readonly FoldedRow[] {
  for (const entry of labels) {
    if (entry.kind === 'watermark') fold.applyLabelWatermark(entry.timeMs)
    else fold.applyLabel(entry.label, entry.offset, state)
  }
  if (expected !== null) fold.expect(expected, state)
  const row = new Float64Array(FEATURE_COUNT)
  const states = new Uint8Array(FEATURE_COUNT)
  const rows: FoldedRow[] = []
  for (const entry of entries) {
    if (entry.kind === 'watermark') {
      fold.applyWatermark(entry.timeMs)
      continue
    }
    const { transaction, offset } = entry
    const record = recordOf(transaction)
    const { annotations, duplicateOfOffset, duplicateOutcome, recomputed } = fold.applyTransaction(
      { transaction, offset, record },
      labelNextOffset,
      state,
      { row, states, position: 0 },
    )
    rows.push({
      offset,
      row: Array.from(row),
      states: Array.from(states),
      annotations,
      duplicateOf: duplicateOfOffset,
      duplicateOutcome,
      recomputed,
    })
  }
  return rows
}

const ALL: Frontier = { nextOffset: Infinity, labelNextOffset: Infinity }

/** State in memory that is never compacted, encoded or shared: the reference for all other implementations. */
export class PlainState implements PartitionState {
  readonly cards = new Map<string, CardHistory>()
  readonly parts = new Map<string, EntityPart>()
  readonly messages = new PlainMessages()
  entityHorizonMs = -Infinity
  /** Per partition, the visible frontier; everything unless set. */
  frontiers: readonly (Frontier | null)[] = []
  readonly #all: readonly PlainState[]

  /** `all` holds the states of all partitions, this one included once it is pushed there. */
  constructor(all: readonly PlainState[] = []) {
    this.#all = all
  }

  card(card: string): CardHistory {
    const history = this.cards.get(card) ?? new CardHistory()
    this.cards.set(card, history)
    return history
  }

  ownEntity(kind: EntityKind, ref: number): EntityPart {
    const key = `${kind}/${ref}`
    const part = this.parts.get(key) ?? new EntityPart()
    this.parts.set(key, part)
    return part
  }

  otherEntities(kind: EntityKind, ref: number): readonly ReadablePart[] | null {
    return this.#all.flatMap((other, partition): ReadablePart[] => {
      const part = other.parts.get(`${kind}/${ref}`)
      const frontier = this.frontiers.length === 0 ? ALL : this.frontiers[partition]
      if (other === this || part === undefined || frontier === null || frontier === undefined)
        return []
      return [{ part, frontier }]
    })
  }
}

/** The next offset of a log: every fifth is a control record of Kafka, which no consumer sees. */
export function nextOffset(log: readonly { readonly offset: number }[]): number {
  const next = (log.at(-1)?.offset ?? -1) + 1
  return next % 5 === 4 ? next + 1 : next
}
