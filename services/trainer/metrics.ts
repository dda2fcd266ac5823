// How well scores tell frauds from the rest. Equal scores are one step: no order among them is assumed.

import type { ModelMetrics, ThresholdMetrics } from '../core/scoring/manifest.ts'

/** Scores (finite) with truth (1 fraud, 0 genuine) of the same rows. */
export interface Scored {
  readonly scores: Float64Array
  readonly truth: Uint8Array
  /** For how many rows each row stands, where they are a sample; 1 unless given. */
  readonly weights?: Float64Array
}

/** One step down the scores: what an alert threshold at `score` would do. */
export interface RankStep {
  readonly score: number
  readonly frauds: number
  readonly genuine: number
}

export const FALSE_POSITIVE_SHARE = 0.001

/**
 * Cumulated counts at or above each distinct score, highest first. A score that is no number has no rank: whoever
 * has such scores must say so instead of asking for figures.
 */
export function rankSteps({ scores, truth, weights }: Scored): readonly RankStep[] {
  if (scores.some(Number.isNaN)) throw new Error('What was not scored cannot be ranked.')
  const order = Array.from(scores.keys()).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0))
  const steps: RankStep[] = []
  let frauds = 0
  let genuine = 0
  for (const [rank, row] of order.entries()) {
    const score = scores[row] ?? 0
    const weight = weights?.[row] ?? 1
    if (truth[row] === 1) frauds += weight
    else genuine += weight
    const next = order[rank + 1]
    if (next === undefined || scores[next] !== score) steps.push({ score, frauds, genuine })
  }
  return steps
}

/** Sum over steps of precision times the recall gained; 0 without frauds. */
export function averagePrecision(scored: Scored): number {
  return averagePrecisionOf(rankSteps(scored))
}

/** The figures that need no threshold. */
export function scoreFigures(scored: Scored): Omit<ModelMetrics, 'flag' | 'block'> {
  const steps = rankSteps(scored)
  return {
    averagePrecision: averagePrecisionOf(steps),
    aucRoc: areaUnderCurve(steps),
    recallAtFalsePositives01Percent: recallAtFalsePositives(steps, FALSE_POSITIVE_SHARE),
    brier: brierScore(scored),
  }
}

/** All figures of one period. */
export function measureScores(
  scored: Scored,
  thresholds: { readonly flag: number; readonly block: number },
): ModelMetrics {
  return {
    ...scoreFigures(scored),
    flag: atThreshold(scored, thresholds.flag),
    block: atThreshold(scored, thresholds.block),
  }
}

/** What alerting at or above `threshold` does. */
export function atThreshold(
  { scores, truth, weights }: Scored,
  threshold: number,
): ThresholdMetrics {
  let alerts = 0
  let found = 0
  let frauds = 0
  let all = 0
  for (const [row, score] of scores.entries()) {
    const isFraud = truth[row] === 1
    const weight = weights?.[row] ?? 1
    all += weight
    if (isFraud) frauds += weight
    if (score < threshold) continue
    alerts += weight
    if (isFraud) found += weight
  }
  return {
    alerts: Math.round(alerts),
    alertShare: ratio(alerts, all),
    precision: ratio(found, alerts),
    recall: ratio(found, frauds),
  }
}

function averagePrecisionOf(steps: readonly RankStep[]): number {
  const total = steps.at(-1)?.frauds ?? 0
  let sum = 0
  let before = 0
  for (const { frauds, genuine } of steps) {
    sum += ratio(frauds - before, total) * (frauds / (frauds + genuine))
    before = frauds
  }
  return sum
}

function areaUnderCurve(steps: readonly RankStep[]): number {
  const last = steps.at(-1)
  let area = 0
  let before: RankStep = { score: Infinity, frauds: 0, genuine: 0 }
  for (const step of steps) {
    area += (step.genuine - before.genuine) * (step.frauds + before.frauds) * 0.5
    before = step
  }
  return ratio(area, (last?.frauds ?? 0) * (last?.genuine ?? 0))
}

function recallAtFalsePositives(steps: readonly RankStep[], share: number): number {
  const last = steps.at(-1)
  const genuineMax = share * (last?.genuine ?? 0)
  let found = 0
  for (const { frauds, genuine } of steps) if (genuine <= genuineMax) found = frauds
  return ratio(found, last?.frauds ?? 0)
}

function brierScore({ scores, truth, weights }: Scored): number {
  let sum = 0
  let all = 0
  for (const [row, score] of scores.entries()) {
    const weight = weights?.[row] ?? 1
    sum += weight * (score - (truth[row] ?? 0)) ** 2
    all += weight
  }
  return ratio(sum, all)
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}
