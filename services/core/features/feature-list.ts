// The features, as data. Order and names are a contract: both are stored with every model.

import { createHash } from 'node:crypto'
import {
  WINDOWS,
  type Absence,
  type EntityKind,
  type FeatureDefinition,
  type Reference,
  type WindowName,
} from './feature-definition.ts'
import { DAY_MS, ENTITY_DELAY_MS, LABEL_DELAY_MS } from './time.ts'

type Of<Entity> = Extract<FeatureDefinition, { readonly entity: Entity }>

function own(
  aggregate: Of<'transaction'>['aggregate'],
  name: string,
  unit: string,
  sentence: string,
  absence: Absence = 'never',
): FeatureDefinition {
  const entity = 'transaction'
  const rest = { windowMs: 0, delayMs: 0, includesCurrent: true }
  return { name, entity, aggregate, ...rest, unit, absence, sentence }
}

interface CardOptions {
  readonly unit?: string
  readonly absence?: Absence
  readonly of?: Reference
  readonly longWindowMs?: number
  /** False where only what came before counts. */
  readonly current?: boolean
}

function card(
  aggregate: Of<'card'>['aggregate'],
  name: string,
  window: WindowName,
  sentence: string,
  options: CardOptions = {},
): FeatureDefinition {
  const { unit = 'payments', absence = 'never', current = true, of, longWindowMs } = options
  return {
    name,
    entity: 'card',
    aggregate,
    ...(of !== undefined && { of }),
    ...(longWindowMs !== undefined && { longWindowMs }),
    windowMs: WINDOWS[window].windowMs,
    delayMs: 0,
    includesCurrent: current,
    unit,
    absence,
    sentence,
  }
}

/** Windows over labels end a week ago, others two hours ago. */
function shared(
  entity: EntityKind,
  aggregate: Of<EntityKind>['aggregate'],
  window: WindowName,
  unit: string,
  sentence: string,
  delay: 'label' | 'short' = 'label',
): FeatureDefinition {
  const isRun = aggregate === 'fraud_run' || aggregate === 'fraud_run_age'
  return {
    name: isRun ? `${entity}_${aggregate}` : `${entity}_${aggregate}_${window}`,
    entity,
    aggregate,
    windowMs: WINDOWS[window].windowMs,
    delayMs: delay === 'label' ? LABEL_DELAY_MS : ENTITY_DELAY_MS,
    includesCurrent: false,
    unit,
    absence: aggregate === 'fraud_run_age' ? 'run' : 'entity',
    sentence,
  }
}

const COUNTED = ['1d', '7d', '30d'] as const
const EARLIER = { current: false, absence: 'history' } as const
const FLAG = { unit: '0 or 1', absence: 'known', current: true } as const

const PUBLISHED: readonly FeatureDefinition[] = [
  own('amount', 'amount', 'EUR', 'amount of this payment'),
  own('weekend', 'is_weekend', '0 or 1', 'payment at a weekend, local time'),
  own('night', 'is_night', '0 or 1', 'payment before 7 in the morning, local time'),
  own('hour', 'hour_of_day', 'hours', 'hour of the payment, local time'),
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
      'attempts',
      `payments at the terminal in the ${WINDOWS[window].words} up to a week ago`,
    ),
  ),
  ...COUNTED.map((window) =>
    shared(
      'terminal',
      'fraud_share',
      window,
      'share',
      `share of known frauds at the terminal in the ${WINDOWS[window].words} up to a week ago`,
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
  card('seconds_since_last', 'card_seconds_since_last', '30d', 'seconds since the last attempt', {
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

const HABITS: readonly FeatureDefinition[] = [
  ...(['1d', '30d'] as const).map((window) =>
    card(
      'distinct',
      `card_merchants_${window}`,
      window,
      `merchants of the card in the last ${WINDOWS[window].words}`,
      { of: 'merchant', unit: 'merchants', absence: 'reference' },
    ),
  ),
  card('distinct', 'card_terminals_1d', '1d', 'terminals of the card in the last day', {
    of: 'terminal',
    unit: 'terminals',
    absence: 'reference',
  }),
  card('distinct', 'card_countries_7d', '7d', 'countries of the card in the last 7 days', {
    of: 'country',
    unit: 'countries',
    absence: 'reference',
  }),
  card('distinct', 'card_devices_30d', '30d', 'devices of the card in the last 30 days', {
    of: 'device',
    unit: 'devices',
    absence: 'reference',
  }),
  card('is_new', 'card_device_is_new', '30d', 'first payment from this device in 30 days', {
    ...FLAG,
    of: 'device',
  }),
  card('is_new', 'card_merchant_is_new', '30d', 'first payment at this merchant in 30 days', {
    ...FLAG,
    of: 'merchant',
  }),
  card('is_new', 'card_terminal_is_new', '30d', 'first payment at this terminal in 30 days', {
    ...FLAG,
    of: 'terminal',
  }),
  card('is_new', 'card_network_is_new', '30d', 'first payment from this network in 30 days', {
    ...FLAG,
    of: 'network',
  }),
  card('is_new', 'card_country_is_new', '30d', 'first payment in this country in 30 days', {
    ...FLAG,
    of: 'country',
  }),
  card('is_new', 'card_category_is_new', '30d', 'first payment of this kind in 30 days', {
    ...FLAG,
    of: 'category',
  }),
  card('pair_count', 'card_merchant_count_30d', '30d', 'payments at this merchant in 30 days', {
    of: 'merchant',
    absence: 'reference',
  }),
  card(
    'pair_seconds_since_last',
    'card_merchant_seconds_since_last',
    '30d',
    'seconds since the last attempt at this merchant',
    { of: 'merchant', unit: 's', absence: 'pair', current: false },
  ),
  card('hour_share', 'card_hour_share_30d', '30d', 'share of its payments at this time of day', {
    ...EARLIER,
    unit: 'share',
  }),
  card('weekday_share', 'card_weekday_share_30d', '30d', 'share of its payments on this weekday', {
    ...EARLIER,
    unit: 'share',
  }),
  card('speed', 'card_speed_kmh', '30d', 'speed needed from the place of the last payment', {
    unit: 'km/h',
    absence: 'place',
    current: false,
  }),
  card('distance', 'card_distance_km', '30d', 'distance from the place of the last payment', {
    unit: 'km',
    absence: 'place',
    current: false,
  }),
  card('declines', 'card_declines_1h', '1h', 'declined attempts in the last hour', {
    unit: 'attempts',
    current: false,
  }),
  card(
    'declined_then_retried',
    'card_declined_then_retried_1d',
    '1d',
    'declined attempts in the last day that were tried again within 10 minutes',
    { unit: 'attempts' },
  ),
]

const SHARED: readonly FeatureDefinition[] = [
  shared(
    'terminal',
    'fraud_run',
    '30d',
    'attempts',
    'latest payments at the terminal in a row that are known frauds, up to a week ago',
  ),
  shared(
    'terminal',
    'fraud_run_age',
    '30d',
    's',
    'seconds since that run of known frauds at the terminal began',
  ),
  shared(
    'terminal',
    'distinct_cards',
    '1d',
    'cards',
    'cards at the terminal in the day up to two hours ago',
    'short',
  ),
  shared(
    'merchant',
    'count',
    '1d',
    'attempts',
    'payments at the merchant in the day up to two hours ago',
    'short',
  ),
  shared(
    'merchant',
    'distinct_cards',
    '1d',
    'cards',
    'cards at the merchant in the day up to two hours ago',
    'short',
  ),
  shared(
    'merchant',
    'fraud_share',
    '30d',
    'share',
    'share of known frauds at the merchant in the 30 days up to a week ago',
  ),
  shared(
    'device',
    'distinct_cards',
    '1d',
    'cards',
    'cards used from the device in the day up to two hours ago',
    'short',
  ),
  shared(
    'device',
    'frauds',
    '30d',
    'frauds',
    'known frauds from the device in the 30 days up to a week ago',
  ),
  shared(
    'network',
    'count',
    '1h',
    'attempts',
    'payments from the network in the hour up to two hours ago',
    'short',
  ),
  shared(
    'network',
    'distinct_cards',
    '1d',
    'cards',
    'cards used from the network in the day up to two hours ago',
    'short',
  ),
  shared(
    'network',
    'frauds',
    '30d',
    'frauds',
    'known frauds from the network in the 30 days up to a week ago',
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
  ...VELOCITY,
  ...AMOUNTS,
  ...HABITS,
  ...SHARED,
]

export const FEATURE_COUNT = FEATURES.length

export const FEATURE_NAMES: readonly string[] = FEATURES.map(({ name }) => name)

/** What a definition means, without its wording. */
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
 * SHA-256 of what the numbers mean, hex: names, order, entities, aggregates, windows, units. A model trained on
 * another list is refused. The sentences for analysts are left out, so that they may be worded better.
 */
export const FEATURE_LIST_HASH = createHash('sha256')
  .update(JSON.stringify(FEATURES.map(meaningOf)))
  .digest('hex')
