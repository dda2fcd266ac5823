// The one definition of what a transaction's features are (P4): labels and transactions of one lane are folded,
// in offset order, into card histories and entity parts. The scorer folds over values from Redis, the
// trainer over maps in memory; both call this.

import type { RateTable } from '../currency.ts'
import { referenceOf } from '../reference.ts'
import type { Label, Transaction } from '../transaction.ts'
import type { CardHistory, StoredOutcome } from './card-history.ts'
import { CardReading } from './card-reading.ts'
import { ENTITY_RETAIN_MS, type Cut, type EntityPart, type EntityWindow } from './entity-part.ts'
import { FEATURE_COUNT } from './feature-list.ts'
import { type TerminalReading, toE4, writeFeatureRow } from './feature-row.ts'
import { DAY_MS, ENTITY_DELAY_MS, LATENESS_MS, REACH_MS, bucketStartMs } from './time.ts'

/** A part of an entity and how much of it may be read. */
export interface ReadablePart {
  readonly part: EntityPart
  readonly cut: Cut
}

/** State as the fold needs it: values of this lane to change, parts of the other lanes to read. */
export interface LaneState {
  card(card: string): CardHistory
  ownTerminal(terminal: string): EntityPart
  otherTerminals(terminal: string): readonly ReadablePart[]
}

/** State that can also be looked at without being changed by it. */
export interface CardLookup {
  /** The card as it stands, not to be changed; null when it has no history, or was not read. */
  peekCard(card: string): CardHistory | null
}

/** Anything about a decision that its reader should know. Closed list; in the order of the bits. */
export const FOLD_MARKS = [
  'duplicate',
  'retry',
  'late',
  'behind_reach',
  'windows_approximate',
  'after_watermark',
] as const
export type FoldMark = (typeof FOLD_MARKS)[number]

/** How one transaction was folded; its feature row was written unless it is a duplicate. */
export interface Folded {
  readonly marks: readonly FoldMark[]
  /** Offset of the first transaction with the same id, or null. */
  readonly duplicateOfOffset: number | null
  readonly duplicateOutcome: StoredOutcome
  /** Amount in minor units of the reference currency. */
  readonly amountMinor: number
}

const TERMINAL_WINDOWS_MS = [DAY_MS, 7 * DAY_MS, 30 * DAY_MS] as const
const NO_MARKS: readonly FoldMark[] = []

/** Where a lane stands; restored from what was committed, so that a crash changes nothing. */
export interface LanePosition {
  /** Newest event time among the transactions before; -1 for none. */
  readonly newestEventMs: number
  /** Newest watermark of the transactions and of the labels; -1 for none. */
  readonly watermarkMs: number
  readonly labelWatermarkMs: number
}

export const LANE_START: LanePosition = { newestEventMs: -1, watermarkMs: -1, labelWatermarkMs: -1 }

export class LaneFold {
  readonly #rates: RateTable
  readonly #reading = new CardReading()
  readonly #windows: [EntityWindow, EntityWindow, EntityWindow] = [
    { count: 0, frauds: 0, isApproximate: false },
    { count: 0, frauds: 0, isApproximate: false },
    { count: 0, frauds: 0, isApproximate: false },
  ]
  #position: LanePosition

  constructor(rates: RateTable, position: LanePosition) {
    this.#rates = rates
    this.#position = position
  }

  get position(): LanePosition {
    return this.#position
  }

  applyWatermark(timeMs: number): void {
    const watermarkMs = Math.max(this.#position.watermarkMs, timeMs)
    this.#position = { ...this.#position, watermarkMs }
  }

  applyLabelWatermark(timeMs: number): void {
    const labelWatermarkMs = Math.max(this.#position.labelWatermarkMs, timeMs)
    this.#position = { ...this.#position, labelWatermarkMs }
  }

  /**
   * A label may be applied early: features count it from its known-at time on. One that comes after the
   * watermark that promised it could not counts from that watermark on: other lanes have decided without it.
   */
  applyLabel(label: Label, labelOffset: number, state: LaneState): void {
    if (label.terminal === null) return
    state.ownTerminal(label.terminal).insertLabel({
      timeMs: label.eventTimeMs,
      knownAtMs: Math.max(label.knownAtMs, this.#position.labelWatermarkMs + 1),
      idRef: referenceOf(label.transactionId),
      labelOffset,
      isFraud: label.verdict === 'fraud',
    })
  }

  /**
   * Writes the transaction's feature row at `rowPosition` (NaN throughout for a duplicate) and adds it to the
   * state. Labels with an offset below `labelNextOffset` are visible. The currency must be in the table.
   */
  applyTransaction(
    transaction: Transaction,
    offset: number,
    labelNextOffset: number,
    state: LaneState,
    row: Float64Array,
    rowPosition: number,
  ): Folded {
    const reading = this.#reading
    const history = state.card(transaction.card)
    const amountMinor = this.#referenceAmount(transaction)
    const { latitude, longitude } = transaction
    const hasPlace = latitude !== null && longitude !== null
    const query = {
      timeMs: transaction.eventTimeMs,
      offset,
      idRef: referenceOf(transaction.id),
      intentRef: transaction.intentId === null ? 0 : referenceOf(transaction.intentId),
      deviceRef: transaction.device === null ? 0 : referenceOf(transaction.device),
      hasPlace,
    }
    reading.read(history, query)
    if (reading.duplicateOfOffset >= 0) {
      row.fill(NaN, rowPosition, rowPosition + FEATURE_COUNT)
      return {
        marks: ['duplicate'],
        duplicateOfOffset: reading.duplicateOfOffset,
        duplicateOutcome: reading.duplicateOutcome,
        amountMinor,
      }
    }
    const terminal = this.#readTerminal(transaction, offset, labelNextOffset, state)
    writeFeatureRow(transaction, amountMinor, history, reading, terminal, row, rowPosition)
    const marks = this.#marks(transaction, terminal)
    if (!marks.includes('behind_reach')) {
      history.insert({
        ...query,
        amountMinor,
        latitudeE4: hasPlace ? toE4(latitude) : 0,
        longitudeE4: hasPlace ? toE4(longitude) : 0,
        isRetry: reading.isRetry,
      })
      // Other lanes may already have decided on the promise that nothing so old follows.
      if (transaction.terminal !== null && !marks.includes('after_watermark')) {
        state.ownTerminal(transaction.terminal).insert(transaction.eventTimeMs, offset)
      }
    }
    const newestEventMs = Math.max(this.#position.newestEventMs, transaction.eventTimeMs)
    if (newestEventMs !== this.#position.newestEventMs) {
      this.#position = { ...this.#position, newestEventMs }
    }
    return { marks, duplicateOfOffset: null, duplicateOutcome: 0, amountMinor }
  }

  #referenceAmount({ amountMinor, currency, eventTimeMs }: Transaction): number {
    const reference = this.#rates.toReferenceMinor(amountMinor, currency, eventTimeMs)
    if (reference === null)
      throw new Error(`No rate for ${currency}; the decoder lets none through.`)
    return reference
  }

  #readTerminal(
    { terminal, eventTimeMs }: Transaction,
    offset: number,
    labelNextOffset: number,
    state: LaneState,
  ): TerminalReading {
    if (terminal === null) return null
    const toMs = eventTimeMs - ENTITY_DELAY_MS
    const own = state.ownTerminal(terminal)
    const ownCut = { nextOffset: offset, labelNextOffset }
    const others = state.otherTerminals(terminal)
    const knownFromMs = this.#othersKnownFromMs()
    for (let index = 0; index < 3; index += 1) {
      const window = this.#windows[index as 0 | 1 | 2]
      const fromMs = toMs - (TERMINAL_WINDOWS_MS[index] ?? 0)
      window.count = 0
      window.frauds = 0
      window.isApproximate = false
      own.addWindow(fromMs, toMs, eventTimeMs, ownCut, window)
      const othersFromMs = Math.max(fromMs, knownFromMs)
      if (othersFromMs >= toMs) continue
      for (const { part, cut } of others) {
        part.addWindow(othersFromMs, toMs, eventTimeMs, cut, window)
      }
    }
    return this.#windows
  }

  /**
   * From when on the other lanes still know everything, however far ahead they are: in an aligned replay less
   * than the entity delay past our watermark. Only a transaction far behind its watermark looks further back.
   */
  #othersKnownFromMs(): number {
    const { watermarkMs } = this.#position
    if (watermarkMs < 0) return -Infinity
    return bucketStartMs(watermarkMs) + ENTITY_DELAY_MS - ENTITY_RETAIN_MS
  }

  #marks({ eventTimeMs }: Transaction, terminal: TerminalReading): readonly FoldMark[] {
    const { newestEventMs, watermarkMs } = this.#position
    const isApproximate =
      this.#reading.isApproximate || (terminal?.some((window) => window.isApproximate) ?? false)
    const isLate = newestEventMs - eventTimeMs > LATENESS_MS
    const isBehind = newestEventMs - eventTimeMs > REACH_MS
    const isAfterWatermark = eventTimeMs <= watermarkMs
    if (!this.#reading.isRetry && !isApproximate && !isLate && !isAfterWatermark) return NO_MARKS
    const marks: FoldMark[] = []
    if (this.#reading.isRetry) marks.push('retry')
    if (isLate) marks.push('late')
    if (isBehind) marks.push('behind_reach')
    if (isApproximate) marks.push('windows_approximate')
    if (isAfterWatermark) marks.push('after_watermark')
    return marks
  }
}
