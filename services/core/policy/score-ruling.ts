// The outcome of the score alone: by a policy's thresholds, by expected cost, and under the built-in policy.

import { isScore, outcomeOf, type Thresholds } from '../decision/decide.ts'
import { STATE } from '../features/engine/feature-states.ts'
import { type AlertCosts, wrongBlockCostMinor } from '../scoring/alert-costs.ts'
import type { CascadeAnnotation } from '../scoring/cascade.ts'
import type { Mode, Outcome } from '../wire/records.ts'
import { isDegraded, isStale } from './condition-views.ts'
import type { BlockCaution, PolicyDocument } from './policy-document.ts'
import type { CompiledPolicy, PolicyInput, Ruling } from './ruling.ts'

const UNVERIFIED: CascadeAnnotation = 'draft_stands'

/** Outcome by the score, before the policy's cautions apply. */
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
      // Costs depend on the amount.
      return Number.isNaN(referenceMinor)
        ? outcomeOf(score, modelThresholds)
        : cheapestOutcome(score, referenceMinor, thresholds.costs)
  }
}

/** The lowest scores at which this transaction is flagged or blocked. */
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
      if (Number.isNaN(referenceMinor)) return modelThresholds
      return {
        flag: scoreAtWhich('flag', referenceMinor, thresholds.costs),
        block: scoreAtWhich('block', referenceMinor, thresholds.costs),
      }
  }
}

/** The inputs that a block depends on. */
export interface BlockBasis {
  /** The score, and therefore all features. */
  readonly onScore: boolean
  /** Indexes of the features that conditions use. */
  readonly onFeatures: readonly number[]
}

/**
 * The reason for which a block on this basis is doubtful for this transaction; null when it is not, or the policy
 * accepts the risk.
 */
export function cautionOf(
  { onScore, onFeatures }: BlockBasis,
  input: PolicyInput,
  allowed: readonly BlockCaution[],
): BlockCaution | null {
  const features = onScore ? undefined : onFeatures
  if (features?.length === 0) return null
  if (!allowed.includes('degraded') && isDegraded(input, features)) return 'degraded'
  if (!allowed.includes('stale') && isStale(input, features)) return 'stale'
  if (onScore && !allowed.includes('unverified') && input.annotations.includes(UNVERIFIED)) {
    return 'unverified'
  }
  return null
}

// The outcome that loses least on average, when the score is the probability of fraud.
//
//   approve loses the amount when it is fraud:                   score * amount
//   flag    costs an alert, and the loss it cannot prevent:      alert + score * amount * (1 - flagSavesShare)
//   block   costs the refusal of a genuine customer:             (1 - score) * (fixed + share * amount)

/** Expected loss of each outcome, in minor units of the reference currency. */
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

/** The outcome with the smallest expected loss; the mildest of equals. */
export function cheapestOutcome(score: number, amountMinor: number, costs: AlertCosts): Outcome {
  const { approve, flag, block } = expectedLosses(score, amountMinor, costs)
  if (block < approve && block < flag) return 'block'
  return flag < approve ? 'flag' : 'approve'
}

/** The score above which this amount gets the outcome or a stricter one; a value above 1 means never. */
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

/** Infinity when the whole is 0: with nothing to gain, no score is sufficient. */
function ratio(part: number, whole: number): number {
  return whole > 0 ? Math.max(0, part / whole) : Infinity
}

export interface BuiltInOptions {
  readonly mode: Mode
  readonly leaseMs: number
  readonly unscoredOutcome: Outcome
}

type Rulings = Readonly<Record<Outcome, Ruling>>

/**
 * The built-in policy, in force until another is published: the model's thresholds, one mode, no rules. Degraded features
 * and unverified first-stage scores never block. It runs for every transaction of most streams, so it allocates nothing:
 * each of its rulings exists once.
 */
export function builtInPolicy({ mode, leaseMs, unscoredOutcome }: BuiltInOptions): CompiledPolicy {
  const ruling = (outcome: Outcome, threshold: number | null): Ruling => ({
    outcome,
    mode,
    segment: null,
    rules: [],
    grade: 'suspected',
    leaseMs,
    annotations: [],
    failed: [],
    threshold,
  })
  const rulings = (flag: number | null, block: number | null): Rulings => ({
    approve: ruling('approve', null),
    flag: ruling('flag', flag),
    block: ruling('block', block),
  })
  const unscored = rulings(null, null)
  // The thresholds are one object as long as the model is in use.
  let known: Thresholds | null = null
  let scored = unscored
  return {
    leaseMs,
    rule: ({ score, states, annotations, modelThresholds }: PolicyInput): Ruling => {
      if (known !== modelThresholds) {
        known = modelThresholds
        scored = rulings(modelThresholds.flag, modelThresholds.block)
      }
      const isScored = isScore(score)
      const outcome = isScored ? outcomeOf(score, modelThresholds) : unscoredOutcome
      const isDoubtful =
        outcome === 'block' && (states.includes(STATE.degraded) || annotations.includes(UNVERIFIED))
      return (isScored ? scored : unscored)[isDoubtful ? 'flag' : outcome]
    },
  }
}
