// From a history to a model folder: rows, split by time, the two nets of a cascade, calibration, thresholds, the band,
// figures, files.

import type { RateTable } from '../core/currency.ts'
import { SluiceError } from '../core/errors.ts'
import { checkManifest, type ModelFile, type ModelManifest } from '../core/scoring/manifest.ts'
import { chooseThresholds } from './choose-thresholds.ts'
import { collectDataset, type HistoryEvent } from './dataset.ts'
import { fitBand } from './fit-band.ts'
import { draftGolden, targetGolden } from './golden-rows.ts'
import { skipText, type SkipCounts } from './history-facts.ts'
import { manifestOf } from './manifest-of.ts'
import { measureScores } from './metrics.ts'
import { checkTarget, writeModelFolder } from './model-folder-writer.ts'
import { jsonBytes, netBytes } from './net-files.ts'
import { withPapers } from './openness/papers.ts'
import type { PartMetrics, Release } from './openness/release.ts'
import { sha256Of } from './openness/sums.ts'
import {
  cascadePeriod,
  populationOf,
  scoredPart,
  type Made,
  type ScoredPart,
} from './score-periods.ts'
import { splitByTime, type DatasetPeriod, type SplitOptions } from './split.ts'
import { CASCADE_SHAPE, trainCascade, type CascadeShape } from './train-cascade.ts'
import { openTrainingBackend, type TrainingBackend } from './training-backend.ts'
import { trainingMethod } from './training-method.ts'
import { trainingRecord } from './training-record.ts'

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
  const validation = cascadePeriod(made, 'validation', draft, target, band)
  const test = cascadePeriod(made, 'test', draft, target, band)
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
  const files = await modelFiles(made, draft, target)
  const manifest = manifestOf(made, options, files, {
    thresholds,
    metrics,
    band,
    population: populationOf(made, draft, target, band),
    draftCalibration: draft.calibration,
    targetCalibration: target.calibration,
    sampleShare: SAMPLE_SHARE,
  })
  const manifestBytes = jsonBytes(checkManifest(manifest))
  const contents = withPapers({
    ...options.release,
    manifest,
    files: { 'manifest.json': manifestBytes, ...files, ...trainingRecord(cascade, parts) },
    caveat: options.caveat,
    parts,
    history: dataset.facts,
    method: trainingMethod(backend, cascade, options),
    validation,
    test,
  })
  await writeModelFolder(options.out, contents)
  return {
    ...summaryOf(made, manifest, parts),
    out: options.out,
    digest: sha256Of(manifestBytes),
    verifyFrom: band.verifyFrom,
    verifiedShare: band.verifiedShare,
    bytes: Object.values(contents).reduce((sum, { length }) => sum + length, 0),
  }
}

async function modelFiles(
  made: Made,
  draft: ScoredPart,
  target: ScoredPart,
): Promise<Readonly<Record<ModelFile, Buffer>>> {
  const { tf } = made.backend
  const draftFiles = await netBytes(tf, draft.part.net.model, 'weights.bin')
  const targetFiles = await netBytes(tf, target.part.net.model, 'target.bin')
  return {
    'model.json': draftFiles.model,
    'weights.bin': draftFiles.weights,
    'golden.json': draftGolden(made, draft),
    'target.json': targetFiles.model,
    'target.bin': targetFiles.weights,
    'target-golden.json': targetGolden(made, target),
  }
}

function summaryOf(
  { dataset, cascade, backend }: Made,
  { version, periods, thresholds, metrics }: ModelManifest,
  parts: PartMetrics,
): Omit<TrainSummary, 'out' | 'digest' | 'verifyFrom' | 'verifiedShare' | 'bytes'> {
  const nets = [cascade.draft.net, cascade.target.net]
  return {
    ...{ version, periods, thresholds, metrics },
    transactions: dataset.rowCount,
    labels: dataset.facts.labels,
    skipped: dataset.facts.skipped,
    draftPrecision: parts.draft.averagePrecision,
    backend: backend.backend,
    epochs: nets.map(({ bestEpoch }) => bestEpoch),
    secondsPerEpoch: nets.map(
      ({ epochs }) =>
        epochs.reduce((sum, { seconds }) => sum + seconds, 0) / Math.max(1, epochs.length),
    ),
  }
}
