// Recomputes the rows of one partition's decision batches, in order, with its own card histories. Entities are read
// from the partial aggregates of all partitions through the recorded frontier: aggregates may be ahead of it, and a
// read filters by it.

import { DEFAULT_RATES } from '../../rates/default-rates.ts'
import type { RateTable } from '../../rates/rate-table.ts'
import type { Transaction } from '../../transaction.ts'
import type { DecisionRecord } from '../../wire/records.ts'
import { COLUMN } from '../state/card-columns.ts'
import { CardHistory } from '../state/card-history.ts'
import { REVISABLE_MAX } from '../state/card-limits.ts'
import { EntityPart } from '../state/entity-part.ts'
import type { EntityKind } from '../catalogue/feature-definition.ts'
import { FEATURE_LIST_HASH } from '../catalogue/feature-list.ts'
import { revisableFromMs, type Recomputed } from '../engine/late-revisions.ts'
import type { PartitionState, ReadablePart } from '../engine/fold-state.ts'
import {
  FEATURE_PLAN,
  PARTITION_START,
  PartitionFold,
  type Folded,
} from '../engine/partition-fold.ts'
import { entityRefsOf, FORGET_CARDS_MS, hasAnyEntity, type PartitionParts } from './replay-parts.ts'
import { ReplayMessages } from './replay-messages.ts'
import type { RecordedBatch, RecordedRow, ReplayEntry } from './replay-records.ts'
import type { ReplaySample } from './replay-sample.ts'
import { RestOfBatch } from './replay-rest.ts'
import { ReplayValues } from './replay-values.ts'
import { notComparedFor, RowComparison, type NotCompared } from './row-comparison.ts'
import { STATE } from '../engine/feature-states.ts'

/** One decision, recorded and recomputed. Arrays are reused: copy them to keep them. */
export interface ReplayedRow {
  readonly block: RecordedBatch
  readonly recorded: RecordedRow
  readonly transaction: Transaction | null
  readonly values: Float64Array
  readonly states: Uint8Array
  /** One per value, as defined in row-comparison.ts. */
  readonly verdicts: Uint8Array
  /** Result of the fold for a first decision; null for a revision, and for a message that was not recomputed. */
  readonly folded: Folded | null
  /** The card's history after the message was applied; null when it was not recomputed. */
  readonly history: CardHistory | null
}

/**
 * Decisions whose rows a late transaction changed according to the log, whether or not their outcome changed. Arrays
 * are reused.
 */
export interface ReplayedCause {
  readonly block: RecordedBatch
  readonly causeOffset: number
  readonly recomputed: readonly Recomputed[]
  readonly history: CardHistory
  /** False when the log of the card's partition does not hold everything that the rows depend on. */
  readonly isKnown: boolean
}

export type OnCause = (cause: ReplayedCause) => void

export type OnReplayed = (row: ReplayedRow) => void

export interface PartitionRowsOptions {
  readonly onCause?: OnCause | undefined
  readonly partition: number
  readonly sample: ReplaySample
  readonly ratesOf: (digest: string) => RateTable
  /** Decodes a stored message. */
  readonly readRecord: (record: Uint8Array) => Transaction | null
  /** Partial aggregates of every partition, this one included. */
  readonly parts: readonly PartitionParts[]
}

const EMPTY_PART = new EntityPart()
const COUNT = FEATURE_PLAN.definitions.length
const CARD_FEATURES = FEATURE_PLAN.definitions.flatMap(({ entity }, index) =>
  entity === 'card' ? [index] : [],
)

/** Event times from which the logs are known; -Infinity for all of them. */
export interface KnownFrom {
  readonly ownMs: number
  readonly allMs: number
}

export class PartitionRows implements PartitionState {
  readonly entityHorizonMs = -Infinity
  readonly messages = new ReplayMessages()
  readonly #options: PartitionRowsOptions
  readonly #fold: PartitionFold
  readonly #degraded: PartitionFold
  readonly #comparison = new RowComparison(FEATURE_PLAN)
  readonly #cards = new ReplayValues<string, CardHistory>(() => new CardHistory())
  readonly #values = new Float64Array(COUNT)
  readonly #states = new Uint8Array(COUNT)
  readonly #verdicts = new Uint8Array(COUNT)
  #block: RecordedBatch | null = null
  #frontierWentBack = false

  constructor(options: PartitionRowsOptions) {
    this.#options = options
    const { readRecord } = options
    // Each decision batch has its own rates.
    const rates = DEFAULT_RATES
    this.#fold = new PartitionFold({ rates, readRecord, keepsEntities: false }, PARTITION_START)
    this.#degraded = new PartitionFold({ rates }, PARTITION_START)
  }

  get size(): number {
    return this.#cards.size
  }

  get newestEventMs(): number {
    return this.#fold.position.newestEventMs
  }

  /**
   * Recomputes one decision batch from its messages, in offset order. `buildTo` applies everything before an offset to
   * the partial aggregates.
   */
  replay(
    block: RecordedBatch,
    entries: Iterable<ReplayEntry>,
    known: KnownFrom,
    buildTo: (offset: number) => void,
    onReplayed: OnReplayed,
  ): void {
    this.#block = block
    const rates = this.#options.ratesOf(block.ratesDigest)
    this.#fold.useRates(rates)
    this.#degraded.useRates(rates)
    this.#frontierWentBack = !this.#canReadFrontier(block)
    const rest = new RestOfBatch(block)
    const refused = new Set(block.deadLetterOffsets)
    const isAligned = block.alignment === 'aligned'
    if (!isAligned) this.#fold.forgetWatermarks()
    for (const entry of entries) {
      if (entry.kind === 'watermark' && isAligned) this.#fold.applyWatermark(entry.timeMs)
      if (entry.kind !== 'transaction' || refused.has(entry.offset)) continue
      buildTo(entry.offset)
      this.#replayEntry(entry, rest, known, onReplayed)
    }
    for (const index of rest.indexes()) {
      this.#skip(block.rowAt(index), null, 'message_gone', onReplayed)
    }
    this.#cards.forgetBefore(this.newestEventMs - FORGET_CARDS_MS)
    this.messages.forgetBefore(revisableFromMs(this.newestEventMs))
  }

  card(card: string): CardHistory {
    // Outside the sample nothing is kept, and nothing of the card is compared.
    if (!this.#options.sample.hasCard(card)) return new CardHistory()
    return this.#cards.get(card)
  }

  ownEntity(kind: EntityKind, ref: number): EntityPart {
    const { parts, partition } = this.#options
    return parts[partition]?.peek(kind, ref) ?? EMPTY_PART
  }

  otherEntities(kind: EntityKind, ref: number): readonly ReadablePart[] | null {
    const { parts, partition, sample } = this.#options
    if (this.#frontierWentBack || !sample.hasEntity(kind, ref)) return null
    const readable: ReadablePart[] = []
    for (const frontier of this.#block?.frontier ?? []) {
      const part =
        frontier.partition === partition ? null : parts[frontier.partition]?.peek(kind, ref)
      if (part !== null && part !== undefined) readable.push({ part, frontier })
    }
    return readable
  }

  shrink(): void {
    const { sample, readRecord } = this.#options
    this.#cards.keepOnly((card) => sample.hasCard(card))
    this.messages.keepOnly((message) => sample.hasCard(readRecord(message)?.card ?? ''))
  }

  #replayEntry(
    entry: Extract<ReplayEntry, { readonly kind: 'transaction' }>,
    rest: RestOfBatch,
    known: KnownFrom,
    onReplayed: OnReplayed,
  ): void {
    const { sample } = this.#options
    const { transaction, offset, record } = entry
    const block = rest.block
    const index = rest.take(offset)
    const hasCard = sample.hasCard(transaction.card)
    if (!hasCard && !hasAnyEntity(sample, entityRefsOf(transaction))) {
      this.#fold.passOver(transaction.eventTimeMs)
      return
    }
    const recorded = index === null ? null : block.rowAt(index)
    const isKnown = hasCard && (this.#cards.peek(transaction.card)?.count ?? 0) > 0
    if (!isKnown && recorded !== null && isRepeat(recorded.decision)) {
      // The card is forgotten here, although the scorer's longer-lived state still held it.
      this.#fold.passOver(transaction.eventTimeMs)
      this.#skip(recorded, transaction, 'behind_reach', onReplayed)
      return
    }
    const kept = hasCard ? record : null
    const folded = this.#apply(transaction, offset, kept, recorded)
    if (hasCard) {
      this.#forgetMessageOf(this.#cards.get(transaction.card))
      this.#cards.touch(
        transaction.card,
        transaction.eventTimeMs,
        ({ count }) => count,
        (history) => {
          history.compact(offset + 1)
        },
      )
    }
    if (recorded !== null) {
      const computed = { transaction, folded, values: this.#values, states: this.#states }
      this.#report(recorded, computed, known, onReplayed)
    }
    this.#replayRevisions(offset, folded, rest, known, onReplayed)
  }

  /** One more event of the card is now too old for a late transaction to change. */
  #forgetMessageOf(history: CardHistory): void {
    const index = history.count - REVISABLE_MAX - 1
    if (index >= 0) this.messages.forget(history.at(index, COLUMN.offset))
  }

  #apply(
    transaction: Transaction,
    offset: number,
    record: Uint8Array | null,
    recorded: RecordedRow | null,
  ): Folded {
    const labelNextOffset = this.#block?.labelNextOffset ?? 0
    const out = { row: this.#values, states: this.#states, position: 0 }
    const event = { transaction, offset, record }
    const folded = this.#fold.applyTransaction(event, labelNextOffset, this, out)
    // Without state the scorer could not detect a duplicate, and decided from the transaction alone.
    const wasDegraded =
      recorded !== null && CARD_FEATURES.some((at) => recorded.states[at] === STATE.degraded)
    if (wasDegraded && folded.duplicateOfOffset !== null) {
      this.#degraded.applyDegraded(transaction, offset, out)
    }
    return folded
  }

  /** Recomputes the recorded revisions that this transaction caused. */
  #replayRevisions(
    causeOffset: number,
    { recomputed }: Folded,
    rest: RestOfBatch,
    known: KnownFrom,
    onReplayed: OnReplayed,
  ): void {
    if (recomputed.length > 0) this.#reportCause(causeOffset, recomputed, known)
    for (const index of rest.takeRevisions(causeOffset)) {
      const recorded = rest.block.rowAt(index)
      const { decision } = recorded
      const hasCard = this.#options.sample.hasCard(decision.card)
      if (!hasCard) continue
      const again = recomputed.find(({ offset }) => offset === decision.offset)
      // A revision without a cause in the log differs in every value.
      const { row: values, states } = again?.after ?? nothing()
      const transaction = again?.transaction ?? null
      this.#report(recorded, { transaction, folded: null, values, states }, known, onReplayed)
    }
  }

  #reportCause(causeOffset: number, recomputed: readonly Recomputed[], known: KnownFrom): void {
    const block = this.#block
    const [first] = recomputed
    if (block === null || first === undefined) return
    const { card, eventTimeMs } = first.transaction
    if (!this.#options.sample.hasCard(card) || block.featureListHash !== FEATURE_LIST_HASH) return
    const isKnown = eventTimeMs - FORGET_CARDS_MS >= known.ownMs && known.allMs === -Infinity
    const history = this.#cards.get(card)
    this.#options.onCause?.({ block, causeOffset, recomputed, history, isKnown })
  }

  #report(
    recorded: RecordedRow,
    computed: Pick<ReplayedRow, 'transaction' | 'folded' | 'values' | 'states'>,
    known: KnownFrom,
    onReplayed: OnReplayed,
  ): void {
    const block = this.#block
    if (block === null) return
    const { transaction, values, states } = computed
    if (block.featureListHash !== FEATURE_LIST_HASH) {
      this.#skip(recorded, transaction, 'other_feature_list', onReplayed)
      return
    }
    const { card } = recorded.decision
    const hasCard = this.#options.sample.hasCard(card)
    const verdicts = this.#verdicts
    const scope = {
      hasCard,
      cardKnownMs: known.ownMs,
      entitiesKnownMs: known.allMs,
      frontierWentBack: this.#frontierWentBack,
    }
    this.#comparison.compare(recorded, values, states, scope, verdicts)
    const history = hasCard ? this.#cards.get(card) : null
    onReplayed({ block, recorded, ...computed, verdicts, history })
  }

  #skip(
    recorded: RecordedRow,
    transaction: Transaction | null,
    reason: NotCompared,
    onReplayed: OnReplayed,
  ): void {
    const block = this.#block
    const { sample } = this.#options
    if (block === null || !sample.hasCard(recorded.decision.card)) return
    const verdicts = this.#verdicts.fill(notComparedFor(reason))
    const { values, states } = recorded
    const nothingFolded = { folded: null, history: null }
    onReplayed({ block, recorded, transaction, values, states, verdicts, ...nothingFolded })
  }

  #canReadFrontier({ frontier }: RecordedBatch): boolean {
    const { parts, partition } = this.#options
    return frontier.every((each) => {
      const built = parts[each.partition]
      return each.partition === partition || built === undefined || built.canRead(each)
    })
  }
}

function isRepeat(decision: DecisionRecord | undefined): boolean {
  return decision !== undefined && decision.duplicateOfOffset !== null
}

function nothing(): { readonly row: Float64Array; readonly states: Uint8Array } {
  return { row: new Float64Array(COUNT).fill(Infinity), states: new Uint8Array(COUNT) }
}
