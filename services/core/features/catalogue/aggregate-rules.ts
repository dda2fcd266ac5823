// What follows from the aggregate of a feature: whether the transaction itself counts, the unit, when the value is
// absent, and what its definition must name. A catalogue states the rest.

import type {
  Absence,
  CARD_AGGREGATES,
  ENTITY_AGGREGATES,
  Reference,
  TRANSACTION_AGGREGATES,
} from './feature-definition.ts'
import { CODE_UNIT } from './feature-definition.ts'
import { DAY_MS, ENTITY_DELAY_MS, LABEL_DELAY_MS } from './time.ts'

/** Rules of an aggregate. */
export interface AggregateRules {
  readonly unit: string
  readonly absence: Absence
  readonly includesCurrent: boolean
  /** True when the definition names the reference that is counted or compared. */
  readonly needsReference: boolean
  /** True when the definition has a second, longer window. */
  readonly needsLongWindow: boolean
  /** The only window that the aggregate has, ms; null for any. */
  readonly windowMs: number | null
  /** Times before the transaction at which the window may end, ms; the first is the usual one. */
  readonly delaysMs: readonly [number, ...number[]]
}

type Rest = Partial<Omit<AggregateRules, 'unit' | 'absence'>>

function rules(unit: string, absence: Absence, rest: Rest = {}): AggregateRules {
  return {
    ...{ unit, absence, includesCurrent: false, needsReference: false },
    ...{ needsLongWindow: false, windowMs: null, delaysMs: [0] },
    ...rest,
  }
}

const MONEY = 'EUR'
const CURRENT = { includesCurrent: true } as const
const REFERENCE = { includesCurrent: true, needsReference: true } as const
const LONG = { includesCurrent: true, needsLongWindow: true } as const
/** Values that look back as far as events are kept, whatever the window. */
const LAST = { windowMs: 30 * DAY_MS } as const
const LABELS = { delaysMs: [LABEL_DELAY_MS] } as const

export const TRANSACTION_RULES: Readonly<
  Record<(typeof TRANSACTION_AGGREGATES)[number], AggregateRules>
> = {
  amount: rules(MONEY, 'never', CURRENT),
  weekend: rules('0 or 1', 'never', CURRENT),
  night: rules('0 or 1', 'never', CURRENT),
  hour: rules('hours', 'never', CURRENT),
  card_not_present: rules('0 or 1', 'channel', CURRENT),
  category_code: rules(CODE_UNIT, 'category', CURRENT),
}

export const CARD_RULES: Readonly<Record<(typeof CARD_AGGREGATES)[number], AggregateRules>> = {
  count: rules('payments', 'never', CURRENT),
  attempts: rules('attempts', 'never', CURRENT),
  sum: rules(MONEY, 'never', CURRENT),
  mean: rules(MONEY, 'payments', CURRENT),
  deviation: rules(MONEY, 'spread'),
  minimum: rules(MONEY, 'history'),
  maximum: rules(MONEY, 'history'),
  ratio_to_mean: rules('ratio', 'history'),
  z_score: rules('standard deviations', 'two'),
  quantile: rules('share', 'history'),
  count_ratio: rules('ratio', 'payments', LONG),
  sum_ratio: rules('ratio', 'payments', LONG),
  just_under_limit: rules('payments', 'decline', LONG),
  seconds_since_last: rules('s', 'attempts', LAST),
  // Its unit is that of the reference.
  distinct: rules('', 'reference', REFERENCE),
  is_new: rules('0 or 1', 'known', { ...REFERENCE, ...LAST }),
  hour_share: rules('share', 'history'),
  weekday_share: rules('share', 'history'),
  speed: rules('km/h', 'place', LAST),
  distance: rules('km', 'place', LAST),
  declines: rules('attempts', 'never'),
  declined_then_retried: rules('attempts', 'never', CURRENT),
  pair_count: rules('payments', 'reference', REFERENCE),
  pair_seconds_since_last: rules('s', 'pair', { needsReference: true, ...LAST }),
}

export const ENTITY_RULES: Readonly<Record<(typeof ENTITY_AGGREGATES)[number], AggregateRules>> = {
  count: rules('attempts', 'entity', { delaysMs: [ENTITY_DELAY_MS, LABEL_DELAY_MS] }),
  fraud_share: rules('share', 'entity', LABELS),
  frauds: rules('frauds', 'entity', LABELS),
  distinct_cards: rules('cards', 'entity', { windowMs: DAY_MS, delaysMs: [ENTITY_DELAY_MS] }),
  fraud_run: rules('attempts', 'entity', { ...LAST, ...LABELS }),
  fraud_run_age: rules('s', 'run', { ...LAST, ...LABELS }),
}

/** Units of counts of distinct references. */
export const REFERENCE_UNITS: Readonly<Record<Reference, string>> = {
  merchant: 'merchants',
  terminal: 'terminals',
  device: 'devices',
  network: 'networks',
  category: 'categories',
  country: 'countries',
}
