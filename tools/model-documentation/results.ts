// evaluation/results.json: the measured figures with their intervals, by week, and on the shipped rows.

import { readModelCosts } from '../../services/core/scoring/alert-costs.ts'
import { FieldReader } from '../../services/core/scoring/field-reader.ts'
import { GOLDEN_TOLERANCE } from '../../services/core/scoring/golden.ts'
import {
  readMetrics,
  readPeriod,
  readThresholdMetrics,
  readThresholds,
  type DataPeriod,
  type ModelManifest,
  type ModelMetrics,
  type ThresholdMetrics,
  readBand,
  type TargetManifest,
} from '../../services/core/scoring/manifest.ts'
import {
  SKIP_REASONS,
  type HistoryFacts,
  type SkipCounts,
} from '../../services/trainer/dataset/dataset.ts'
import {
  atThreshold,
  averagePrecision,
  measureScores,
  CONFIDENCE,
  DRAWS,
  INTERVAL_FIGURES,
  intervalsOf,
  type Interval,
  type MetricIntervals,
  type ScoredByCard,
  SEEDS_MAX,
  type SeedFigures,
} from '../../services/trainer/metrics.ts'
import { ROWS_FILE, type ShippedRows } from '../../services/trainer/dataset/evaluation-rows.ts'
import type { PartMetrics, Release, ScoredPeriod } from '../../services/trainer/release.ts'
import { sha256Of } from '../../services/trainer/model-folder.ts'
import { gathered, valueAt } from '../../services/trainer/statistics.ts'

export const RESULTS_FILE = 'evaluation/results.json'
export const RESULTS_FORMAT = 1

/** Largest allowed difference between recomputed and written scores and figures. */
export const TOLERANCE = Object.freeze({ score: GOLDEN_TOLERANCE, metric: 0.002 })

const WEEK_MS = 7 * 86_400_000
const WEEKS_MAX = 520
const TEXT_MAX = 2_000

/** Figures of one week; the last one may be shorter. */
export interface WeekResult extends DataPeriod {
  /** Null without frauds. */
  readonly averagePrecision: number | null
  readonly flag: ThresholdMetrics
  readonly block: ThresholdMetrics
}

/** The shipped rows, and the figures measured on exactly these. */
export interface ShippedResult {
  readonly file: string
  /** SHA-256 of the unpacked text, hex. */
  readonly textSha256: string
  readonly rows: number
  readonly frauds: number
  /** The rule by which they were drawn. */
  readonly rule: string
  readonly metrics: ModelMetrics
}

/** The band found on the validation period, and the figures of each net alone on the test period. */
export interface CascadeResult extends BandFacts {
  readonly parts: PartMetrics
}

type BandFacts = Pick<TargetManifest, 'verifyFrom' | 'verifiedShare' | 'sampleShare' | 'agreement'>

export interface Results {
  readonly formatVersion: typeof RESULTS_FORMAT
  readonly model: { readonly name: string; readonly version: string }
  readonly caveat: string
  readonly command: string
  readonly releasedOn: string
  readonly history: HistoryFacts
  readonly periods: ModelManifest['periods']
  readonly thresholds: ModelManifest['thresholds']
  readonly metrics: ModelManifest['metrics']
  /** Costs and savings of the thresholds. */
  readonly costs: ModelManifest['costs']
  /** Figures of all seeds that were trained. */
  readonly seeds: readonly SeedFigures[]
  /** Agreement of draft and target; null for a model of one net. */
  readonly cascade: CascadeResult | null
  readonly intervals: {
    readonly confidence: number
    readonly draws: number
    readonly validation: MetricIntervals
    readonly test: MetricIntervals
  }
  readonly weeks: readonly WeekResult[]
  readonly tolerance: { readonly score: number; readonly metric: number }
  /** Null when no rows are shipped. */
  readonly shipped: ShippedResult | null
}

/** Measures all figures that the folder states. */
export function resultsOf(release: Release, shipped: ShippedRows | null): Results {
  const { manifest, validation, test } = release
  const { name, version, periods, thresholds, metrics } = manifest
  return {
    formatVersion: RESULTS_FORMAT,
    model: { name, version },
    caveat: release.caveat,
    command: release.command,
    releasedOn: release.releasedOn,
    history: release.history,
    periods,
    thresholds,
    metrics,
    costs: manifest.costs,
    seeds: release.bySeed,
    cascade: manifest.target === null ? null : { ...bandOf(manifest.target), parts: release.parts },
    intervals: {
      confidence: CONFIDENCE,
      draws: DRAWS,
      validation: intervalsOf(scoredOf(validation), thresholds),
      test: intervalsOf(scoredOf(test), thresholds),
    },
    weeks: weeksOf(test, periods.test, thresholds),
    tolerance: TOLERANCE,
    shipped: shipped === null ? null : shippedResult(shipped, thresholds),
  }
}

/** The fields of a target that the results repeat. */
export function bandOf({
  verifyFrom,
  verifiedShare,
  sampleShare,
  agreement,
}: BandFacts): BandFacts {
  return { verifyFrom, verifiedShare, sampleShare, agreement }
}

function scoredOf({ dataset, indices, scores }: ScoredPeriod): ScoredByCard {
  return {
    scores,
    truth: gathered(dataset.truth, indices),
    cards: gathered(dataset.cards, indices),
  }
}

function weeksOf(
  { dataset, indices, scores }: ScoredPeriod,
  { fromMs, endMs }: DataPeriod,
  thresholds: ModelManifest['thresholds'],
): readonly WeekResult[] {
  const weeks: WeekResult[] = []
  for (let startMs = fromMs; startMs < endMs && weeks.length < WEEKS_MAX; startMs += WEEK_MS) {
    const stopMs = Math.min(endMs, startMs + WEEK_MS)
    const inside = Array.from(indices.keys()).filter((position) => {
      const timeMs = valueAt(dataset.eventTimesMs, valueAt(indices, position))
      return timeMs >= startMs && timeMs < stopMs
    })
    const scored = {
      scores: gathered(scores, inside),
      truth: gathered(dataset.truth, gathered(indices, inside)),
    }
    const frauds = scored.truth.reduce((sum, label) => sum + label, 0)
    weeks.push({
      fromMs: startMs,
      endMs: stopMs,
      transactions: inside.length,
      frauds,
      averagePrecision: frauds === 0 ? null : averagePrecision(scored),
      flag: atThreshold(scored, thresholds.flag),
      block: atThreshold(scored, thresholds.block),
    })
  }
  return weeks
}

function shippedResult(
  shipped: ShippedRows,
  thresholds: ModelManifest['thresholds'],
): ShippedResult {
  return {
    file: ROWS_FILE,
    textSha256: sha256Of(shipped.text),
    rows: shipped.rowCount,
    frauds: shipped.truth.reduce((sum, label) => sum + label, 0),
    rule: shipped.rule,
    metrics: measureScores(shipped, thresholds),
  }
}

/** Checks parsed results. @throws SluiceError SLUICE_MODEL_CORRUPT naming field and value. */
export function checkResults(value: unknown): Results {
  const fields = new FieldReader(value, RESULTS_FILE)
  fields.integer('formatVersion', RESULTS_FORMAT, RESULTS_FORMAT)
  const results: Results = {
    formatVersion: RESULTS_FORMAT,
    model: fields.object('model', (model) => ({
      name: model.string('name'),
      version: model.string('version'),
    })),
    caveat: fields.string('caveat', TEXT_MAX),
    command: fields.string('command', TEXT_MAX),
    releasedOn: fields.string('releasedOn'),
    history: fields.object('history', readHistory),
    periods: fields.object('periods', (periods) => ({
      train: periods.object('train', readPeriod),
      validation: periods.object('validation', readPeriod),
      test: periods.object('test', readPeriod),
    })),
    thresholds: fields.object('thresholds', readThresholds),
    metrics: fields.object('metrics', (metrics) => ({
      validation: metrics.object('validation', readMetrics),
      test: metrics.object('test', readMetrics),
    })),
    costs: fields.object('costs', readModelCosts),
    seeds: fields.objects('seeds', SEEDS_MAX, (of) => ({
      seed: of.integer('seed'),
      validation: of.object('validation', readMetrics),
      test: of.object('test', readMetrics),
    })),
    cascade: fields.objectOrNull('cascade', (cascade) => ({
      ...readBand(cascade),
      parts: cascade.object('parts', (parts) => ({
        draft: parts.object('draft', readMetrics),
        target: parts.object('target', readMetrics),
      })),
    })),
    intervals: fields.object('intervals', (intervals) => ({
      confidence: intervals.number('confidence', 0, 1),
      draws: intervals.integer('draws', 1),
      validation: intervals.object('validation', readIntervals),
      test: intervals.object('test', readIntervals),
    })),
    weeks: fields.objects('weeks', WEEKS_MAX, (week) => ({
      ...readPeriod(week),
      averagePrecision: week.numberOrNull('averagePrecision'),
      flag: week.object('flag', readThresholdMetrics),
      block: week.object('block', readThresholdMetrics),
    })),
    tolerance: fields.object('tolerance', (tolerance) => ({
      score: tolerance.number('score', 0, 1),
      metric: tolerance.number('metric', 0, 1),
    })),
    shipped: fields.objectOrNull('shipped', readShipped),
  }
  fields.end()
  return results
}

function readHistory(fields: FieldReader): HistoryFacts {
  return {
    firstMs: fields.integer('firstMs'),
    lastMs: fields.integer('lastMs'),
    transactions: fields.integer('transactions'),
    cards: fields.integer('cards'),
    frauds: fields.integer('frauds'),
    labels: fields.integer('labels'),
    correctedLabels: fields.integer('correctedLabels'),
    labelDelay: fields.objectOrNull('labelDelay', (delay) => ({
      medianMs: delay.number('medianMs'),
      p90Ms: delay.number('p90Ms'),
      maxMs: delay.number('maxMs'),
    })),
    skipped: fields.object(
      'skipped',
      (skipped) =>
        Object.fromEntries(
          SKIP_REASONS.map((reason) => [reason, skipped.integer(reason)]),
        ) as SkipCounts,
    ),
  }
}

function readIntervals(fields: FieldReader): MetricIntervals {
  const readInterval = (interval: FieldReader): Interval => ({
    low: interval.number('low', 0, 1),
    high: interval.number('high', 0, 1),
  })
  const entries = INTERVAL_FIGURES.map((name) => [name, fields.object(name, readInterval)])
  return Object.fromEntries(entries) as MetricIntervals
}

function readShipped(fields: FieldReader): ShippedResult {
  return {
    file: fields.oneOf('file', [ROWS_FILE]),
    textSha256: fields.digest('textSha256'),
    rows: fields.integer('rows', 1),
    frauds: fields.integer('frauds'),
    rule: fields.string('rule', TEXT_MAX),
    metrics: fields.object('metrics', readMetrics),
  }
}
