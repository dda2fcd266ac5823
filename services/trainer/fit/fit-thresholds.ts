// Chooses the thresholds from validation scores, by one of two rules: the least cost of fraud and of the work against
// it, or a precision within a budget of alerts.

import {
  blockGain,
  flagGain,
  type AlertCosts,
  type CostedRows,
} from '../../core/scoring/alert-costs.ts'
import type { Thresholds } from '../../core/scoring/manifest.ts'
import { rankSteps, type RankStep, type Scored } from '../metrics.ts'
import { rankedRows, valueAt } from '../statistics.ts'

/** A score that only a completely certain net reaches: no block. */
const NEVER = 1

/** One distinct score, and the value of all rows at or above it as flags, and as blocks instead of flags. */
interface GainStep {
  readonly score: number
  readonly flagMinor: number
  readonly blockMinor: number
}

/** Position of both thresholds: how many steps are alerted, and how many of those are blocked. */
interface Choice {
  readonly alerted: number
  readonly blocked: number
}

/**
 * Chooses both thresholds by cost; block is above flag. Of pairs with equal cost, the one with fewer alerts, then
 * with fewer blocks, wins. A score of 1 is always blocked, since no threshold is above it.
 */
export function cheapestThresholds(rows: CostedRows, costs: AlertCosts): Thresholds {
  const steps = gainSteps(rows, costs)
  const { alerted, blocked } = bestChoice(steps)
  // Below the lowest step there is only 0.
  const scoreAt = (index: number): number => steps[index]?.score ?? 0
  const block = blocked === 0 ? NEVER : halfway(scoreAt(blocked), scoreAt(blocked - 1))
  const flagLow = scoreAt(alerted)
  const flagHigh = alerted === blocked ? block : scoreAt(alerted - 1)
  const flag = halfway(flagLow, flagHigh)
  // Two neighbouring numbers leave no room for both thresholds; then one more step is flagged.
  return { flag: flag < block ? flag : flagLow, block, rule: costRuleText(alerted, blocked, costs) }
}

/** Highest score first; the sums are over all rows down to the step. */
function gainSteps(
  { scores, truth, amountsMinor }: CostedRows,
  costs: AlertCosts,
): readonly GainStep[] {
  if (scores.some(Number.isNaN)) throw new Error('A row without a score has no cost.')
  const order = rankedRows(scores)
  const steps: GainStep[] = []
  let flagMinor = 0
  let blockMinor = 0
  for (const [rank, row] of order.entries()) {
    const score = valueAt(scores, row)
    const amountMinor = valueAt(amountsMinor, row)
    flagMinor += flagGain(truth[row] === 1, amountMinor, costs)
    blockMinor += blockGain(truth[row] === 1, amountMinor, costs)
    const next = order[rank + 1]
    if (next === undefined || scores[next] !== score) steps.push({ score, flagMinor, blockMinor })
  }
  return steps
}

/**
 * The two sums are independent, so one pass suffices: for each end of the alerts, the best end of the blocks before
 * it.
 */
function bestChoice(steps: readonly GainStep[]): Choice {
  const certain = (steps[0]?.score ?? 0) >= NEVER ? 1 : 0
  let bestBlocked = certain
  let best: Choice = { alerted: certain, blocked: certain }
  // No step is worth nothing.
  const gainOf = ({ alerted, blocked }: Choice): number =>
    (steps[alerted - 1]?.flagMinor ?? 0) + (steps[blocked - 1]?.blockMinor ?? 0)
  for (const [index, { score, blockMinor }] of steps.entries()) {
    const alerted = index + 1
    if (alerted <= certain) continue
    // A score of 0 is below every threshold.
    if (score <= 0) break
    if (blockMinor > (steps[bestBlocked - 1]?.blockMinor ?? 0)) bestBlocked = alerted
    const choice = { alerted, blocked: bestBlocked }
    if (gainOf(choice) > gainOf(best)) best = choice
  }
  return best
}

/** The midpoint, so that tiny differences of scores decide nothing; the upper score when nothing lies between them. */
function halfway(lower: number, upper: number): number {
  const middle = (lower + upper) / 2
  return middle > lower ? middle : upper
}

function costRuleText(alerted: number, blocked: number, costs: AlertCosts): string {
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

/** Budget of alerts. */
export interface ThresholdRules {
  readonly flagPrecisionMin: number
  /** Share of all transactions. */
  readonly flagShareMax: number
  readonly blockPrecisionMin: number
  readonly blockShareMax: number
  /** With fewer alerts a precision is not meaningful. */
  readonly alertsMin: number
}

export const DEFAULT_THRESHOLD_RULES: ThresholdRules = Object.freeze({
  flagPrecisionMin: 0.5,
  flagShareMax: 0.01,
  blockPrecisionMin: 0.9,
  blockShareMax: 0.005,
  alertsMin: 20,
})

/**
 * Chooses both thresholds by precision; block is above flag. When no score meets a rule, `rule` describes the
 * substitute.
 */
export function chooseThresholds(
  scored: Scored,
  rules: ThresholdRules = DEFAULT_THRESHOLD_RULES,
): Thresholds {
  // At a threshold of 0 every transaction would be flagged.
  const steps = rankSteps(scored).filter(({ score }) => score > 0 && score < NEVER)
  const keeps = (precisionMin: number, shareMax: number): number =>
    steps.findLastIndex(
      ({ frauds, genuine }) =>
        frauds + genuine >= rules.alertsMin &&
        frauds + genuine <= shareMax * scored.scores.length &&
        frauds >= precisionMin * (frauds + genuine),
    )
  const chosenFlag = keeps(rules.flagPrecisionMin, rules.flagShareMax)
  const flagAt = chosenFlag >= 0 ? chosenFlag : budgetStep(steps, scored.scores.length, rules)
  const chosenBlock = keeps(rules.blockPrecisionMin, rules.blockShareMax)
  const blockAt = Math.min(chosenBlock, flagAt - 1)
  const flag = thresholdBelow(steps, flagAt)
  const block = blockAt >= 0 ? thresholdBelow(steps, blockAt) : NEVER
  return { flag, block, rule: precisionRuleText(rules, chosenFlag >= 0, blockAt >= 0) }
}

/** The lowest step within half of the flag budget, for scores that never reach the precision. */
function budgetStep(steps: readonly RankStep[], rowCount: number, rules: ThresholdRules): number {
  const alertsMax = Math.max(1, 0.5 * rules.flagShareMax * rowCount)
  return Math.max(
    0,
    steps.findLastIndex(({ frauds, genuine }) => frauds + genuine <= alertsMax),
  )
}

/** The midpoint to the next lower score, so that tiny differences of scores decide nothing. */
function thresholdBelow(steps: readonly RankStep[], index: number): number {
  const score = steps[index]?.score ?? NEVER
  const lower = steps[index + 1]?.score ?? 0
  const middle = (score + lower) / 2
  return middle > lower ? middle : score
}

function precisionRuleText(rules: ThresholdRules, hasFlag: boolean, hasBlock: boolean): string {
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
  const flag = hasFlag
    ? `flag: lowest validation score with precision >= ${rules.flagPrecisionMin} and at most ` +
      `${percent(rules.flagShareMax)} of transactions`
    : `flag: top ${percent(rules.flagShareMax / 2)} of validation scores, as no score had precision >= ` +
      `${rules.flagPrecisionMin} over ${rules.alertsMin} alerts`
  const block = hasBlock
    ? `block: lowest validation score above it with precision >= ${rules.blockPrecisionMin} and at most ` +
      `${percent(rules.blockShareMax)} of transactions`
    : `block: never, as no validation score above it had precision >= ${rules.blockPrecisionMin} over ` +
      `${rules.alertsMin} alerts`
  return `${flag}; ${block}`
}
