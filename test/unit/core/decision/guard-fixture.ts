// Limits and rulings that tests of the block guard share.

import type {
  BlockGuard,
  GuardedRuling,
  GuardRules,
  Ruled,
} from '../../../../services/core/decision/block-guard.ts'
import type { BreakerLimits } from '../../../../services/core/policy/policy-document.ts'

export const START_MS = 1_700_000_000_000

export const BREAKER: BreakerLimits = {
  segment: null,
  windowMs: 600_000,
  blocksPerMinuteMax: 5,
  trafficShareMax: 0.2,
  valueShareMax: 0.4,
  sampleMin: 50,
}

export const RULES: GuardRules = {
  breakers: [BREAKER],
  breakerResets: 0,
  controlGroup: null,
  alertsPerDayMax: null,
  partition: 0,
  partitionCount: 1,
  policyDigest: 'policy',
}

export function ruled(index: number, timeMs: number, change: Partial<Ruled> = {}): Ruled {
  const outcome = change.outcome ?? 'block'
  return {
    transactionId: `t${index}`,
    segment: null,
    outcome,
    action: outcome === 'approve' ? null : outcome,
    isByRule: false,
    amountMinor: 1_000,
    partitionTimeMs: timeMs,
    hasRoom: true,
    isRevision: false,
    ...change,
  }
}

export function run(
  guard: BlockGuard,
  stream: readonly Ruled[],
  rules: GuardRules,
): readonly GuardedRuling[] {
  return stream.map((one) => guard.applyGuards(one, rules))
}
