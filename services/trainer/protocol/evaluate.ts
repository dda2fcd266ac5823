// Runs a protocol over a history: which days are needed, the weeks of both periods, and the figures over weeks and seeds.

import type { RateTable } from '../../core/currency.ts'
import { collectDataset, type HistoryEvent } from '../dataset.ts'
import { openTrainingBackend, type TrainingBackend } from '../training-backend.ts'
import { CASCADE_SHAPE } from '../train-cascade.ts'
import { dayStartMs, PUBLISHED_WEEKS, type Conditions } from './handbook-weeks.ts'
import { FIGURE_NAMES, type ProtocolFigures } from './protocol-figures.ts'
import { runProtocol, type WeekResult, type WeekScores } from './run-protocol.ts'

/** Epochs of each net: those that were best on the validation weeks. */
export const PROTOCOL_EPOCHS = 12

export interface EvaluateOptions {
  /** Training weeks by period; the published ones unless given. */
  readonly weeks?: Readonly<Record<string, readonly string[]>>
  readonly conditions: Conditions
  readonly seeds: number
  readonly epochs: number
  readonly backend: TrainingBackend
  readonly rates: RateTable
  /** Is given the scores of a week as soon as they are there. */
  readonly onWeek: (period: string, week: WeekScores) => Promise<void>
  readonly onProgress: (line: string) => void
}

/** Mean and standard deviation over the weeks. */
export interface Spread {
  readonly mean: number
  readonly deviation: number
}

export type FigureTable = Readonly<Record<keyof ProtocolFigures, Spread>>

export interface PeriodSummary {
  readonly period: string
  readonly weeks: readonly string[]
  readonly rows: number
  readonly frauds: number
  /** Of the scores that are written: the mean over the seeds. */
  readonly scored: FigureTable
  /** Of single seeds, over weeks and seeds. */
  readonly target: FigureTable
  readonly draft: FigureTable
  /** Mean average precision of the target over the weeks, by seed. */
  readonly precisionBySeed: readonly number[]
}

export interface EvaluateSummary {
  readonly conditions: Conditions
  readonly seeds: number
  readonly epochs: number
  readonly backend: string
  readonly dataDigest: string
  readonly periods: readonly PeriodSummary[]
}

/** @throws SluiceError SLUICE_USAGE, SLUICE_TRAINING_DATA_INVALID, SLUICE_BACKEND_UNAVAILABLE */
export async function evaluateProtocol(
  history: AsyncIterable<HistoryEvent> | Iterable<HistoryEvent>,
  options: EvaluateOptions,
): Promise<EvaluateSummary> {
  const periods = options.weeks ?? PUBLISHED_WEEKS
  const { conditions, seeds, epochs, onProgress } = options
  const starts = Object.values(periods).flat().map(dayStartMs)
  const backend = await openTrainingBackend(options.backend, onProgress)
  onProgress(`training on ${backend.backend} (${backend.detail})`)
  const dataset = await collectDataset(history, {
    rates: options.rates,
    onProgress,
    ...(conditions === 'published' ? { keepFromMs: Math.min(...starts) } : {}),
  })
  const summaries: PeriodSummary[] = []
  for (const [period, weeks] of Object.entries(periods)) {
    const results: WeekResult[] = []
    const scored: ProtocolFigures[] = []
    const protocol = { weeks, conditions, seeds, epochs, shape: CASCADE_SHAPE, onProgress }
    for await (const { results: ofWeek, week } of runProtocol(backend, dataset, protocol)) {
      results.push(...ofWeek)
      scored.push(week.figures)
      await options.onWeek(period, week)
    }
    summaries.push(summaryOf(period, weeks, results, scored))
  }
  return {
    ...{ conditions, seeds, epochs },
    backend: backend.backend,
    dataDigest: dataset.digest,
    periods: summaries,
  }
}

function summaryOf(
  period: string,
  weeks: readonly string[],
  results: readonly WeekResult[],
  scored: readonly ProtocolFigures[],
): PeriodSummary {
  const firsts = results.filter(({ seed }) => seed === 1)
  const seeds = [...new Set(results.map(({ seed }) => seed))]
  return {
    ...{ period, weeks },
    rows: firsts.reduce((sum, { rows }) => sum + rows, 0),
    frauds: firsts.reduce((sum, { frauds }) => sum + frauds, 0),
    scored: tableOf(scored),
    target: tableOf(results.map(({ target }) => target)),
    draft: tableOf(results.map(({ draft }) => draft)),
    precisionBySeed: seeds.map(
      (seed) =>
        spreadOf(
          results
            .filter((result) => result.seed === seed)
            .map(({ target }) => target.averagePrecision),
        ).mean,
    ),
  }
}

function tableOf(figures: readonly ProtocolFigures[]): FigureTable {
  const names = Object.keys(FIGURE_NAMES) as (keyof ProtocolFigures)[]
  return Object.fromEntries(
    names.map((name) => [name, spreadOf(figures.map((each) => each[name]))]),
  ) as Record<keyof ProtocolFigures, Spread>
}

function spreadOf(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length)
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(squares / Math.max(1, values.length)) }
}
