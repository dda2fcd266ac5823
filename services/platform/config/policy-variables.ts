// Variables that say what must be known of a policy before it may do more.

import type { Variable } from './variable.ts'

const DECIDING = { group: 'Deciding', readBy: 'policy' } as const

export const POLICY_VARIABLES = {
  SLUICE_PROMOTE_DAYS_MIN: {
    ...DECIDING,
    meaning: 'Days that a policy must have decided in its mode before it is promoted.',
    kind: 'number',
    default: 7,
    min: 0,
    max: 365,
  },
  SLUICE_PROMOTE_PRECISION_MIN: {
    ...DECIDING,
    meaning:
      'Share of the alerts of the next mode that must have been fraud, at the low end of its 95 % interval.',
    kind: 'number',
    default: 0.5,
    min: 0,
    max: 1,
  },
  SLUICE_PROMOTE_ALERTS_MIN: {
    ...DECIDING,
    meaning: 'Alerts that must be old enough to be judged.',
    kind: 'integer',
    default: 100,
    min: 1,
    max: 1_000_000,
  },
  SLUICE_PROMOTE_MATURE_MS: {
    ...DECIDING,
    meaning:
      'Age at which a decision without a fraud label counts as genuine, in milliseconds of event time.',
    kind: 'integer',
    default: 7 * 86_400_000,
    min: 0,
    max: 366 * 86_400_000,
  },
  SLUICE_PROMOTE_AGREEMENT_MIN: {
    ...DECIDING,
    meaning: 'Least share of outcomes on which a cascade must agree with its large net.',
    kind: 'number',
    default: 0.99,
    min: 0,
    max: 1,
  },
  SLUICE_PROMOTE_SKEW_SHARE_MAX: {
    ...DECIDING,
    meaning: 'Largest share of recomputed feature values that may differ.',
    kind: 'number',
    default: 0,
    min: 0,
    max: 1,
  },
} as const satisfies Readonly<Record<string, Variable>>
