// From a history to a model folder: rows, split by time, the two nets of a cascade, calibration, thresholds, the band,
// figures, files.

import { createHash } from 'node:crypto'
import type { RateTable } from '../core/currency.ts'
import { SluiceError } from '../core/errors.ts'
import { FEATURE_COUNT, FEATURE_NAMES } from '../core/features/feature-list.ts'
import { scoreOf, type Calibration } from '../core/scoring/calibration.ts'
import { cascadeScores, verifiedRows } from '../core/scoring/cascade.ts'
import { checkManifest, type ModelManifest } from '../core/scoring/manifest.ts'
import { distributionOf, type Population } from '../core/scoring/population.ts'
import type { OpenBackend } from '../platform/tensorflow/load-tensorflow.ts'
import { chooseThresholds } from './choose-thresholds.ts'
import { collectDataset, type Dataset, type HistoryEvent } from './dataset.ts'
import { fitBand, type Band } from './fit-band.ts'
import { fitCalibration } from './fit-calibration.ts'
import { draftGolden, targetGolden } from './golden-rows.ts'
import { skipText, type SkipCounts } from './history-facts.ts'
import { manifestOf } from './manifest-of.ts'
import { measureScores, type Scored } from './metrics.ts'
import { checkTarget, writeModelFolder } from './model-folder-writer.ts'
import { jsonBytes, netBytes } from './net-files.ts'
import { withPapers } from './openness/papers.ts'
import type { Release, ScoredPeriod } from './openness/release.ts'
import { splitByTime, type DatasetPeriod, type Split, type SplitOptions } from './split.ts'
import {
  CASCADE_SHAPE,
  trainCascade,
  type CascadeShape,
  type TrainedCascade,
  type TrainedPart,
} from './train-cascade.ts'
import { openTrainingBackend, type TrainingBackend } from './training-backend.ts'
import { CURVES_FILE, trainingCurves } from './training-curves.ts'
import { trainingMethod } from './training-method.ts'

export interface TrainerOptions {
  /** Folder to write. */
  readonly out: string
  /** Replace a model that is there. */
  readonly force: boolean
  /** Name of the model; its version is the name and a digest. */
  readonly name: string
  /** Where the history comes from, and what must be said about it, in words. */
  readonly source: string
  readonly caveat: string
  readonly seed: number
  readonly epochsMax: number
  readonly split: SplitOptions
  /** Sizes of the nets; CASCADE_SHAPE unless given. */
  readonly shape?: CascadeShape
  readonly backend: TrainingBackend
  readonly rates: RateTable
  /** What the papers say of the release beside the run itself. */
  readonly release: Pick<Release, 'terms' | 'releasedOn' | 'command'>
  /** Messages or rows that the source could not read, asked at the end; none unless given. */
  readonly unreadable?: () => number
}

/** What holds when nothing else is said. */
export const TRAINER_DEFAULTS = Object.freeze({ seed: 42, epochsMax: 40 })

/** Share of payments that the target scores only so that agreement can be measured. */
const SAMPLE_SHARE = 0.005

/** What was made. */
export interface TrainSummary {
  readonly out: string
  readonly version: string
  /** SHA-256 of manifest.json, hex: the model's digest. */
  readonly digest: string
  readonly transactions: number
  readonly labels: number
  /** What was left out of the history, by reason. */
  readonly skipped: SkipCounts
  readonly periods: ModelManifest['periods']
  readonly thresholds: ModelManifest['thresholds']
  readonly metrics: ModelManifest['metrics']
  /** Average precision of the draft alone on the test period. */
  readonly draftPrecision: number
  readonly verifyFrom: number
  readonly verifiedShare: number
  readonly backend: string
  /** Of the draft and of the target. */
  readonly epochs: readonly number[]
  readonly secondsPerEpoch: readonly number[]
  readonly bytes: number
}

/**
 * Trains and writes. The same history and options give the same bytes on one backend.
 * @throws SluiceError SLUICE_USAGE when `out` is taken, SLUICE_TRAINING_DATA_INVALID when the history cannot be
 * learnt from, SLUICE_BACKEND_UNAVAILABLE.
 */
export async function runTrainer(
  history: AsyncIterable<HistoryEvent> | Iterable<HistoryEvent>,
  options: TrainerOptions,
  onProgress: (line: string) => void,
): Promise<TrainSummary> {
  await checkTarget(options.out, options.force)
  const backend = await openTrainingBackend(options.backend, onProgress)
  onProgress(`training on ${backend.backend} (${backend.detail})`)
  const dataset = await collectDataset(history, { ...options, onProgress })
  const leftOut = skipText(dataset.facts.skipped)
  if (leftOut !== null) onProgress(leftOut)
  const split = splitByTime(dataset, options.split)
  for (const [name, period] of Object.entries(split) as [string, DatasetPeriod][]) {
    onProgress(`${name}: ${period.transactions} transactions, ${period.frauds} frauds`)
  }
  const cascade = await trainCascade(
    backend,
    dataset,
    split.train.indices,
    split.validation.indices,
    { ...options, shape: options.shape ?? CASCADE_SHAPE, onProgress },
  )
  try {
    const made = { dataset, split, cascade, backend }
    const draft = scoredPart(made, cascade.draft)
    const target = scoredPart(made, cascade.target)
    return await writeModel(made, draft, target, options)
  } finally {
    cascade.close()
  }
}

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

function scoredPart({ dataset, split }: Made, part: TrainedPart): ScoredPart {
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
function cascadePeriod(
  { dataset, split }: Made,
  period: 'validation' | 'test',
  draft: Scored,
  target: Scored,
  { verifyFrom }: Band,
): ScoredPeriod & Scored {
  const rows = verifiedRows(draft.scores, verifyFrom)
  const verified = new Uint8Array(draft.scores.length)
  for (const row of rows) verified[row] = 1
  const scores = cascadeScores(draft.scores, rows, chosen(target.scores, rows))
  return { dataset, indices: split[period].indices, scores, truth: draft.truth, verified }
}

function chosen(scores: Float64Array, rows: Uint32Array): Float64Array {
  return Float64Array.from(rows, (row) => scores[row] ?? NaN)
}

async function writeModel(
  made: Made,
  draft: ScoredPart,
  target: ScoredPart,
  options: TrainerOptions,
): Promise<TrainSummary> {
  const { dataset, cascade, backend } = made
  // Thresholds are of the target's scores, which all alerts have.
  const thresholds = chooseThresholds(target.validation)
  const band = fitBand(draft.validation.scores, target.validation.scores, thresholds)
  const scored = (period: 'validation' | 'test'): ScoredPeriod & Scored =>
    cascadePeriod(made, period, draft[period], target[period], band)
  const validation = scored('validation')
  const test = scored('test')
  if (!test.scores.every(Number.isFinite)) {
    throw new SluiceError(
      'SLUICE_TRAINING_DATA_INVALID',
      'Some transactions of the test period get no score, so nothing can be said about the model. Try another --seed.',
    )
  }
  const metrics = {
    validation: measureScores(validation, thresholds),
    test: measureScores(test, thresholds),
  }
  const parts = {
    draft: measureScores(draft.test, thresholds),
    target: measureScores(target.test, thresholds),
  }
  const draftFiles = await netBytes(backend.tf, cascade.draft.net.model, 'weights.bin')
  const targetFiles = await netBytes(backend.tf, cascade.target.net.model, 'target.bin')
  const files = {
    'model.json': draftFiles.model,
    'weights.bin': draftFiles.weights,
    'golden.json': draftGolden(made, draft),
    'target.json': targetFiles.model,
    'target.bin': targetFiles.weights,
    'target-golden.json': targetGolden(made, target),
  }
  const manifest = manifestOf(made, options, files, {
    thresholds,
    metrics,
    band,
    population: populationOf(made, draft, target, band),
    draftCalibration: draft.calibration,
    targetCalibration: target.calibration,
    sampleShare: SAMPLE_SHARE,
  })
  const epochs = {
    draft: cascade.draft.net.epochs,
    target: cascade.target.net.epochs,
  }
  const manifestBytes = jsonBytes(checkManifest(manifest))
  const curves = trainingCurves(
    (['draft', 'target'] as const).map((name) => ({
      name,
      epochs: epochs[name],
      bestEpoch: cascade[name].net.bestEpoch,
    })),
  )
  const contents = withPapers({
    ...options.release,
    manifest,
    files: {
      'manifest.json': manifestBytes,
      ...files,
      'training.json': jsonBytes({ parts, epochs: withoutSeconds(epochs) }),
      [CURVES_FILE]: Buffer.from(curves),
    },
    caveat: options.caveat,
    parts,
    history: dataset.facts,
    method: trainingMethod(backend, cascade, options),
    validation,
    test,
  })
  await writeModelFolder(options.out, contents)
  return {
    out: options.out,
    version: manifest.version,
    digest: createHash('sha256').update(manifestBytes).digest('hex'),
    transactions: dataset.rowCount,
    labels: dataset.facts.labels,
    skipped: dataset.facts.skipped,
    periods: manifest.periods,
    thresholds,
    metrics,
    draftPrecision: parts.draft.averagePrecision,
    verifyFrom: band.verifyFrom,
    verifiedShare: band.verifiedShare,
    backend: backend.backend,
    epochs: [cascade.draft.net.bestEpoch, cascade.target.net.bestEpoch],
    secondsPerEpoch: Object.values(epochs).map(
      (of) => of.reduce((sum, { seconds }) => sum + seconds, 0) / Math.max(1, of.length),
    ),
    bytes: Object.values(contents).reduce((sum, { length }) => sum + length, 0),
  }
}

/** How features and scores were spread over the training rows. */
function populationOf(
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

/** Times differ from run to run; what is written must not. */
function withoutSeconds(
  epochs: Readonly<Record<string, TrainedPart['net']['epochs']>>,
): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(epochs).map(([part, of]) => [
      part,
      of.map(({ epoch, loss, validationPrecision }) => ({ epoch, loss, validationPrecision })),
    ]),
  )
}
