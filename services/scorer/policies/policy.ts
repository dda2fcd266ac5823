// The policy that decides beside a model: the built-in one with what operators configure, or a published ruleset.

import { createHash } from 'node:crypto'
import type { Thresholds } from '../../core/decision/decide.ts'
import { builtInPolicy } from '../../core/policy/builtin-policy.ts'
import type { LoadedRuleset } from '../../core/policy/loaded-ruleset.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { ScorerConfig } from '../config.ts'
import type { DecideOptions } from '../decide-options.ts'

type Decides =
  | 'mode'
  | 'unscoredOutcome'
  | 'leaseMs'
  | 'breakers'
  | 'controlGroup'
  | 'alertsPerDayMax'
  | 'policy'

/** What a policy brings to deciding. */
export interface Policy extends Pick<DecideOptions, Decides> {
  /** The model's. */
  readonly thresholds: Thresholds
  /** Names it in decisions and metrics. */
  readonly digest: string
  /** 0 is the built-in policy. */
  readonly version: number
}

type Settings = Pick<ScorerConfig, 'mode' | 'leaseMs' | 'unscoredOutcome'>

/** The policy beside this model: that of a ruleset, or with null the built-in one. */
export function policyOf(
  configured: Settings & Pick<ScorerConfig, 'breakers'>,
  ruleset: LoadedRuleset | null,
  { info }: Pick<ScoringModel, 'info'>,
): Policy {
  const thresholds = { flag: info.flagThreshold, block: info.blockThreshold }
  const { leaseMs, unscoredOutcome } = configured
  const settings = { mode: ruleset?.ruleset.mode ?? configured.mode, leaseMs, unscoredOutcome }
  const own = ruleset?.policy ?? null
  const common = {
    thresholds,
    mode: settings.mode,
    digest: ruleset?.digest ?? builtInDigest(settings, thresholds),
    version: ruleset?.ruleset.version ?? 0,
  }
  if (own === null) {
    return {
      ...{ ...common, ...settings, policy: builtInPolicy(settings) },
      ...{ breakers: configured.breakers, controlGroup: null, alertsPerDayMax: null },
    }
  }
  const { document } = own
  return {
    ...common,
    policy: own.compiled,
    unscoredOutcome: document.unscoredOutcome,
    leaseMs: document.leaseMs,
    // A policy that says nothing of breakers has those of the configuration.
    breakers: document.breakers.length === 0 ? configured.breakers : document.breakers,
    controlGroup: document.controlGroup,
    alertsPerDayMax: document.alertsPerDayMax,
  }
}

function builtInDigest(
  { mode, leaseMs, unscoredOutcome }: Settings,
  thresholds: Thresholds,
): string {
  const policy = { mode, leaseMs, unscoredOutcome, thresholds }
  return createHash('sha256').update(JSON.stringify(policy)).digest('hex')
}
