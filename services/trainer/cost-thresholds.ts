// Thresholds by cost: of all pairs of thresholds the one with which fraud and the work against it cost least on
// validation rows.

import {
  blockGain,
  flagGain,
  type AlertCosts,
  type CostedRows,
} from '../core/scoring/alert-costs.ts'
import type { Thresholds } from '../core/scoring/manifest.ts'

/** A score that only a net without doubt reaches: no block. */
const NEVER = 1

/** One distinct score, and what all rows at or above it are worth as flags, and as blocks beside flags. */
interface GainStep {
  readonly score: number
  readonly flagMinor: number
  readonly blockMinor: number
}

/** Where thresholds stand: how many steps are alerted, how many of those are blocked. */
interface Choice {
  readonly alerted: number
  readonly blocked: number
}

/**
 * Chooses both thresholds; block is above flag. Of pairs that cost the same the one with fewer alerts, then fewer blocks,
 * is taken. A score of 1 is always blocked, since no threshold is above it.
 */
export function cheapestThresholds(rows: CostedRows, costs: AlertCosts): Thresholds {
  const steps = gainSteps(rows, costs)
  const { alerted, blocked } = bestChoice(steps)
  const scoreAt = (index: number): number => steps[index]?.score ?? 0
  const block = blocked === 0 ? NEVER : halfway(scoreAt(blocked), scoreAt(blocked - 1))
  const flagLow = scoreAt(alerted)
  const flagHigh = alerted === blocked ? block : scoreAt(alerted - 1)
  const flag = halfway(flagLow, flagHigh)
  // Only between neighbouring numbers there is no room for both; then one step more is flagged.
  return { flag: flag < block ? flag : flagLow, block, rule: ruleText(alerted, blocked, costs) }
}

/** Highest score first; the sums are of all rows down to the step. */
function gainSteps(
  { scores, truth, amountsMinor }: CostedRows,
  costs: AlertCosts,
): readonly GainStep[] {
  if (scores.some(Number.isNaN)) throw new Error('What was not scored has no cost.')
  const order = Array.from(scores.keys()).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0))
  const steps: GainStep[] = []
  let flagMinor = 0
  let blockMinor = 0
  for (const [rank, row] of order.entries()) {
    const score = scores[row] ?? 0
    const amountMinor = amountsMinor[row] ?? 0
    flagMinor += flagGain(truth[row] === 1, amountMinor, costs)
    blockMinor += blockGain(truth[row] === 1, amountMinor, costs)
    const next = order[rank + 1]
    if (next === undefined || scores[next] !== score) steps.push({ score, flagMinor, blockMinor })
  }
  return steps
}

/** The two sums are added, so one pass suffices: for each end of the alerts the best end of the blocks before it. */
function bestChoice(steps: readonly GainStep[]): Choice {
  const certain = (steps[0]?.score ?? 0) >= NEVER ? 1 : 0
  let bestBlocked = certain
  let best: Choice = { alerted: certain, blocked: certain }
  const gainOf = ({ alerted, blocked }: Choice): number =>
    (steps[alerted - 1]?.flagMinor ?? 0) + (steps[blocked - 1]?.blockMinor ?? 0)
  for (let alerted = certain + 1; alerted <= steps.length; alerted += 1) {
    // A score of 0 stays below every threshold.
    if ((steps[alerted - 1]?.score ?? 0) <= 0) break
    const blockMinor = steps[alerted - 1]?.blockMinor ?? 0
    if (blockMinor > (steps[bestBlocked - 1]?.blockMinor ?? 0)) bestBlocked = alerted
    const choice = { alerted, blocked: bestBlocked }
    if (gainOf(choice) > gainOf(best)) best = choice
  }
  return best
}

/** Halfway, so that tiny differences of scores decide nothing; the upper one where nothing is between them. */
function halfway(lower: number, upper: number): number {
  const middle = (lower + upper) / 2
  return middle > lower ? middle : upper
}

function ruleText(alerted: number, blocked: number, costs: AlertCosts): string {
  const amount = (minor: number): string => (minor / 100).toFixed(2)
  const percent = (share: number): string => `${Number((share * 100).toFixed(2))} %`
  const said =
    `least cost on validation, where an alert costs ${amount(costs.alertMinor)}, a wrong block ` +
    `${amount(costs.wrongBlockFixedMinor)} and ${percent(costs.wrongBlockShare)} of the amount, and a flag saves ` +
    `${percent(costs.flagSavesShare)} of a fraud, a block all of it`
  if (alerted === 0) return `${said}; no alert paid for itself`
  if (blocked === 0) return `${said}; no block was worth more than a flag`
  return alerted === blocked ? `${said}; every alert was worth a block` : said
}
