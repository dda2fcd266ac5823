// The figures of the handbook's protocol for one assessed week.

import { DAY_MS } from '../../core/features/catalogue/time.ts'
import { scoreFigures, type Scored } from '../metrics.ts'

const ALERT_SHARE = 0.005
const CARDS_A_DAY = 100
const CALIBRATION_BINS = 10

/** Scored rows of one week; arrays are by row. */
export interface AssessedScores extends Scored {
  readonly cards: readonly number[]
  readonly eventTimesMs: readonly number[]
  readonly amounts: readonly number[]
}

export interface ProtocolFigures {
  readonly averagePrecision: number
  readonly cardPrecision100: number
  readonly recallAtFalsePositives01Percent: number
  readonly recallAtAlerts05Percent: number
  readonly valueAtAlerts05Percent: number
  readonly aucRoc: number
  readonly brier: number
  /** Mean distance of score and share of frauds over ten bins of equally many rows. */
  readonly calibrationError: number
}

export const FIGURE_NAMES: Readonly<Record<keyof ProtocolFigures, string>> = {
  averagePrecision: 'average precision',
  cardPrecision100: 'card precision@100',
  recallAtFalsePositives01Percent: 'recall at 0.1 % false positives',
  recallAtAlerts05Percent: 'recall at 0.5 % alerts',
  valueAtAlerts05Percent: 'value detected at 0.5 % alerts',
  aucRoc: 'AUC ROC',
  brier: 'Brier',
  calibrationError: 'expected calibration error',
}

/**
 * The threshold with which the value of found frauds, less `alertCost` for each alert, is largest over these weeks; null
 * when no alert pays. Equal scores are alerted together.
 */
export function savingThreshold(
  weeks: readonly AssessedScores[],
  alertCost: number,
): number | null {
  const rows = weeks.flatMap(({ scores, truth, amounts }) =>
    Array.from(scores, (score, row) => ({
      score,
      gain: (truth[row] === 1 ? (amounts[row] ?? 0) : 0) - alertCost,
    })),
  )
  rows.sort((a, b) => b.score - a.score)
  let gain = 0
  let best = 0
  let threshold: number | null = null
  for (const [rank, row] of rows.entries()) {
    gain += row.gain
    if (rows[rank + 1]?.score === row.score || gain <= best) continue
    best = gain
    threshold = row.score
  }
  return threshold
}

/** Value of the frauds at or above the threshold, less `alertCost` for each alert, as a share of the value of all frauds. */
export function savedShare(
  { scores, truth, amounts }: AssessedScores,
  threshold: number | null,
  alertCost: number,
): number {
  let saved = 0
  let value = 0
  for (const [row, score] of scores.entries()) {
    const amount = truth[row] === 1 ? (amounts[row] ?? 0) : 0
    value += amount
    if (threshold !== null && score >= threshold) saved += amount - alertCost
  }
  return saved / Math.max(1e-9, value)
}

/** Positions of the highest 0.5 % of scores; of equal ones the first. */
export function alertedRows(scores: Float64Array): readonly number[] {
  return rankedRows(scores).slice(0, Math.round(ALERT_SHARE * scores.length))
}

/** Positions of scores from the highest to the lowest; of equal ones the first before the others. */
export function rankedRows(scores: Float64Array): readonly number[] {
  return Array.from(scores.keys()).sort((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0) || a - b)
}

/** Figures of one week. */
export function protocolFigures(week: AssessedScores): ProtocolFigures {
  const { scores, truth, amounts } = week
  const order = rankedRows(scores)
  const top = alertedRows(scores)
  const fraudsIn = (rows: readonly number[]): number =>
    rows.filter((row) => truth[row] === 1).length
  const valueOf = (rows: readonly number[]): number =>
    rows.reduce((sum, row) => sum + (truth[row] === 1 ? (amounts[row] ?? 0) : 0), 0)
  return {
    ...scoreFigures(week),
    cardPrecision100: cardPrecision(week),
    recallAtAlerts05Percent: fraudsIn(top) / Math.max(1, fraudsIn(order)),
    valueAtAlerts05Percent: valueOf(top) / Math.max(1e-9, valueOf(order)),
    calibrationError: calibrationError(week, order),
  }
}

/** Each day the highest score of each card; of the highest cards the share defrauded that day; found ones are dropped. */
function cardPrecision({ scores, truth, cards, eventTimesMs }: AssessedScores): number {
  interface Best {
    score: number
    isFraud: boolean
  }
  const days = new Map<number, Map<number, Best>>()
  for (const [row, card] of cards.entries()) {
    const day = Math.floor((eventTimesMs[row] ?? 0) / DAY_MS)
    const ofDay = days.get(day) ?? new Map<number, Best>()
    days.set(day, ofDay)
    const best = ofDay.get(card) ?? { score: -1, isFraud: false }
    best.score = Math.max(best.score, scores[row] ?? 0)
    best.isFraud ||= truth[row] === 1
    ofDay.set(card, best)
  }
  const found = new Set<number>()
  let sum = 0
  for (const [, ofDay] of [...days].sort(([a], [b]) => a - b)) {
    const top = [...ofDay]
      .filter(([card]) => !found.has(card))
      .sort(([, a], [, b]) => b.score - a.score)
      .slice(0, CARDS_A_DAY)
      .filter(([, { isFraud }]) => isFraud)
    sum += top.length / CARDS_A_DAY
    for (const [card] of top) found.add(card)
  }
  return sum / Math.max(1, days.size)
}

function calibrationError({ scores, truth }: Scored, order: readonly number[]): number {
  let error = 0
  for (let bin = 0; bin < CALIBRATION_BINS; bin += 1) {
    const from = Math.floor((bin * order.length) / CALIBRATION_BINS)
    const to = Math.floor(((bin + 1) * order.length) / CALIBRATION_BINS)
    let difference = 0
    for (const row of order.slice(from, to)) difference += (scores[row] ?? 0) - (truth[row] ?? 0)
    error += Math.abs(difference)
  }
  return error / Math.max(1, order.length)
}
