// The tables of a protocol: each figure's mean and standard deviation over weeks, over seeds, of the mean of all seeds, and
// how many frauds of each kind are found.

import { spreadOf, type Spread } from '../seeds.ts'
import {
  alertedRows,
  FIGURE_NAMES,
  protocolFigures,
  savedShare,
  savingThreshold,
  type AssessedScores,
  type ProtocolFigures,
} from './protocol-figures.ts'

/** What is scored: each net, or the mean of the target's scores over all seeds. */
export const SCORERS = ['scored', 'target', 'draft'] as const
export type Scorer = (typeof SCORERS)[number]

/** Where thresholds are chosen. */
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
  /** Null without validation weeks, where the threshold comes from. */
  readonly savedShare: number | null
}

export const WEEK_FIGURE_NAMES: Readonly<Record<keyof WeekFigures, string>> = {
  ...FIGURE_NAMES,
  savedShare: 'share of value saved',
}

/** Null where a week has no such figure. */
export type FigureTable = Readonly<Record<keyof WeekFigures, Spread | null>>

/** Frauds of one kind, and how many are among the highest 0.5 % of the written scores. */
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
  /** Over the weeks, of the mean of the seeds: what is written. */
  readonly scored: FigureTable
  /** Over weeks and seeds. */
  readonly target: FigureTable
  readonly draft: FigureTable
  /** Over the seeds, of each one's mean over the weeks. */
  readonly seeds: { readonly target: FigureTable; readonly draft: FigureTable }
  readonly byWeek: readonly {
    readonly trainStart: string
    readonly rows: number
    readonly frauds: number
    readonly scored: WeekFigures
    readonly target: readonly WeekFigures[]
    readonly draft: readonly WeekFigures[]
  }[]
  /** Null when the data do not tell. */
  readonly scenarios: readonly ScenarioRecall[] | null
}

/** Thresholds of the share saved, in the order of the seeds. */
type Thresholds = Readonly<Record<Scorer, readonly (number | null)[]>>

/** Sums up all periods. `scenarios` is for the analysis of errors alone. */
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
      const scenario = scenarios.get(id) ?? 'not told'
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
