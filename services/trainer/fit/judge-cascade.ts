// Makes every choice about a trained cascade and measures it: calibration, thresholds and the band come from
// validation; the test period has no part in any choice.

import {
  costFigures,
  type AlertCosts,
  type CostFigures,
  type CostedRows,
  type ModelCosts,
} from '../../core/scoring/alert-costs.ts'
import { SluiceError } from '../../core/errors.ts'
import type { ModelManifest, Thresholds } from '../../core/scoring/manifest.ts'
import { chooseThresholds, cheapestThresholds } from './fit-thresholds.ts'
import { fitBand, type Band } from './fit-band.ts'
import { measureScores, type Scored } from '../metrics.ts'
import type { PartMetrics, ScoredPeriod } from '../release.ts'
import type { OpenBackend } from '../../platform/tensorflow/load-tensorflow.ts'
import { FEATURE_COUNT, FEATURE_NAMES } from '../../core/features/catalogue/feature-list.ts'
import { scoreOf, type Calibration } from '../../core/scoring/scaling.ts'
import { cascadeScores, verifiedRows } from '../../core/scoring/cascade.ts'
import {
  distributionOf,
  type TrainingDistribution,
} from '../../core/scoring/training-distribution.ts'
import type { Dataset } from '../dataset/dataset.ts'
import { fitCalibration } from './fit-calibration.ts'
import type { Split } from '../dataset/split.ts'
import type { TrainedCascade, TrainedPart } from '../net/train-cascade.ts'
import { gathered, valueAt } from '../statistics.ts'

/** Rules for thresholds: least cost, or precision within a budget of alerts. */
export const THRESHOLD_RULES = ['cost', 'precision'] as const
export type ThresholdRule = (typeof THRESHOLD_RULES)[number]

export interface ThresholdChoice {
  readonly rule: ThresholdRule
  readonly costs: AlertCosts
}

/** A cascade with all choices and measurements. */
export interface Judged {
  readonly made: Made
  readonly draft: ScoredPart
  readonly target: ScoredPart
  readonly thresholds: Thresholds
  readonly band: Band
  readonly validation: ScoredPeriod & Scored
  readonly test: ScoredPeriod & Scored
  readonly metrics: ModelManifest['metrics']
  readonly parts: PartMetrics
  readonly costs: ModelCosts
}

/**
 * Calibrates, chooses and measures.
 * @throws SluiceError SLUICE_TRAINING_DATA_INVALID when payments of the test period get no score.
 */
export function judgeCascade(made: Made, { rule, costs }: ThresholdChoice): Judged {
  const draft = scoredPart(made, made.cascade.draft)
  const target = scoredPart(made, made.cascade.target)
  // Thresholds apply to scores of the target, because every alert has one.
  const thresholds =
    rule === 'cost'
      ? cheapestThresholds(costedRows(made, 'validation', target.validation), costs)
      : chooseThresholds(target.validation)
  const band = fitBand(draft.validation.scores, target.validation.scores, thresholds)
  const validation = cascadePeriod(made, 'validation', draft, target, band)
  const test = cascadePeriod(made, 'test', draft, target, band)
  if (!test.scores.every(Number.isFinite)) {
    throw new SluiceError(
      'SLUICE_TRAINING_DATA_INVALID',
      'Some transactions of the test period get no score, so nothing can be said about the model. Try another --seed.',
    )
  }
  const figuresOf = (period: 'validation' | 'test', scored: Scored): CostFigures =>
    inWhole(costFigures(costedRows(made, period, scored), thresholds, costs))
  return {
    made,
    draft,
    target,
    thresholds,
    band,
    validation,
    test,
    metrics: {
      validation: measureScores(validation, thresholds),
      test: measureScores(test, thresholds),
    },
    parts: {
      draft: measureScores(draft.test, thresholds),
      target: measureScores(target.test, thresholds),
    },
    costs: {
      costs,
      validation: figuresOf('validation', validation),
      test: figuresOf('test', test),
    },
  }
}

function costedRows(
  { dataset, split }: Made,
  period: 'validation' | 'test',
  { scores, truth }: Scored,
): CostedRows {
  const { indices } = split[period]
  const amountsMinor = gathered(dataset.amountsMinor, indices)
  return { scores, truth, amountsMinor }
}

/** Rounds to whole minor units: shares of amounts leave fractions. */
function inWhole(figures: CostFigures): CostFigures {
  const { fraudMinor, avoidedMinor, alertsMinor, wrongBlocksMinor } = figures
  return {
    fraudMinor: Math.round(fraudMinor),
    avoidedMinor: Math.round(avoidedMinor),
    alertsMinor: Math.round(alertsMinor),
    wrongBlocksMinor: Math.round(wrongBlocksMinor),
  }
}

/** Result of the training. */
export interface Made {
  readonly dataset: Dataset
  readonly split: Split
  readonly cascade: TrainedCascade
  readonly backend: OpenBackend
}

/** Calibrated scores of one net. */
export interface ScoredPart {
  readonly part: TrainedPart
  readonly calibration: Calibration
  readonly validation: Scored
  readonly test: Scored
}

/** Scores both later periods with one net, calibrated on validation. */
export function scoredPart({ dataset, split }: Made, part: TrainedPart): ScoredPart {
  const validationRows = part.rowsOf(dataset, split.validation.indices)
  const logits = part.net.logits(validationRows)
  const calibration = fitCalibration(logits, validationRows.truth)
  const calibrated = (values: Float64Array): Float64Array =>
    values.map((logit) => scoreOf(logit, calibration))
  const testRows = part.rowsOf(dataset, split.test.indices)
  return {
    part,
    calibration,
    validation: { scores: calibrated(logits), truth: validationRows.truth },
    test: { scores: calibrated(part.net.logits(testRows)), truth: testRows.truth },
  }
}

/** Scores of the cascade: the target's where the draft reaches the band. */
export function cascadePeriod(
  { dataset, split }: Made,
  period: 'validation' | 'test',
  draftPart: ScoredPart,
  targetPart: ScoredPart,
  { verifyFrom }: Band,
): ScoredPeriod & Scored {
  const draft = draftPart[period]
  const target = targetPart[period]
  const rows = verifiedRows(draft.scores, verifyFrom)
  const verified = new Uint8Array(draft.scores.length)
  for (const row of rows) verified[row] = 1
  const scores = cascadeScores(draft.scores, rows, gathered(target.scores, rows))
  return { dataset, indices: split[period].indices, scores, truth: draft.truth, verified }
}

/** Distribution of features and scores over the training rows. */
export function trainingDistributionOf(
  { dataset, split }: Made,
  draft: ScoredPart,
  target: ScoredPart,
  { verifyFrom }: Band,
): TrainingDistribution {
  const { indices } = split.train
  const scoresOf = ({ part, calibration }: ScoredPart, of: Uint32Array): Float64Array =>
    part.net.logits(part.rowsOf(dataset, of)).map((logit) => scoreOf(logit, calibration))
  const draftScores = scoresOf(draft, indices)
  const verified = verifiedRows(draftScores, verifyFrom)
  const targetScores = scoresOf(target, gathered(indices, verified))
  const scores = cascadeScores(draftScores, verified, targetScores)
  const column = (feature: number): Float64Array =>
    Float64Array.from(indices, (row) => valueAt(dataset.rows, row * FEATURE_COUNT + feature))
  return {
    rows: indices.length,
    features: FEATURE_NAMES.map((_, feature) => distributionOf(column(feature))),
    score: distributionOf(scores),
  }
}
