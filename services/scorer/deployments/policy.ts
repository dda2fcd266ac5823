// The policy that decides with a model: the built-in one with the operators' settings, or a published ruleset.

import { createHash } from 'node:crypto'
import type { Thresholds } from '../../core/decision/decide.ts'
import { builtInPolicy } from '../../core/policy/score-ruling.ts'
import type { LoadedRuleset } from '../../core/policy/loaded-ruleset.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { ScorerConfig } from '../config.ts'
import type { DecideOptions } from '../decide/decide-options.ts'

/** The parts of a policy that decide. */
export interface Policy extends Pick<
  DecideOptions,
  'mode' | 'unscoredOutcome' | 'breakers' | 'controlGroup' | 'alertsPerDayMax' | 'policy'
> {
  /** Thresholds of the model. */
  readonly thresholds: Thresholds
  /** Names it in decisions and metrics. */
  readonly digest: string
  /** 0 is the built-in policy. */
  readonly version: number
}

/** Operators' settings, used by every policy that does not set them itself. */
export type PolicySettings = Pick<ScorerConfig, 'leaseMs' | 'breakers'>

type Configured = PolicySettings & Pick<ScorerConfig, 'mode' | 'unscoredOutcome'>

/** The policy for this model: that of the ruleset, or the built-in one when it is null. */
export function policyOf(
  configured: Configured,
  ruleset: LoadedRuleset | null,
  { info }: Pick<ScoringModel, 'info'>,
): Policy {
  const thresholds = { flag: info.flagThreshold, block: info.blockThreshold }
  const { leaseMs, unscoredOutcome, breakers } = configured
  const mode = ruleset?.ruleset.mode ?? configured.mode
  const builtIn = builtInPolicy({ mode, leaseMs, unscoredOutcome })
  const own = ruleset?.policy ?? null
  const named = own?.document.breakers ?? []
  return {
    thresholds,
    mode,
    unscoredOutcome: own?.document.unscoredOutcome ?? unscoredOutcome,
    policy: own?.compiled ?? builtIn,
    // A policy that names no breakers uses the configured ones.
    breakers: named.length > 0 ? named : breakers,
    controlGroup: own?.document.controlGroup ?? null,
    alertsPerDayMax: own?.document.alertsPerDayMax ?? null,
    digest: ruleset?.digest ?? builtInDigest({ ...configured, mode }, thresholds),
    version: ruleset?.ruleset.version ?? 0,
  }
}

function builtInDigest(
  { mode, leaseMs, unscoredOutcome, breakers }: Configured,
  thresholds: Thresholds,
): string {
  const policy = { mode, leaseMs, unscoredOutcome, thresholds, breakers }
  return createHash('sha256').update(JSON.stringify(policy)).digest('hex')
}
