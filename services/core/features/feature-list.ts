// The features, as data. Order and names are a contract: both are stored with every model.

import { createHash } from 'node:crypto'
import { DAY_MS, ENTITY_DELAY_MS, HOUR_MS } from './time.ts'

/** One number that the model sees. */
export interface FeatureDefinition {
  readonly name: string
  readonly entity: 'transaction' | 'card' | 'terminal'
  readonly aggregate: string
  /** Length of the window, 0 for none. Windows are (t - window, t], entity windows shifted by `delayMs`. */
  readonly windowMs: number
  readonly delayMs: number
  readonly unit: string
  /** When the value is absent (NaN in a row). */
  readonly absentWhen: string
  /** What it says, for an analyst. */
  readonly sentence: string
}

type Entity = FeatureDefinition['entity']

function define(
  name: string,
  entity: Entity,
  aggregate: string,
  windowMs: number,
  unit: string,
  absentWhen: string,
  sentence: string,
): FeatureDefinition {
  const delayMs = entity === 'terminal' ? ENTITY_DELAY_MS : 0
  return { name, entity, aggregate, windowMs, delayMs, unit, absentWhen, sentence }
}

const WINDOWS = [
  ['1d', DAY_MS, 'day'],
  ['7d', 7 * DAY_MS, '7 days'],
  ['30d', 30 * DAY_MS, '30 days'],
] as const

export const FEATURES: readonly FeatureDefinition[] = [
  define('amount', 'transaction', 'value', 0, 'EUR', 'never', 'amount of this payment'),
  define(
    'is_weekend',
    'transaction',
    'flag',
    0,
    '0 or 1',
    'never',
    'payment at a weekend, local time',
  ),
  define(
    'is_night',
    'transaction',
    'flag',
    0,
    '0 or 1',
    'never',
    'payment before 7 in the morning, local time',
  ),
  define(
    'hour_of_day',
    'transaction',
    'value',
    0,
    'hours',
    'never',
    'hour of the payment, local time',
  ),
  ...WINDOWS.map(([short, windowMs, words]) =>
    define(
      `card_count_${short}`,
      'card',
      'count',
      windowMs,
      'payments',
      'never',
      `payments of the card in the last ${words}`,
    ),
  ),
  ...WINDOWS.map(([short, windowMs, words]) =>
    define(
      `card_mean_amount_${short}`,
      'card',
      'mean',
      windowMs,
      'EUR',
      'no payment but retries in the window',
      `mean amount of the card in the last ${words}`,
    ),
  ),
  ...WINDOWS.map(([short, windowMs, words]) =>
    define(
      `terminal_count_${short}`,
      'terminal',
      'count',
      windowMs,
      'payments',
      'no terminal',
      `payments at the terminal in the ${words} up to a week ago`,
    ),
  ),
  ...WINDOWS.map(([short, windowMs, words]) =>
    define(
      `terminal_fraud_share_${short}`,
      'terminal',
      'share of known frauds',
      windowMs,
      'share',
      'no terminal',
      `share of known frauds at the terminal in the ${words} up to a week ago`,
    ),
  ),
  define(
    'card_count_1h',
    'card',
    'count',
    HOUR_MS,
    'payments',
    'never',
    'payments of the card in the last hour',
  ),
  define(
    'card_attempts_1h',
    'card',
    'count with retries',
    HOUR_MS,
    'attempts',
    'never',
    'attempts of the card in the last hour, retries counted',
  ),
  define(
    'card_amount_ratio_30d',
    'card',
    'ratio',
    30 * DAY_MS,
    'ratio',
    'no earlier payment in the window',
    "amount against the card's own mean of the 30 days before",
  ),
  define(
    'card_seconds_since_last',
    'card',
    'time since last',
    30 * DAY_MS,
    's',
    'no earlier payment in the window',
    'seconds since the last payment of the card',
  ),
  define(
    'card_device_is_new',
    'card',
    'flag',
    30 * DAY_MS,
    '0 or 1',
    'no device, or none before',
    'first payment of the card from this device in 30 days',
  ),
  define(
    'card_speed_kmh',
    'card',
    'speed',
    30 * DAY_MS,
    'km/h',
    'no place, or none before',
    'speed needed from the place of the last payment',
  ),
]

export const FEATURE_COUNT = FEATURES.length

export const FEATURE_NAMES: readonly string[] = FEATURES.map(({ name }) => name)

/**
 * SHA-256 of what the numbers mean, hex: names, order, entities, aggregates, windows, units. A model trained on
 * another list is refused. The sentences for analysts are left out, so that they may be worded better.
 */
export const FEATURE_LIST_HASH = createHash('sha256')
  .update(
    JSON.stringify(
      FEATURES.map(({ name, entity, aggregate, windowMs, delayMs, unit, absentWhen }) => [
        name,
        entity,
        aggregate,
        windowMs,
        delayMs,
        unit,
        absentWhen,
      ]),
    ),
  )
  .digest('hex')
