// Thresholds from validation scores, by rules that can be stated in one sentence each.

import type { Thresholds } from '../core/scoring/manifest.ts'
import { rankSteps, type RankStep, type Scored } from './metrics.ts'

/** What alerts may cost. */
export interface ThresholdRules {
  readonly flagPrecisionMin: number
  /** Of all transactions. */
  readonly flagShareMax: number
  readonly blockPrecisionMin: number
  readonly blockShareMax: number
  /** Below this many alerts a precision says little. */
  readonly alertsMin: number
}

export const DEFAULT_THRESHOLD_RULES: ThresholdRules = Object.freeze({
  flagPrecisionMin: 0.5,
  flagShareMax: 0.01,
  blockPrecisionMin: 0.9,
  blockShareMax: 0.005,
  alertsMin: 20,
})

/** A score that is never reached: no block. */
const NEVER = 1

/** Chooses both thresholds; block is above flag. Where no score keeps a rule, the sentence says what was done. */
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
  return { flag, block, rule: ruleText(rules, chosenFlag >= 0, blockAt >= 0) }
}

/** The lowest step within half of the flag budget, for scores that never reach the precision. */
function budgetStep(steps: readonly RankStep[], rowCount: number, rules: ThresholdRules): number {
  const alertsMax = Math.max(1, 0.5 * rules.flagShareMax * rowCount)
  return Math.max(
    0,
    steps.findLastIndex(({ frauds, genuine }) => frauds + genuine <= alertsMax),
  )
}

/** Halfway to the next lower score, so that tiny differences of scores decide nothing. */
function thresholdBelow(steps: readonly RankStep[], index: number): number {
  const score = steps[index]?.score ?? NEVER
  const lower = steps[index + 1]?.score ?? 0
  const middle = (score + lower) / 2
  return middle > lower ? middle : score
}

function ruleText(rules: ThresholdRules, hasFlag: boolean, hasBlock: boolean): string {
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
