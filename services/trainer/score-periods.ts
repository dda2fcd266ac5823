// Scores of the periods: of each net of a cascade, and of both together.

import type { OpenBackend } from '../platform/tensorflow/load-tensorflow.ts'
import { FEATURE_COUNT, FEATURE_NAMES } from '../core/features/catalogue/feature-list.ts'
import { scoreOf, type Calibration } from '../core/scoring/calibration.ts'
import { cascadeScores, verifiedRows } from '../core/scoring/cascade.ts'
import { distributionOf, type Population } from '../core/scoring/population.ts'
import type { Dataset } from './dataset.ts'
import type { Band } from './fit-band.ts'
import { fitCalibration } from './fit-calibration.ts'
import type { Scored } from './metrics.ts'
import type { ScoredPeriod } from './release.ts'
import type { Split } from './split.ts'
import type { TrainedCascade, TrainedPart } from './train-cascade.ts'

/** What training gave. */
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

/** What the cascade answers: the target where the draft reaches the band. */
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
  const scores = cascadeScores(draft.scores, rows, chosen(target.scores, rows))
  return { dataset, indices: split[period].indices, scores, truth: draft.truth, verified }
}

function chosen(scores: Float64Array, rows: Uint32Array): Float64Array {
  return Float64Array.from(rows, (row) => scores[row] ?? NaN)
}

/** How features and scores were spread over the training rows. */
export function populationOf(
  { dataset, split }: Made,
  draft: ScoredPart,
  target: ScoredPart,
  { verifyFrom }: Band,
): Population {
  const { indices } = split.train
  const scoresOf = ({ part, calibration }: ScoredPart, of: Uint32Array): Float64Array =>
    part.net.logits(part.rowsOf(dataset, of)).map((logit) => scoreOf(logit, calibration))
  const draftScores = scoresOf(draft, indices)
  const verified = verifiedRows(draftScores, verifyFrom)
  const targetScores = scoresOf(
    target,
    verified.map((row) => indices[row] ?? 0),
  )
  const scores = cascadeScores(draftScores, verified, targetScores)
  const column = (feature: number): Float64Array =>
    Float64Array.from(indices, (row) => dataset.rows[row * FEATURE_COUNT + feature] ?? NaN)
  return {
    rows: indices.length,
    features: FEATURE_NAMES.map((_, feature) => distributionOf(column(feature))),
    score: distributionOf(scores),
  }
}
