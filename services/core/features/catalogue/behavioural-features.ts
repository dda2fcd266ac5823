// Features of behaviour and of shared entities; a part of the list.

import { WINDOWS, type FeatureDefinition } from './feature-definition.ts'
import { card, EARLIER, shared } from './feature-makers.ts'

const FLAG = { unit: '0 or 1', absence: 'known', current: true } as const

/** Use of the card: merchants, places and times. */
export const HABITS: readonly FeatureDefinition[] = [
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
    'time since the last attempt at this merchant',
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

/** Entities that several cards share. */
export const SHARED: readonly FeatureDefinition[] = [
  shared(
    'terminal',
    'fraud_run',
    '30d',
    'latest payments at the terminal in a row that are known frauds, up to a week ago',
    { unit: 'attempts' },
  ),
  shared(
    'terminal',
    'fraud_run_age',
    '30d',
    'time since that run of known frauds at the terminal began',
    { unit: 's' },
  ),
  shared(
    'terminal',
    'distinct_cards',
    '1d',
    'cards at the terminal in the day up to two hours ago',
    { unit: 'cards', delay: 'short' },
  ),
  shared('merchant', 'count', '1d', 'payments at the merchant in the day up to two hours ago', {
    unit: 'attempts',
    delay: 'short',
  }),
  shared(
    'merchant',
    'distinct_cards',
    '1d',
    'cards at the merchant in the day up to two hours ago',
    { unit: 'cards', delay: 'short' },
  ),
  shared(
    'merchant',
    'fraud_share',
    '30d',
    'share of known frauds at the merchant in the 30 days up to a week ago',
    { unit: 'share' },
  ),
  shared(
    'device',
    'distinct_cards',
    '1d',
    'cards used from the device in the day up to two hours ago',
    { unit: 'cards', delay: 'short' },
  ),
  shared(
    'device',
    'frauds',
    '30d',
    'known frauds from the device in the 30 days up to a week ago',
    { unit: 'frauds' },
  ),
  shared('network', 'count', '1h', 'payments from the network in the hour up to two hours ago', {
    unit: 'attempts',
    delay: 'short',
  }),
  shared(
    'network',
    'distinct_cards',
    '1d',
    'cards used from the network in the day up to two hours ago',
    { unit: 'cards', delay: 'short' },
  ),
  shared(
    'network',
    'frauds',
    '30d',
    'known frauds from the network in the 30 days up to a week ago',
    { unit: 'frauds' },
  ),
]
