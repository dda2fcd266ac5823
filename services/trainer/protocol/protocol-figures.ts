// The figures of a protocol: those of one assessed week, and their mean and standard deviation over weeks, over seeds
// and of the mean of all seeds.

import { scoreFigures, type Scored } from '../metrics.ts'
import { rankedRows, type Spread, spreadOf, valueAt } from '../statistics.ts'
import { DAY_MS } from '../../core/features/catalogue/time.ts'

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
 * The threshold that maximises the value of the frauds found, less `alertCost` for each alert, over these weeks; null
 * when no alert pays. Equal scores are alerted together.
 */
export function savingThreshold(
  weeks: readonly AssessedScores[],
  alertCost: number,
): number | null {
  const rows = weeks.flatMap(({ scores, truth, amounts }) =>
    Array.from(scores, (score, row) => ({
      score,
      gain: (truth[row] === 1 ? valueAt(amounts, row) : 0) - alertCost,
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

/**
 * Value of the frauds at or above the threshold, less `alertCost` for each alert, as a share of the value of all
 * frauds.
 */
export function savedShare(
  { scores, truth, amounts }: AssessedScores,
  threshold: number | null,
  alertCost: number,
): number {
  let saved = 0
  let value = 0
  for (const [row, score] of scores.entries()) {
    const amount = truth[row] === 1 ? valueAt(amounts, row) : 0
    value += amount
    if (threshold !== null && score >= threshold) saved += amount - alertCost
  }
  return saved / Math.max(1e-9, value)
}

/** Positions of the highest 0.5 % of scores; the first ones among equals. */
export function alertedRows(scores: Float64Array): readonly number[] {
  return rankedRows(scores).slice(0, Math.round(ALERT_SHARE * scores.length))
}

/** Figures of one week. */
export function protocolFigures(week: AssessedScores): ProtocolFigures {
  const { scores, truth, amounts } = week
  const order = rankedRows(scores)
  const top = alertedRows(scores)
  const fraudsIn = (rows: readonly number[]): number =>
    rows.filter((row) => truth[row] === 1).length
  const valueOf = (rows: readonly number[]): number =>
    rows.reduce((sum, row) => sum + (truth[row] === 1 ? valueAt(amounts, row) : 0), 0)
  return {
    ...scoreFigures(week),
    cardPrecision100: cardPrecision(week),
    recallAtAlerts05Percent: fraudsIn(top) / Math.max(1, fraudsIn(order)),
    valueAtAlerts05Percent: valueOf(top) / Math.max(1e-9, valueOf(order)),
    calibrationError: calibrationError(week, order),
  }
}

/**
 * Each day, the share of frauds among the cards with the highest scores. A card counts with its highest score of the
 * day, and no longer once it was found.
 */
function cardPrecision({ scores, truth, cards, eventTimesMs }: AssessedScores): number {
  interface Best {
    score: number
    isFraud: boolean
  }
  const days = new Map<number, Map<number, Best>>()
  for (const [row, score] of scores.entries()) {
    const card = valueAt(cards, row)
    const day = Math.floor(valueAt(eventTimesMs, row) / DAY_MS)
    const ofDay = days.get(day) ?? new Map<number, Best>()
    days.set(day, ofDay)
    const best = ofDay.get(card) ?? { score: -1, isFraud: false }
    best.score = Math.max(best.score, score)
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
    for (const row of order.slice(from, to))
      difference += valueAt(scores, row) - valueAt(truth, row)
    error += Math.abs(difference)
  }
  return error / Math.max(1, order.length)
}

/** Scorers: each net, or the mean of the target's scores over all seeds. */
export const SCORERS = ['scored', 'target', 'draft'] as const
export type Scorer = (typeof SCORERS)[number]

/** The period on which thresholds are chosen. */
export const VALIDATION = 'validation'

/** One assessed week with the scores of every seed. */
export interface ScoredWeek {
  readonly period: string
  readonly trainStart: string
  readonly ids: readonly string[]
  /** By seed, in the order of the seeds. */
  readonly target: readonly AssessedScores[]
  readonly draft: readonly AssessedScores[]
  /** The mean of the target's scores. */
  readonly scored: AssessedScores
}

export type WeekFigures = ProtocolFigures & {
  /** Null without validation weeks, from which the threshold comes. */
  readonly savedShare: number | null
}

export const WEEK_FIGURE_NAMES: Readonly<Record<keyof WeekFigures, string>> = {
  ...FIGURE_NAMES,
  savedShare: 'share of value saved',
}

/** Null where a week has no such figure. */
export type FigureTable = Readonly<Record<keyof WeekFigures, Spread | null>>

/** Frauds of one kind, and how many of them are among the highest 0.5 % of the reported scores. */
export interface ScenarioRecall {
  readonly scenario: string
  readonly frauds: number
  readonly found: number
}

export interface PeriodSummary {
  readonly period: string
  readonly weeks: readonly string[]
  readonly rows: number
  readonly frauds: number
  /** Over the weeks, for the mean of the seeds: the reported scores. */
  readonly scored: FigureTable
  /** Over weeks and seeds. */
  readonly target: FigureTable
  readonly draft: FigureTable
  /** Over the seeds, for each one's mean over the weeks. */
  readonly seeds: { readonly target: FigureTable; readonly draft: FigureTable }
  readonly byWeek: readonly {
    readonly trainStart: string
    readonly rows: number
    readonly frauds: number
    readonly scored: WeekFigures
    readonly target: readonly WeekFigures[]
    readonly draft: readonly WeekFigures[]
  }[]
  /** Null when the data do not state the scenario. */
  readonly scenarios: readonly ScenarioRecall[] | null
}

/** Thresholds of the share saved, in the order of the seeds. */
type Thresholds = Readonly<Record<Scorer, readonly (number | null)[]>>

/** Summarises all periods. `scenarios` is used for the analysis of errors only. */
export function summarize(
  weeks: readonly ScoredWeek[],
  alertCost: number,
  scenarios: ReadonlyMap<string, string> | null,
): readonly PeriodSummary[] {
  const choosing = weeks.filter(({ period }) => period === VALIDATION)
  const thresholds = choosing.length === 0 ? null : thresholdsOf(choosing, alertCost)
  return [...new Set(weeks.map(({ period }) => period))].map((period) => {
    const own = weeks.filter((week) => week.period === period)
    return periodSummary(period, own, thresholds, alertCost, scenarios)
  })
}

function thresholdsOf(weeks: readonly ScoredWeek[], alertCost: number): Thresholds {
  const ofSeeds = (net: 'target' | 'draft'): readonly (number | null)[] =>
    (weeks[0]?.[net] ?? []).map((_, seed) =>
      savingThreshold(
        weeks.flatMap((week) => week[net][seed] ?? []),
        alertCost,
      ),
    )
  return {
    scored: [
      savingThreshold(
        weeks.map(({ scored }) => scored),
        alertCost,
      ),
    ],
    target: ofSeeds('target'),
    draft: ofSeeds('draft'),
  }
}

function periodSummary(
  period: string,
  weeks: readonly ScoredWeek[],
  thresholds: Thresholds | null,
  alertCost: number,
  scenarios: ReadonlyMap<string, string> | null,
): PeriodSummary {
  const figuresOf = (scorer: Scorer, seed: number, scores: AssessedScores): WeekFigures => ({
    ...protocolFigures(scores),
    savedShare:
      thresholds === null ? null : savedShare(scores, thresholds[scorer][seed] ?? null, alertCost),
  })
  const byWeek = weeks.map(({ trainStart, scored, target, draft }) => ({
    trainStart,
    rows: scored.scores.length,
    frauds: scored.truth.reduce((sum, label) => sum + label, 0),
    scored: figuresOf('scored', 0, scored),
    target: target.map((scores, seed) => figuresOf('target', seed, scores)),
    draft: draft.map((scores, seed) => figuresOf('draft', seed, scores)),
  }))
  const seedMeans = (net: 'target' | 'draft'): FigureTable =>
    tableOf(
      (byWeek[0]?.[net] ?? []).map((_, seed) =>
        meansOf(byWeek.flatMap((week) => week[net][seed] ?? [])),
      ),
    )
  return {
    period,
    weeks: weeks.map(({ trainStart }) => trainStart),
    rows: byWeek.reduce((sum, { rows }) => sum + rows, 0),
    frauds: byWeek.reduce((sum, { frauds }) => sum + frauds, 0),
    scored: tableOf(byWeek.map(({ scored }) => scored)),
    target: tableOf(byWeek.flatMap(({ target }) => target)),
    draft: tableOf(byWeek.flatMap(({ draft }) => draft)),
    seeds: { target: seedMeans('target'), draft: seedMeans('draft') },
    byWeek,
    scenarios: scenarios === null ? null : scenarioRecalls(weeks, scenarios),
  }
}

const NAMES = Object.keys(WEEK_FIGURE_NAMES) as (keyof WeekFigures)[]

function tableOf(figures: readonly WeekFigures[]): FigureTable {
  const entries = NAMES.map((name) => {
    const values = figures.map((each) => each[name]).filter((value) => value !== null)
    return [name, values.length === 0 ? null : spreadOf(values)]
  })
  return Object.fromEntries(entries) as FigureTable
}

function meansOf(figures: readonly WeekFigures[]): WeekFigures {
  const table = tableOf(figures)
  const means = Object.fromEntries(NAMES.map((name) => [name, table[name]?.mean ?? null]))
  return means as Record<keyof ProtocolFigures, number> & Pick<WeekFigures, 'savedShare'>
}

function scenarioRecalls(
  weeks: readonly ScoredWeek[],
  scenarios: ReadonlyMap<string, string>,
): readonly ScenarioRecall[] {
  const counts = new Map<string, { frauds: number; found: number }>()
  for (const { ids, scored } of weeks) {
    const alerted = new Set(alertedRows(scored.scores))
    for (const [row, id] of ids.entries()) {
      if (scored.truth[row] !== 1) continue
      const scenario = scenarios.get(id) ?? 'unknown'
      const count = counts.get(scenario) ?? { frauds: 0, found: 0 }
      counts.set(scenario, count)
      count.frauds += 1
      if (alerted.has(row)) count.found += 1
    }
  }
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([scenario, count]) => ({ scenario, ...count }))
}
