// The single definition of a transaction's features (P4): folds the labels and transactions of one partition, in offset
// order, into card histories and partial aggregates of entities. The scorer folds over values from Redis, the trainer
// over maps in memory; both use this class.

import type { RateTable } from '../../rates/rate-table.ts'
import { hashOf } from '../../id-hash.ts'
import type { Label, Transaction } from '../../transaction.ts'
import { blankCardEvent, cardEventOf, fillCardEvent, type CardEvent } from '../state/card-event.ts'
import { COLUMN, FLAG, type StoredOutcome } from '../state/card-columns.ts'
import { CardHistory } from '../state/card-history.ts'
import type { Frontier } from '../state/entity-part.ts'
import { FEATURES } from '../catalogue/feature-list.ts'
import { compileFeaturePlan, type FeaturePlan, type PlanAggregates } from './feature-plan.ts'
import type { PartitionState } from './fold-state.ts'
import { PartitionEntities } from './partition-entities.ts'
import { annotationsThat, NO_ANNOTATIONS, type FeatureAnnotation } from './feature-annotations.ts'
import {
  ALL_DEGRADED,
  compileStates,
  hasFaults,
  noFaults,
  STATE,
  type Faults,
  type WriteStates,
} from './feature-states.ts'
import {
  recompute,
  revisable,
  revisableFromMs,
  type ComputedRow,
  type Recomputed,
} from './late-revisions.ts'
import { LookAhead } from './look-ahead.ts'
import { LATENESS_MS, REACH_MS } from '../catalogue/time.ts'

/** Result of folding one transaction. Its feature row is written unless it is a duplicate. */
export interface Folded {
  readonly annotations: readonly FeatureAnnotation[]
  /** Offset of the first transaction with the same id, or null. */
  readonly duplicateOfOffset: number | null
  readonly duplicateOutcome: StoredOutcome
  /** Amount in minor units of the reference currency; NaN when there is no rate. */
  readonly amountMinor: number
  /** Later decisions of the card whose features this transaction changes, in event order. */
  readonly recomputed: readonly Recomputed[]
}

const NONE: readonly Recomputed[] = []
const NO_HISTORY = new CardHistory()

/** Event-time position of a partition; restored from the committed metadata, so that a crash changes nothing. */
export interface PartitionPosition {
  /** Newest event time of the earlier transactions; -1 for none. */
  readonly newestEventMs: number
  /** Newest watermark of the transactions, and of the labels; -1 for none. */
  readonly watermarkMs: number
  readonly labelWatermarkMs: number
}

export const PARTITION_START: PartitionPosition = {
  newestEventMs: -1,
  watermarkMs: -1,
  labelWatermarkMs: -1,
}

/** The features that models are trained on. */
export const FEATURE_PLAN: FeaturePlan = compileFeaturePlan(FEATURES)

export interface FoldOptions {
  readonly rates: RateTable
  /** Defaults to FEATURE_PLAN. */
  readonly plan?: FeaturePlan
  /** Decodes a message that was stored with its event; without it later decisions are not recomputed. */
  readonly readRecord?: (record: Uint8Array) => Transaction | null
  /** False for a reader of partial aggregates that another fold builds: entities are then never changed. */
  readonly keepsEntities?: boolean
}

/** A transaction with its offset in the log. */
interface FoldedTransaction {
  readonly transaction: Transaction
  readonly offset: number
  /** The message as it was sent, stored so that its decision can be recomputed; null stores nothing. */
  readonly record?: Uint8Array | null
}

/** Output of consecutive rows; the next one goes to `position`. Reused, so that no object is allocated per event. */
export interface RowOutput {
  readonly row: Float64Array
  readonly states: Uint8Array
  position: number
}

export class PartitionFold {
  #rates: RateTable
  readonly #plan: FeaturePlan
  readonly #readRecord: FoldOptions['readRecord']
  readonly #keepsEntities: boolean
  readonly #aggregates: PlanAggregates
  readonly #entities: PartitionEntities
  readonly #ahead: LookAhead
  readonly #writeStates: WriteStates
  readonly #faults: Faults = noFaults()
  /** Reused for every transaction. */
  readonly #event = blankCardEvent()
  #newestEventMs: number
  #watermarkMs: number
  #labelWatermarkMs: number

  constructor(options: FoldOptions, position: PartitionPosition) {
    const { rates, plan = FEATURE_PLAN, readRecord, keepsEntities = true } = options
    this.#rates = rates
    this.#plan = plan
    this.#readRecord = readRecord
    this.#keepsEntities = keepsEntities
    this.#aggregates = plan.openAggregates()
    this.#entities = new PartitionEntities(this.#aggregates)
    this.#ahead = new LookAhead(rates, plan.needs, this.#entities)
    this.#writeStates = compileStates(plan)
    this.#newestEventMs = position.newestEventMs
    this.#watermarkMs = position.watermarkMs
    this.#labelWatermarkMs = position.labelWatermarkMs
  }

  get position(): PartitionPosition {
    return {
      newestEventMs: this.#newestEventMs,
      watermarkMs: this.#watermarkMs,
      labelWatermarkMs: this.#labelWatermarkMs,
    }
  }

  /** Converts the amounts of the transactions that are applied from now on. */
  useRates(rates: RateTable): void {
    this.#rates = rates
    this.#ahead.useRates(rates)
  }

  /** Advances the position for a transaction that another fold applies. */
  passOver(eventTimeMs: number): void {
    if (eventTimeMs > this.#newestEventMs) this.#newestEventMs = eventTimeMs
  }

  applyWatermark(timeMs: number): void {
    this.#watermarkMs = Math.max(this.#watermarkMs, timeMs)
  }

  applyLabelWatermark(timeMs: number): void {
    this.#labelWatermarkMs = Math.max(this.#labelWatermarkMs, timeMs)
  }

  /**
   * Resets the watermarks. A live stream has none, and those of a finished replay would make everything after it late.
   */
  forgetWatermarks(): void {
    this.#watermarkMs = PARTITION_START.watermarkMs
    this.#labelWatermarkMs = PARTITION_START.labelWatermarkMs
  }

  /**
   * A label may be applied early: features count it from its known-at time on. A label that violates a watermark counts
   * from that watermark on, since other partitions have already decided without it.
   */
  applyLabel(label: Label, labelOffset: number, state: PartitionState): void {
    const entry = {
      timeMs: label.eventTimeMs,
      knownAtMs: Math.max(label.knownAtMs, this.#labelWatermarkMs + 1),
      idHash: hashOf(label.transactionId),
      labelOffset,
      isFraud: label.verdict === 'fraud',
    }
    this.#entities.insertLabel(label, entry, state)
  }

  /**
   * Announces the next transactions for this state, in this order, so that their state is looked up and prefetched in
   * groups (look-ahead.ts). Has no effect on results: a transaction that was not announced is looked up by itself.
   */
  expect(transactions: readonly Transaction[], state: PartitionState): void {
    this.#ahead.expect(transactions, state)
  }

  /**
   * Writes the transaction's feature row and states (all absent for a duplicate) and adds it to the state. Labels with
   * an offset below `labelNextOffset` are visible. One without a rate has
   * no features of its amount, and is not added: sums that lack an amount would be wrong for every later payment.
   */
  applyTransaction(
    { transaction, offset, record = null }: FoldedTransaction,
    labelNextOffset: number,
    state: PartitionState,
    out: RowOutput,
  ): Folded {
    const ahead = this.#ahead.take(transaction, state)
    const history = ahead < 0 ? state.card(transaction.card) : this.#ahead.historyAt(ahead)
    const event = ahead < 0 ? this.#event : this.#ahead.eventAt(ahead)
    if (ahead < 0) fillCardEvent(event, transaction, offset, this.#rates, this.#plan.needs)
    else event.offset = offset
    const first = history.indexOfId(event.idHash)
    if (first >= 0) {
      // A partition that lost its state cannot detect duplicates, and must reach the same position.
      this.passOver(event.timeMs)
      return this.#duplicate(history, first, event, out)
    }
    const isRetry = history.isRetry(event.timeMs, event.idHash, event.intentHash)
    const frontier = { nextOffset: offset, labelNextOffset }
    this.#readEntities(event, frontier, state, ahead)
    const isApproximate = this.#writeRow(event, isRetry, history, out)
    const annotations = this.#annotationsOf(event, isRetry, history, isApproximate, out)
    const isForgotten =
      annotations !== NO_ANNOTATIONS &&
      (annotations.includes('behind_reach') || annotations.includes('no_rate'))
    const recomputed = isForgotten
      ? NONE
      : this.#insert(event, history, frontier, state, annotations)
    if (!isForgotten && record !== null) state.messages?.keep(offset, event.timeMs, record)
    this.passOver(event.timeMs)
    const { amountMinor } = event
    return { annotations, duplicateOfOffset: null, duplicateOutcome: 0, amountMinor, recomputed }
  }

  /**
   * Writes the row of a transaction whose state is unreadable: only features of the transaction itself have values.
   * Changes only the partition's position; the state is rebuilt from the log later.
   */
  applyDegraded(transaction: Transaction, offset: number, out: RowOutput): Folded {
    const event = cardEventOf(transaction, offset, this.#rates)
    const aggregates = this.#aggregates
    this.#entities.reset(event.timeMs)
    aggregates.card.read(NO_HISTORY, event)
    this.#plan.write(event, false, NO_HISTORY, aggregates, out)
    if (Number.isNaN(event.amountMinor)) this.#plan.clearAmounts(out)
    this.#writeStates(ALL_DEGRADED, out.row, out.position, out.states)
    this.passOver(event.timeMs)
    return {
      annotations: Number.isNaN(event.amountMinor) ? ['degraded', 'no_rate'] : ['degraded'],
      duplicateOfOffset: null,
      duplicateOutcome: 0,
      amountMinor: event.amountMinor,
      recomputed: NONE,
    }
  }

  #duplicate(
    history: CardHistory,
    first: number,
    { amountMinor }: CardEvent,
    { row, states, position }: RowOutput,
  ): Folded {
    const end = position + this.#plan.definitions.length
    row.fill(NaN, position, end)
    states.fill(1, position, end)
    return {
      annotations: ['duplicate'],
      duplicateOfOffset: history.at(first, COLUMN.offset),
      duplicateOutcome: history.outcomeAt(first),
      amountMinor,
      recomputed: NONE,
    }
  }

  #readEntities(event: CardEvent, ownFrontier: Frontier, state: PartitionState, ahead = -1): void {
    const { timeMs } = event
    const newestMs = Math.max(this.#newestEventMs, this.#watermarkMs)
    const faults = this.#faults
    faults.areEntitiesExpired = timeMs < Math.max(newestMs - LATENESS_MS, state.entityHorizonMs)
    this.#entities.read(event, ownFrontier, state, faults, ahead)
  }

  /** Requires the entities to be read. Returns true if windows may not be exact. */
  #writeRow(event: CardEvent, isRetry: boolean, history: CardHistory, out: RowOutput): boolean {
    const aggregates = this.#aggregates
    aggregates.card.read(history, event)
    this.#plan.write(event, isRetry, history, aggregates, out)
    if (Number.isNaN(event.amountMinor)) this.#plan.clearAmounts(out)
    this.#faults.cardExpiredFrom = aggregates.card.expiredFrom
    this.#writeStates(this.#faults, out.row, out.position, out.states)
    return aggregates.card.isApproximate || this.#entities.isApproximate
  }

  #annotationsOf(
    { timeMs, amountMinor }: CardEvent,
    isRetry: boolean,
    history: CardHistory,
    isApproximate: boolean,
    { states, position }: RowOutput,
  ): readonly FeatureAnnotation[] {
    const isLate = this.#aggregates.card.rank < history.count
    const isAfterWatermark = timeMs <= this.#watermarkMs
    const end = position + this.#plan.definitions.length
    const own = hasFaults(this.#faults) ? states.subarray(position, end) : null
    const isExpired = own?.includes(STATE.expired) === true
    const isDegraded = own?.includes(STATE.degraded) === true
    const isBehind = history.isTooLate(timeMs) || this.#newestEventMs - timeMs > REACH_MS
    const hasNoRate = Number.isNaN(amountMinor)
    const isBaseline = !isRetry && !isApproximate && !isLate && !isAfterWatermark && !isBehind
    if (isBaseline && !hasNoRate && !isExpired && !isDegraded) return NO_ANNOTATIONS
    return annotationsThat({
      duplicate: false,
      retry: isRetry,
      late: isLate,
      behind_reach: isBehind,
      windows_approximate: isApproximate,
      after_watermark: isAfterWatermark,
      expired: isExpired,
      degraded: isDegraded,
      no_rate: hasNoRate,
    })
  }

  /** Adds the event to its card and entities. Returns the later decisions that it changes. */
  #insert(
    event: CardEvent,
    history: CardHistory,
    frontier: Frontier,
    state: PartitionState,
    annotations: readonly FeatureAnnotation[],
  ): readonly Recomputed[] {
    const { kept } = this.#plan.card
    if (annotations === NO_ANNOTATIONS) {
      history.insert(event, false, kept, history.count)
      if (this.#keepsEntities) this.#entities.insert(event, state, true)
      return NONE
    }
    const isRetry = annotations.includes('retry')
    const changed = annotations.includes('late')
      ? this.#insertLate(event, isRetry, history, frontier, state)
      : NONE
    if (changed === NONE) history.insert(event, isRetry, kept)
    // Other partitions may have decided relying on the watermark.
    if (this.#keepsEntities && !annotations.includes('after_watermark')) {
      this.#entities.insert(event, state, changed === NONE)
    }
    return changed
  }

  /** Inserts an event before others. Later decisions are computed just before and just after the insertion. */
  #insertLate(
    event: CardEvent,
    isRetry: boolean,
    history: CardHistory,
    frontier: Frontier,
    state: PartitionState,
  ): readonly Recomputed[] {
    const read = this.#readRecord
    const { messages } = state
    if (read === undefined || messages === undefined) return NONE
    const fromMs = revisableFromMs(this.#newestEventMs)
    const later = revisable(history, event, fromMs, messages, (message, offset) => {
      const transaction = read(message)
      if (transaction === null) return null
      return { transaction, event: cardEventOf(transaction, offset, this.#rates) }
    })
    if (later.length === 0) return NONE
    const rowOf = (of: CardEvent): ComputedRow => {
      const row = new Float64Array(this.#plan.definitions.length)
      const states = new Uint8Array(row.length)
      const index = history.indexOfOffset(of.offset)
      const wasRetry = (history.at(index, COLUMN.flags) & FLAG.retry) !== 0
      // Both rows see entities as the cause sees them.
      this.#readEntities(of, frontier, state)
      const isApproximate = this.#writeRow(of, wasRetry, history, { row, states, position: 0 })
      return { row, states, isApproximate }
    }
    const before = later.map(({ event: of }) => rowOf(of))
    history.insert(event, isRetry, this.#plan.card.kept)
    return recompute(history, event.offset, later, before, rowOf)
  }
}
