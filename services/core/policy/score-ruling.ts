// What the score alone deserves under a policy.

import { isScore, outcomeOf, type Thresholds } from '../decision/decide.ts'
import type { CascadeMark } from '../scoring/cascade.ts'
import type { Outcome } from '../wire/records.ts'
import { isDegraded, isStale } from './condition-views.ts'
import { cheapestOutcome, scoreAtWhich } from './costs.ts'
import type { BlockCaution, PolicyDocument } from './policy-document.ts'
import type { PolicyInput } from './ruling.ts'

const UNVERIFIED: CascadeMark = 'draft_stands'

/** Outcome by the score, before it is asked what it rests on. */
export function outcomeByScore(
  { score, referenceMinor, modelThresholds }: PolicyInput,
  { thresholds, unscoredOutcome }: Pick<PolicyDocument, 'thresholds' | 'unscoredOutcome'>,
): Outcome {
  if (!isScore(score)) return unscoredOutcome
  switch (thresholds.kind) {
    case 'model':
      return outcomeOf(score, modelThresholds)
    case 'scores':
      return outcomeOf(score, thresholds)
    case 'cost':
      return cheapestOutcome(score, referenceMinor, thresholds.costs)
  }
}

/** The scores from which on this transaction is flagged or blocked. */
export function thresholdsFor(
  { referenceMinor, modelThresholds }: PolicyInput,
  { thresholds }: Pick<PolicyDocument, 'thresholds'>,
): Thresholds {
  switch (thresholds.kind) {
    case 'model':
      return modelThresholds
    case 'scores':
      return thresholds
    case 'cost':
      return {
        flag: scoreAtWhich('flag', referenceMinor, thresholds.costs),
        block: scoreAtWhich('block', referenceMinor, thresholds.costs),
      }
  }
}

/** What a block would rest on. */
export interface Rests {
  /** On the answer of the model, and so on all features. */
  readonly onScore: boolean
  /** Indexes of features beside it. */
  readonly onFeatures: readonly number[]
}

/** Why a block that rests on this is doubtful here; null when it is not, or the policy takes the risk. */
export function cautionOf(
  { onScore, onFeatures }: Rests,
  input: PolicyInput,
  allowed: readonly BlockCaution[],
): BlockCaution | null {
  const features = onScore ? undefined : onFeatures
  if (features?.length === 0) return null
  if (!allowed.includes('degraded') && isDegraded(input, features)) return 'degraded'
  if (!allowed.includes('stale') && isStale(input, features)) return 'stale'
  if (onScore && !allowed.includes('unverified') && input.marks.includes(UNVERIFIED)) {
    return 'unverified'
  }
  return null
}
