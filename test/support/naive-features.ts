// The features of a transaction the slow and obvious way: every event is stored, and filtered again for every
// transaction. Written from docs/feature-contract.md and not from the code. Tests only.
//
// The features have documented limits (at most 512 events of a card, hourly buckets of a busy entity).
// The oracle is as coarse there, and reports the exact value alongside.

import type { RateTable } from '../../services/core/rates/rate-table.ts'
import type {
  EntityKind,
  FeatureDefinition,
} from '../../services/core/features/catalogue/feature-definition.ts'
import { FEATURES } from '../../services/core/features/catalogue/feature-list.ts'
import type { FeatureState } from '../../services/core/features/engine/feature-states.ts'
import type { Label, Transaction } from '../../services/core/transaction.ts'
import { cardValue, nameOf, transactionValue, type NaiveCard } from './naive-card.ts'
import { entityValue, type NaiveEntity, type Word } from './naive-entity.ts'
import {
  CARD_SINGLES_MAX,
  compareEvents,
  DAY_MS,
  ENTITY_KEPT_MS,
  HOUR_MS,
  hourStartMs,
  isRetryOf,
  PARTITION_REACH_MS,
  LATENESS_MS,
  pastOf,
  type NaiveFrontier,
  type Past,
} from './naive-past.ts'

/** Retention of a card's events before its newest event. */
const CARD_KEPT_MS = 33 * DAY_MS + HOUR_MS

export interface NaiveValue {
  /** NaN is absent. */
  readonly value: number
  /** Exact value, as if every event were stored singly. */
  readonly exact: number
  /** A count of cards from a sketch: only close to `exact`. */
  readonly isEstimate: boolean
  readonly state: FeatureState
}

/** Answer of the oracle for one transaction. */
export interface NaiveReading {
  readonly values: ReadonlyMap<string, NaiveValue>
  readonly isRetry: boolean
  readonly isLate: boolean
  readonly isBehindReach: boolean
  readonly isAfterWatermark: boolean
  /** Offset of the first transaction with the same id, or null. */
  readonly duplicateOf: number | null
}

/** Frontier of a transaction in each partition; everything by default. */
export type NaiveFrontiers = (partition: number) => NaiveFrontier
const ALL: NaiveFrontier = { nextOffset: Infinity, labelNextOffset: Infinity }

/** Remembers everything. Transactions of one partition arrive in offset order. */
export class NaiveFeatures {
  readonly #rates: RateTable
  readonly #past: Past[] = []
  readonly #words: Word[] = []
  readonly #newestMs = new Map<number, number>()
  readonly #watermarkMs = new Map<number, number>()
  readonly #labelWatermarkMs = new Map<number, number>()

  constructor(rates: RateTable) {
    this.#rates = rates
  }

  label(partition: number, offset: number, label: Label): void {
    const promisedMs = this.#labelWatermarkMs.get(partition) ?? -1
    const knownAtMs = Math.max(label.knownAtMs, promisedMs + 1)
    this.#words.push({ partition, offset, label, knownAtMs })
  }

  watermark(partition: number, timeMs: number): void {
    this.#watermarkMs.set(partition, Math.max(timeMs, this.#watermarkMs.get(partition) ?? -1))
  }

  labelWatermark(partition: number, timeMs: number): void {
    this.#labelWatermarkMs.set(
      partition,
      Math.max(timeMs, this.#labelWatermarkMs.get(partition) ?? -1),
    )
  }

  /** Reads, then records. Values are left out when they are not needed. */
  transaction(
    partition: number,
    offset: number,
    transaction: Transaction,
    frontiers: NaiveFrontiers = () => ALL,
    hasValues = true,
  ): NaiveReading {
    const { amountMinor, currency, eventTimeMs, card } = transaction
    const reference = this.#rates.toReferenceMinor(amountMinor, currency, eventTimeMs) ?? NaN
    const isAfterWatermark = eventTimeMs <= (this.#watermarkMs.get(partition) ?? -1)
    const own = pastOf(transaction, { partition, offset }, reference, !isAfterWatermark)
    const history = this.#past
      .filter((past) => past.transaction.card === card)
      .toSorted(compareEvents)
    const newestMs = history.at(-1)?.timeMs ?? -Infinity
    const singles = history.slice(-CARD_SINGLES_MAX)
    const first = singles.findLast(
      (past) => past.idHash === own.idHash && past.timeMs >= newestMs - LATENESS_MS,
    )
    const isBehindReach =
      eventTimeMs < newestMs - LATENESS_MS ||
      eventTimeMs < (this.#newestMs.get(partition) ?? -1) - PARTITION_REACH_MS
    // Intents are stored for a day longer than a transaction may be late.
    own.isRetry = singles.some(
      (past) => past.timeMs >= newestMs - LATENESS_MS - DAY_MS && isRetryOf(own, past),
    )
    // Ids older than the lateness limit by a day are forgotten: such events come first among those of their time.
    const isAmongFinalised = eventTimeMs < newestMs - LATENESS_MS - DAY_MS
    const placed = isAmongFinalised ? { ...own, idHash: Infinity } : own
    const reading = {
      values: hasValues ? this.#values(placed, history, frontiers) : new Map<string, NaiveValue>(),
      isRetry: own.isRetry,
      isLate: history.some((past) => compareEvents(past, placed) > 0),
      isBehindReach,
      isAfterWatermark,
      duplicateOf: first?.offset ?? null,
    }
    this.#newestMs.set(partition, Math.max(this.#newestMs.get(partition) ?? -1, eventTimeMs))
    if (first === undefined && !isBehindReach) this.#remember(own)
    return reading
  }

  #remember(own: Past): void {
    this.#past.push(own)
    const singles = this.#past
      .filter((past) => past.transaction.card === own.transaction.card)
      .toSorted(compareEvents)
      .slice(-CARD_SINGLES_MAX)
    for (const past of singles) if (isRetryOf(past, own)) past.isRetry = true
  }

  #values(own: Past, history: readonly Past[], frontiers: NaiveFrontiers): Map<string, NaiveValue> {
    const card = {
      singles: history.slice(-CARD_SINGLES_MAX),
      merged: history.slice(0, -CARD_SINGLES_MAX),
    }
    const whole = { singles: history, merged: [] }
    const newestMs = history.at(-1)?.timeMs ?? -Infinity
    const partitionMs = Math.max(
      this.#newestMs.get(own.partition) ?? -1,
      this.#watermarkMs.get(own.partition) ?? -1,
    )
    const seen = new Map<EntityKind, NaiveEntity | null>()
    const values = new Map<string, NaiveValue>()
    for (const definition of FEATURES) {
      const { name, entity } = definition
      if (entity === 'transaction') {
        values.set(name, stated(transactionValue(definition, own)))
        continue
      }
      if (entity === 'card') {
        values.set(name, cardStated(definition, own, card, whole, newestMs))
        continue
      }
      const there = seen.get(entity) ?? this.#entity(entity, own, frontiers)
      seen.set(entity, there)
      if (own.timeMs < partitionMs - LATENESS_MS) values.set(name, EXPIRED)
      else if (there === null) values.set(name, stated(NaN))
      else {
        const { value, isEstimate } = entityValue(definition, own.timeMs, there, true)
        const exact = entityValue(definition, own.timeMs, there, false).value
        values.set(name, { ...stated(value), exact, isEstimate })
      }
    }
    return values
  }

  /** Events of an entity that the transaction sees; null when it names none. */
  #entity(kind: EntityKind, own: Past, frontiers: NaiveFrontiers): NaiveEntity | null {
    const name = nameOf(own.transaction, kind)
    if (name === null) return null
    const events = this.#past.filter(
      (past) =>
        past.countsAtEntities &&
        nameOf(past.transaction, kind) === name &&
        past.offset < frontiers(past.partition).nextOffset,
    )
    const keptFromMs = (partition: number): number => {
      const timesMs = events
        .filter((past) => past.partition === partition)
        .map((past) => past.timeMs)
      return hourStartMs(Math.max(...timesMs)) - ENTITY_KEPT_MS
    }
    return {
      events,
      // An id may be reused once it is forgotten; a label of its first use does not apply to the second.
      words: this.#words.filter(
        ({ label, partition, offset }) =>
          (kind === 'network' ? label.ipNetwork : label[kind]) === name &&
          offset < frontiers(partition).labelNextOffset &&
          label.eventTimeMs >= keptFromMs(partition),
      ),
    }
  }
}

function cardStated(
  definition: Extract<FeatureDefinition, { readonly entity: 'card' }>,
  own: Past,
  card: NaiveCard,
  whole: NaiveCard,
  newestMs: number,
): NaiveValue {
  const longestMs = Math.max(definition.windowMs, definition.longWindowMs ?? 0)
  if (own.timeMs - longestMs < newestMs - CARD_KEPT_MS) return EXPIRED
  return { ...stated(cardValue(definition, own, card)), exact: cardValue(definition, own, whole) }
}

const EXPIRED: NaiveValue = { value: NaN, exact: NaN, isEstimate: false, state: 'expired' }

function stated(value: number): NaiveValue {
  const state = Number.isNaN(value) ? 'absent' : 'present'
  return { value, exact: value, isEstimate: false, state }
}
