// What decides beside the model: thresholds that came with it, and what operators configure.

import { createHash } from 'node:crypto'
import type { Thresholds } from '../../core/decision/decide.ts'
import type { ScoringModel } from '../../core/scoring/scoring-model.ts'
import type { ScorerConfig } from '../config.ts'

export interface Policy {
  readonly thresholds: Thresholds
  /** Names it in decisions and metrics. */
  readonly digest: string
}

export function policyOf(
  { mode, leaseMs, unscoredOutcome }: Pick<ScorerConfig, 'mode' | 'leaseMs' | 'unscoredOutcome'>,
  { info }: Pick<ScoringModel, 'info'>,
): Policy {
  const thresholds = { flag: info.flagThreshold, block: info.blockThreshold }
  const policy = { mode, leaseMs, unscoredOutcome, thresholds }
  const digest = createHash('sha256').update(JSON.stringify(policy)).digest('hex')
  return { thresholds, digest }
}
