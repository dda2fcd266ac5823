// Measures how well scores separate frauds from genuine transactions, and how certain the figures are: 95 % intervals
// from draws of whole cards, and the spread over seeds. Equal scores are one step: no order among them is assumed.

import type { ModelMetrics, ThresholdMetrics } from '../core/scoring/manifest.ts'
import { gathered, randomOf, rankedRows, valueAt } from './statistics.ts'

/** Scores (finite) with truth (1 fraud, 0 genuine) of the same rows. */
export interface Scored {
  readonly scores: Float64Array
  readonly truth: Uint8Array
  /** Number of rows that each row represents, where they are a sample; 1 unless given. */
  readonly weights?: Float64Array
}

/** One step down the scores: the effect of an alert threshold at `score`. */
export interface RankStep {
  readonly score: number
  readonly frauds: number
  readonly genuine: number
}

export const FALSE_POSITIVE_SHARE = 0.001

/** Cumulative counts at or above each distinct score, highest first. Every row must have a score: NaN has no rank. */
export function rankSteps({ scores, truth, weights }: Scored): readonly RankStep[] {
  if (scores.some(Number.isNaN)) throw new Error('A row without a score cannot be ranked.')
  const order = rankedRows(scores)
  const steps: RankStep[] = []
  let frauds = 0
  let genuine = 0
  for (const [rank, row] of order.entries()) {
    const score = valueAt(scores, row)
    const weight = weights?.[row] ?? 1
    if (truth[row] === 1) frauds += weight
    else genuine += weight
    const next = order[rank + 1]
    if (next === undefined || scores[next] !== score) steps.push({ score, frauds, genuine })
  }
  return steps
}

/** Sum over the steps of precision times the gain in recall; 0 without frauds. */
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

/** Effect of alerting at or above `threshold`. */
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
    sum += weight * (score - valueAt(truth, row)) ** 2
    all += weight
  }
  return ratio(sum, all)
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole
}

/**
 * Number of draws, share covered by an interval, and the seed of all randomness. Whole cards are drawn, because the
 * payments of one card are alike: drawing single payments would make the intervals too narrow.
 */
export const DRAWS = 400
export const CONFIDENCE = 0.95
const SEED = 20_260_101

/** Figures that get an interval. */
export const INTERVAL_FIGURES = [
  'averagePrecision',
  'aucRoc',
  'recallAtFalsePositives01Percent',
  'flagPrecision',
  'flagRecall',
  'blockPrecision',
  'blockRecall',
] as const
export type IntervalFigure = (typeof INTERVAL_FIGURES)[number]

export interface Interval {
  readonly low: number
  readonly high: number
}

export type MetricIntervals = Readonly<Record<IntervalFigure, Interval>>

export interface ScoredByCard extends Scored {
  /** Number of the card of each row. */
  readonly cards: Uint32Array
}

/** Intervals of all figures at these thresholds. The same rows give the same intervals. */
export function intervalsOf(
  scored: ScoredByCard,
  thresholds: { readonly flag: number; readonly block: number },
  draws = DRAWS,
): MetricIntervals {
  const ranked = rank(scored)
  const next = randomOf(SEED)
  const found = INTERVAL_FIGURES.map((name) => ({ name, values: new Float64Array(draws) }))
  const weights = new Uint16Array(ranked.cardCount)
  for (let draw = 0; draw < draws; draw += 1) {
    drawCards(weights, next)
    const figures = figuresOf(ranked, weights, thresholds)
    for (const { name, values } of found) values[draw] = figures[name]
  }
  const tail = (1 - CONFIDENCE) / 2
  const entries = found.map(({ name, values }) => {
    values.sort()
    const at = (share: number): number => valueAt(values, Math.round((draws - 1) * share))
    return [name, { low: at(tail), high: at(1 - tail) }]
  })
  return Object.fromEntries(entries) as MetricIntervals
}

/** Draws as many cards as there are; `weights` counts how often each is drawn. */
export function drawCards(weights: Uint16Array, next: () => number): void {
  weights.fill(0)
  for (let index = 0; index < weights.length; index += 1) {
    const card = Math.floor(next() * weights.length)
    weights[card] = valueAt(weights, card) + 1
  }
}

/** Rows by falling score. */
export interface Ranked {
  readonly scores: Float64Array
  readonly truth: Uint8Array
  /** Cards, numbered from 0. */
  readonly cards: Uint32Array
  readonly cardCount: number
}

/** Sorts once for all draws. */
export function rank({ scores, truth, cards }: ScoredByCard): Ranked {
  const order = rankedRows(scores)
  const numbers = new Map<number, number>()
  const numberOf = (row: number): number => {
    const card = valueAt(cards, row)
    const known = numbers.get(card) ?? numbers.size
    numbers.set(card, known)
    return known
  }
  const numbered = Uint32Array.from(order, numberOf)
  return {
    scores: gathered(scores, order),
    truth: gathered(truth, order),
    cards: numbered,
    cardCount: numbers.size,
  }
}

/** Figures of one draw, in two passes over the ranked rows. `weights` counts how often each card was drawn. */
export function figuresOf(
  { scores, truth, cards }: Ranked,
  weights: Uint16Array,
  thresholds: { readonly flag: number; readonly block: number },
): Record<IntervalFigure, number> {
  const totals = { frauds: 0, genuine: 0 }
  for (let at = 0; at < scores.length; at += 1) {
    const weight = valueAt(weights, valueAt(cards, at))
    if (truth[at] === 1) totals.frauds += weight
    else totals.genuine += weight
  }
  const genuineMax = FALSE_POSITIVE_SHARE * totals.genuine
  let frauds = 0
  let genuine = 0
  let fraudsBefore = 0
  let genuineBefore = 0
  let precisionSum = 0
  let area = 0
  let foundAtShare = 0
  const flag = { frauds: 0, alerts: 0 }
  const block = { frauds: 0, alerts: 0 }
  for (let at = 0; at < scores.length; at += 1) {
    const weight = valueAt(weights, valueAt(cards, at))
    if (truth[at] === 1) frauds += weight
    else genuine += weight
    const score = valueAt(scores, at)
    if (scores[at + 1] === score) continue
    // One step: all rows of this score.
    if (frauds > fraudsBefore)
      precisionSum += (frauds - fraudsBefore) * (frauds / (frauds + genuine))
    area += (genuine - genuineBefore) * (frauds + fraudsBefore) * 0.5
    if (genuine <= genuineMax) foundAtShare = frauds
    if (score >= thresholds.flag) Object.assign(flag, { frauds, alerts: frauds + genuine })
    if (score >= thresholds.block) Object.assign(block, { frauds, alerts: frauds + genuine })
    fraudsBefore = frauds
    genuineBefore = genuine
  }
  const share = (part: number, whole: number): number => (whole === 0 ? 0 : part / whole)
  return {
    averagePrecision: share(precisionSum, totals.frauds),
    aucRoc: share(area, totals.frauds * totals.genuine),
    recallAtFalsePositives01Percent: share(foundAtShare, totals.frauds),
    flagPrecision: share(flag.frauds, flag.alerts),
    flagRecall: share(flag.frauds, totals.frauds),
    blockPrecision: share(block.frauds, block.alerts),
    blockRecall: share(block.frauds, totals.frauds),
  }
}

export const SEEDS_MAX = 20

/** Figures of the cascade of one seed, each with its own thresholds. */
export interface SeedFigures {
  readonly seed: number
  readonly validation: ModelMetrics
  readonly test: ModelMetrics
}

/** Figures that are reported per seed, by name. */
export const SEED_FIGURES: Readonly<Record<string, (of: ModelMetrics) => number>> = {
  'average precision': (of) => of.averagePrecision,
  'recall at 0.1 % false positives': (of) => of.recallAtFalsePositives01Percent,
  'area under the ROC curve': (of) => of.aucRoc,
  'Brier score': (of) => of.brier,
  'share flagged or blocked': (of) => of.flag.alertShare,
  'precision of flags': (of) => of.flag.precision,
  'recall of flags': (of) => of.flag.recall,
  'precision of blocks': (of) => of.block.precision,
  'recall of blocks': (of) => of.block.recall,
}
