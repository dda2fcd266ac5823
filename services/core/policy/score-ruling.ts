// What the score alone deserves under a policy.

import { isScore, outcomeOf, type Thresholds } from '../decision/decide.ts'
import { type AlertCosts, wrongBlockCostMinor } from '../scoring/alert-costs.ts'
import type { CascadeMark } from '../scoring/cascade.ts'
import type { Outcome } from '../wire/records.ts'
import { isDegraded, isStale } from './condition-views.ts'
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

// The outcome that loses least on average, when the score is the probability of fraud.
//
//   approve loses the amount when it is fraud:                   score * amount
//   flag    costs an alert, and what a flag comes too late for:  alert + score * amount * (1 - flagSavesShare)
//   block   costs a customer who is wrongly turned away:         (1 - score) * (fixed + share * amount)

/** What each outcome loses on average, in minor units of the reference currency. */
export function expectedLosses(
  score: number,
  amountMinor: number,
  costs: AlertCosts,
): Readonly<Record<Outcome, number>> {
  return {
    approve: score * amountMinor,
    flag: costs.alertMinor + score * amountMinor * (1 - costs.flagSavesShare),
    block: (1 - score) * wrongBlockCostMinor(amountMinor, costs),
  }
}

/** The outcome that loses least; of equal ones the mildest. */
export function cheapestOutcome(score: number, amountMinor: number, costs: AlertCosts): Outcome {
  const { approve, flag, block } = expectedLosses(score, amountMinor, costs)
  if (block < approve && block < flag) return 'block'
  return flag < approve ? 'flag' : 'approve'
}

/** The score above which this amount gets the outcome, or a stricter one; above 1 is never. */
export function scoreAtWhich(
  outcome: 'flag' | 'block',
  amountMinor: number,
  costs: AlertCosts,
): number {
  const wrongMinor = wrongBlockCostMinor(amountMinor, costs)
  const blockOverApprove = ratio(wrongMinor, amountMinor + wrongMinor)
  if (outcome === 'flag') {
    const flagOverApprove = ratio(costs.alertMinor, amountMinor * costs.flagSavesShare)
    return Math.min(flagOverApprove, blockOverApprove)
  }
  const lostAnyway = amountMinor * (1 - costs.flagSavesShare)
  const blockOverFlag = ratio(wrongMinor - costs.alertMinor, wrongMinor + lostAnyway)
  return Math.max(blockOverApprove, blockOverFlag)
}

/** Without anything to gain no score is enough. */
function ratio(part: number, whole: number): number {
  return whole > 0 ? Math.max(0, part / whole) : Infinity
}
