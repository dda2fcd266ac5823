// How far figures would move with other cards of the same kind: 95 % intervals, by drawing whole cards again and again
// (payments of one card are alike, so drawing single payments would promise too much).

import { FALSE_POSITIVE_SHARE, type Scored } from './metrics.ts'
import { randomOf } from './shuffle.ts'

/** Draws of an interval, its share of them, and the seed of all chance. */
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
  /** A number of the card of each row. */
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
  const found = INTERVAL_FIGURES.map(() => new Float64Array(draws))
  const weights = new Uint16Array(ranked.cardCount)
  for (let draw = 0; draw < draws; draw += 1) {
    weights.fill(0)
    for (let index = 0; index < ranked.cardCount; index += 1) {
      const card = Math.floor(next() * ranked.cardCount)
      weights[card] = (weights[card] ?? 0) + 1
    }
    const figures = figuresOf(ranked, weights, thresholds)
    for (const [index, name] of INTERVAL_FIGURES.entries()) {
      const values = found[index]
      if (values !== undefined) values[draw] = figures[name]
    }
  }
  const tail = (1 - CONFIDENCE) / 2
  const entries = INTERVAL_FIGURES.map((name, index) => {
    const values = found[index]?.sort() ?? new Float64Array()
    const at = (share: number): number => values[Math.round((draws - 1) * share)] ?? 0
    return [name, { low: at(tail), high: at(1 - tail) }]
  })
  return Object.fromEntries(entries) as MetricIntervals
}

/** Rows by falling score. */
export interface Ranked {
  readonly scores: Float64Array
  readonly truth: Uint8Array
  /** Cards counted from 0. */
  readonly cards: Uint32Array
  readonly cardCount: number
}

/** Sorts once for all draws. */
export function rank({ scores, truth, cards }: ScoredByCard): Ranked {
  const order = Array.from(scores.keys()).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0))
  const numbers = new Map<number, number>()
  const numberOf = (row: number): number => {
    const card = cards[row] ?? 0
    const known = numbers.get(card) ?? numbers.size
    numbers.set(card, known)
    return known
  }
  const numbered = Uint32Array.from(order, numberOf)
  return {
    scores: Float64Array.from(order, (row) => scores[row] ?? 0),
    truth: Uint8Array.from(order, (row) => truth[row] ?? 0),
    cards: numbered,
    cardCount: numbers.size,
  }
}

/** The figures of one draw, in two passes over the ranked rows. `weights` says how often each card was drawn. */
export function figuresOf(
  { scores, truth, cards }: Ranked,
  weights: Uint16Array,
  thresholds: { readonly flag: number; readonly block: number },
): Record<IntervalFigure, number> {
  const totals = { frauds: 0, genuine: 0 }
  for (let at = 0; at < scores.length; at += 1) {
    const weight = weights[cards[at] ?? 0] ?? 0
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
    const weight = weights[cards[at] ?? 0] ?? 0
    if (truth[at] === 1) frauds += weight
    else genuine += weight
    const score = scores[at] ?? 0
    if (scores[at + 1] === score) continue
    // A step: all rows of this score.
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
