// Options for deciding batches in tests: a model that scores by amount alone, and matching thresholds.

import {
  FEATURE_COUNT,
  FEATURE_NAMES,
} from '../../../services/core/features/catalogue/feature-list.ts'
import { type BuiltInOptions, builtInPolicy } from '../../../services/core/policy/score-ruling.ts'
import type { DecideOptions } from '../../../services/scorer/decide/decide-options.ts'

const AMOUNT = FEATURE_NAMES.indexOf('amount')

const BUILT_IN: BuiltInOptions = { mode: 'enforce', leaseMs: 1_000, unscoredOutcome: 'flag' }

/** The score is the amount in hundreds of EUR: flags from 50 EUR, blocks from 90 EUR, none above 100 EUR. */
export const DECIDE_BY_AMOUNT: DecideOptions = {
  streamId: 'stream',
  topic: 'transactions',
  partition: 0,
  partitionCount: 1,
  mode: 'enforce',
  alignment: 'aligned',
  thresholds: { flag: 0.5, block: 0.9 },
  unscoredOutcome: 'flag',
  policy: builtInPolicy(BUILT_IN),
  modelVersion: '1',
  modelDigest: 'model',
  policyDigest: 'policy',
  policyVersion: 0,
  breakers: [],
  controlGroup: null,
  breakerResets: 0,
  alertsPerDayMax: null,
  baseline: FEATURE_NAMES.map(() => 0),
  verify: null,
  keepsSequences: false,
  score: (rows, rowCount) =>
    Float64Array.from(
      { length: rowCount },
      (_, row) => (rows[row * FEATURE_COUNT + AMOUNT] ?? NaN) / 100,
    ),
}

/** Options of the built-in policy with other settings. */
export function builtInWith(
  settings: Partial<BuiltInOptions>,
): Pick<DecideOptions, 'policy' | 'mode' | 'unscoredOutcome'> {
  const options = { ...BUILT_IN, ...settings }
  const { mode, unscoredOutcome } = options
  return { policy: builtInPolicy(options), mode, unscoredOutcome }
}
