// The features, as data. Order and names are a contract: both are stored with every model.

import { createHash } from 'node:crypto'
import { CODE_UNIT, WINDOWS, type FeatureDefinition } from './feature-definition.ts'
import { HABITS, SHARED } from './behavioural-features.ts'
import { card, EARLIER, own, shared } from './feature-makers.ts'
import { DAY_MS } from './time.ts'

const COUNTED = ['1d', '7d', '30d'] as const

const PUBLISHED: readonly FeatureDefinition[] = [
  own('amount', 'amount', 'EUR', 'amount of this payment'),
  own('weekend', 'is_weekend', '0 or 1', 'payment at a weekend, local time'),
  own('night', 'is_night', '0 or 1', 'payment before 7 in the morning, local time'),
  own('hour', 'hour_of_day', 'hours', 'time of day of the payment, local time'),
  ...COUNTED.map((window) =>
    card(
      'count',
      `card_count_${window}`,
      window,
      `payments of the card in the last ${WINDOWS[window].words}`,
    ),
  ),
  ...COUNTED.map((window) =>
    card(
      'mean',
      `card_mean_amount_${window}`,
      window,
      `mean amount of the card in the last ${WINDOWS[window].words}`,
      { unit: 'EUR', absence: 'payments' },
    ),
  ),
  ...COUNTED.map((window) =>
    shared(
      'terminal',
      'count',
      window,
      `payments at the terminal in the ${WINDOWS[window].words} up to a week ago`,
      { unit: 'attempts' },
    ),
  ),
  ...COUNTED.map((window) =>
    shared(
      'terminal',
      'fraud_share',
      window,
      `share of known frauds at the terminal in the ${WINDOWS[window].words} up to a week ago`,
      { unit: 'share' },
    ),
  ),
]

const VELOCITY: readonly FeatureDefinition[] = [
  card('count', 'card_count_1m', '1m', 'payments of the card in the last minute'),
  card('count', 'card_count_10m', '10m', 'payments of the card in the last 10 minutes'),
  card('count', 'card_count_1h', '1h', 'payments of the card in the last hour'),
  card('attempts', 'card_attempts_10m', '10m', 'attempts of the card in 10 minutes, retries too', {
    unit: 'attempts',
  }),
  card('attempts', 'card_attempts_1h', '1h', 'attempts of the card in the last hour, retries too', {
    unit: 'attempts',
  }),
  card('sum', 'card_sum_1h', '1h', 'spent with the card in the last hour', { unit: 'EUR' }),
  card('sum', 'card_sum_1d', '1d', 'spent with the card in the last day', { unit: 'EUR' }),
  card('sum', 'card_sum_7d', '7d', 'spent with the card in the last 7 days', { unit: 'EUR' }),
  card('count_ratio', 'card_count_ratio_1d_30d', '1d', "payments a day against the month's rate", {
    unit: 'ratio',
    absence: 'payments',
    longWindowMs: 30 * DAY_MS,
  }),
  card('sum_ratio', 'card_sum_ratio_1d_30d', '1d', "spending a day against the month's rate", {
    unit: 'ratio',
    absence: 'payments',
    longWindowMs: 30 * DAY_MS,
  }),
  card('seconds_since_last', 'card_seconds_since_last', '30d', 'time since the last attempt', {
    unit: 's',
    absence: 'attempts',
    current: false,
  }),
]

const AMOUNTS: readonly FeatureDefinition[] = [
  card('deviation', 'card_amount_deviation_30d', '30d', 'how much its amounts vary', {
    unit: 'EUR',
    absence: 'spread',
    current: false,
  }),
  card('minimum', 'card_amount_minimum_30d', '30d', 'its smallest amount in 30 days', {
    ...EARLIER,
    unit: 'EUR',
  }),
  card('maximum', 'card_amount_maximum_30d', '30d', 'its largest amount in 30 days', {
    ...EARLIER,
    unit: 'EUR',
  }),
  card('maximum', 'card_amount_maximum_7d', '7d', 'its largest amount in 7 days', {
    ...EARLIER,
    unit: 'EUR',
  }),
  card(
    'ratio_to_mean',
    'card_amount_ratio_30d',
    '30d',
    "amount against the card's own mean of the 30 days before",
    { ...EARLIER, unit: 'ratio' },
  ),
  card(
    'z_score',
    'card_amount_z_score_30d',
    '30d',
    "amount against the card's own mean, in its own standard deviations",
    { unit: 'standard deviations', absence: 'two', current: false },
  ),
  card(
    'quantile',
    'card_amount_quantile_30d',
    '30d',
    "share of the card's own amounts below this one",
    { ...EARLIER, unit: 'share' },
  ),
  card(
    'just_under_limit',
    'card_just_under_limit_7d',
    '7d',
    'payments just under the smallest amount that was declined',
    { absence: 'decline', longWindowMs: 30 * DAY_MS },
  ),
]

export const FEATURES: readonly FeatureDefinition[] = [
  ...PUBLISHED,
  own(
    'card_not_present',
    'is_card_not_present',
    '0 or 1',
    'payment without the card at hand (online, mail or telephone)',
    'channel',
  ),
  own(
    'category_code',
    'merchant_category',
    CODE_UNIT,
    'kind of merchant (ISO 18245 code)',
    'category',
  ),
  ...VELOCITY,
  ...AMOUNTS,
  ...HABITS,
  ...SHARED,
]

export const FEATURE_COUNT = FEATURES.length

export const FEATURE_NAMES: readonly string[] = FEATURES.map(({ name }) => name)

/** Meaning of a definition, without its wording. */
function meaningOf(definition: FeatureDefinition): readonly unknown[] {
  const { name, entity, aggregate, windowMs, delayMs, includesCurrent, unit, absence } = definition
  const of = 'of' in definition ? definition.of : null
  const longWindowMs = 'longWindowMs' in definition ? definition.longWindowMs : null
  return [
    name,
    entity,
    aggregate,
    windowMs,
    delayMs,
    includesCurrent,
    unit,
    absence,
    of,
    longWindowMs,
  ]
}

/**
 * SHA-256 of the meaning of the numbers, hex: names, order, entities, aggregates, windows, units. A model trained on
 * another list is refused. The sentences for analysts are not covered, so that they may be reworded.
 */
export const FEATURE_LIST_HASH = createHash('sha256')
  .update(JSON.stringify(FEATURES.map(meaningOf)))
  .digest('hex')
