// The outcome that loses least on average, when the score is the probability of fraud.
//
//   approve loses the amount when it is fraud:                   score * amount
//   flag    costs an alert, and what a flag comes too late for:  alert + score * amount * (1 - flagSavesShare)
//   block   costs a customer who is wrongly turned away:         (1 - score) * (fixed + share * amount)

import { wrongBlockCostMinor, type AlertCosts } from '../scoring/alert-costs.ts'
import type { Outcome } from '../wire/records.ts'

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
