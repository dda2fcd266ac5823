// Definition of a feature, as data. The compiled plan, the hash that models carry, and docs/features.md are derived
// from it.

import { DAY_MS, HOUR_MS, MINUTE_MS } from './time.ts'

/** Shared entities, which several cards have in common. Their order is that of the state's keys. */
export const ENTITY_KINDS = ['terminal', 'merchant', 'device', 'network'] as const
export type EntityKind = (typeof ENTITY_KINDS)[number]

const KIND_INDEX: Readonly<Record<EntityKind, number>> = {
  terminal: 0,
  merchant: 1,
  device: 2,
  network: 3,
}

/** Kind and 48-bit hash of a shared entity in one exact number, which is the entity's key in the state. */
export function entityKeyOf(kind: EntityKind, ref: number): number {
  return ref * ENTITY_KINDS.length + KIND_INDEX[kind]
}

/** Objects that a card's events refer to; a pair is the card together with one of these. */
export const REFERENCES = [
  'merchant',
  'terminal',
  'device',
  'network',
  'category',
  'country',
] as const
export type Reference = (typeof REFERENCES)[number]

/** Aggregates over the transaction alone. */
export const TRANSACTION_AGGREGATES = [
  'amount',
  'weekend',
  'night',
  'hour',
  'card_not_present',
  'category_code',
] as const

/** Aggregates over the card's history: counts and amounts. */
export const CARD_AMOUNT_AGGREGATES = [
  'count',
  'attempts',
  'sum',
  'mean',
  'deviation',
  'minimum',
  'maximum',
  'ratio_to_mean',
  'z_score',
  'quantile',
  'count_ratio',
  'sum_ratio',
  'just_under_limit',
] as const
export type CardAmountAggregate = (typeof CARD_AMOUNT_AGGREGATES)[number]

/**
 * Aggregates over the card's history: times, places and references. A pair aggregate counts events with the
 * transaction's own reference.
 */
export const CARD_HABIT_AGGREGATES = [
  'seconds_since_last',
  'distinct',
  'is_new',
  'hour_share',
  'weekday_share',
  'speed',
  'distance',
  'declines',
  'declined_then_retried',
  'pair_count',
  'pair_seconds_since_last',
] as const
export type CardBehaviourAggregate = (typeof CARD_HABIT_AGGREGATES)[number]

export const CARD_AGGREGATES = [...CARD_AMOUNT_AGGREGATES, ...CARD_HABIT_AGGREGATES] as const

export function isAmountAggregate(
  aggregate: CardAmountAggregate | CardBehaviourAggregate,
): aggregate is CardAmountAggregate {
  return (CARD_AMOUNT_AGGREGATES as readonly string[]).includes(aggregate)
}

/** Aggregates over a shared entity. */
export const ENTITY_AGGREGATES = [
  'count',
  'fraud_share',
  'frauds',
  'distinct_cards',
  'fraud_run',
  'fraud_run_age',
] as const

/** Unit of values that are names, not amounts: there is nothing between two of them, and no order. */
export const CODE_UNIT = 'code'

/** Conditions under which a value is absent. Closed list, in words. */
export const ABSENCES = {
  never: 'never',
  channel: 'no channel known',
  category: 'no category known',
  reference: 'the transaction names none',
  entity: 'the transaction names none',
  payments: 'no payment but retries in the window',
  history: 'no earlier payment in the window',
  two: 'fewer than two earlier payments in the window, or all of one amount',
  spread: 'fewer than two earlier payments in the window',
  known: 'the transaction names none, or no earlier one does',
  pair: 'no earlier attempt at it in the window',
  attempts: 'no earlier attempt in the window',
  place: 'no place, or none before in the window',
  decline: 'no declined attempt in 30 days',
  run: 'the transaction names none, or no such run',
} as const
export type Absence = keyof typeof ABSENCES

interface Common {
  /** Part of the contract: stored with every model. */
  readonly name: string
  /** Length of the window; 0 for none. Windows are (t - delay - window, t - delay]. */
  readonly windowMs: number
  readonly delayMs: number
  /** True when the transaction itself counts. */
  readonly includesCurrent: boolean
  readonly unit: string
  readonly absence: Absence
  /** Meaning, for an analyst. */
  readonly sentence: string
}

/** One input number of the model. */
export type FeatureDefinition = Common &
  (
    | {
        readonly entity: 'transaction'
        readonly aggregate: (typeof TRANSACTION_AGGREGATES)[number]
      }
    | {
        readonly entity: 'card'
        readonly aggregate: (typeof CARD_AGGREGATES)[number]
        /** The reference that is counted or compared, for aggregates over one. */
        readonly of?: Reference
        /** The longer window of a ratio, or the window in which a limit is learnt. */
        readonly longWindowMs?: number
      }
    | {
        readonly entity: EntityKind
        readonly aggregate: (typeof ENTITY_AGGREGATES)[number]
      }
  )

/** Windows by their name in feature names. */
export const WINDOWS = {
  '1m': { windowMs: MINUTE_MS, words: 'minute' },
  '10m': { windowMs: 10 * MINUTE_MS, words: '10 minutes' },
  '1h': { windowMs: HOUR_MS, words: 'hour' },
  '1d': { windowMs: DAY_MS, words: 'day' },
  '7d': { windowMs: 7 * DAY_MS, words: '7 days' },
  '30d': { windowMs: 30 * DAY_MS, words: '30 days' },
} as const
