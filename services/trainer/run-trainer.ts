// Makes a model folder from a history: rows, split by time, the two nets of a cascade, calibration, thresholds, the
// band, figures, files.

import type { RateTable } from '../core/rates/rate-table.ts'
import { FEATURE_LIST_HASH, FEATURE_NAMES } from '../core/features/catalogue/feature-list.ts'
import { DEFAULT_ALERT_COSTS, type ModelCosts } from '../core/scoring/alert-costs.ts'
import {
  checkManifest,
  type ModelFile,
  type ModelManifest,
  MANIFEST_FORMAT,
  type DataPeriod,
  type FileDigest,
} from '../core/scoring/manifest.ts'
import type { OpenBackend } from '../platform/tensorflow/load-tensorflow.ts'
import {
  collectDataset,
  type Dataset,
  type HistoryEvent,
  skipText,
  type SkipCounts,
} from './dataset/dataset.ts'
import { draftGolden, targetGolden } from './golden-rows.ts'
import {
  type Judged,
  type ThresholdChoice,
  trainingDistributionOf,
  type Made,
  type ScoredPart,
} from './fit/judge-cascade.ts'
import { checkTarget, writeModelFolder, jsonBytes, netBytes, sha256Of } from './model-folder.ts'
import type { Release } from './release.ts'
import type { SeedFigures } from './metrics.ts'
import { checkRunFolder, openRunFolder, type RunChoice, type RunFacts } from './run-folder.ts'
import { splitByTime, type DatasetPeriod, type Split, type SplitOptions } from './dataset/split.ts'
import {
  CASCADE_SHAPE,
  NET_TRAINING,
  type CascadeShape,
  openTrainingBackend,
  type TrainingBackend,
} from './net/train-cascade.ts'
import { trainSeeds, type SeedsResult } from './train-seeds.ts'
import { trainingMethod, trainingRecord } from './training-record.ts'
import type { Calibration } from '../core/scoring/scaling.ts'
import type { Band } from './fit/fit-band.ts'
import { baselineValues } from './fit/fit-inputs.ts'

export interface TrainerOptions {
  /** Folder to write. */
  readonly out: string
  /** Replace an existing model. */
  readonly force: boolean
  /** Name of the model; its version is the name and a digest. */
  readonly name: string
  /** Origin of the history, and a warning about it, in words. */
  readonly source: string
  readonly caveat: string
  /** Seeds to train; the best on validation is used. At least one. */
  readonly seeds: readonly number[]
  readonly epochsMax: number
  /** Rule for the thresholds; least cost with DEFAULT_ALERT_COSTS unless given. */
  readonly thresholds?: ThresholdChoice
  /** Storage for progress until the model is written; nothing is stored unless given. */
  readonly run?: RunChoice
  readonly split: SplitOptions
  /** Sizes of the nets; CASCADE_SHAPE unless given. */
  readonly shape?: CascadeShape
  readonly backend: TrainingBackend
  readonly rates: RateTable
  /** Facts about the release that the run itself does not know. */
  readonly release: Pick<Release, 'terms' | 'releasedOn' | 'command'>
  /** Adds the model documentation to the files of a release; returns the whole folder by path. */
  readonly document: (release: Release) => Readonly<Record<string, Buffer>>
  /** Number of messages or rows that the source could not read, asked at the end; none unless given. */
  readonly unreadable?: () => number
}

/** Defaults of the options. */
export const TRAINER_DEFAULTS = Object.freeze({ seed: 42, epochsMax: 40 })

const DEFAULT_THRESHOLDS: ThresholdChoice = { rule: 'cost', costs: DEFAULT_ALERT_COSTS }

/** Share of payments that the target scores only to measure agreement. */
const SAMPLE_SHARE = 0.005

/** Result of a run. */
export interface TrainSummary {
  readonly out: string
  readonly version: string
  /** SHA-256 of manifest.json, hex: the model's digest. */
  readonly digest: string
  readonly transactions: number
  readonly labels: number
  /** Events left out of the history, by reason. */
  readonly skipped: SkipCounts
  readonly periods: ModelManifest['periods']
  readonly thresholds: ModelManifest['thresholds']
  readonly metrics: ModelManifest['metrics']
  /** Cost of fraud and of the work against it with these thresholds. */
  readonly costs: ModelCosts
  /** The chosen seed, and the figures of all. */
  readonly seed: number
  readonly bySeed: readonly SeedFigures[]
  /** Average precision of the draft alone on the test period. */
  readonly draftPrecision: number
  readonly verifyFrom: number
  readonly verifiedShare: number
  readonly backend: string
  /** Epochs of the draft and of the target. */
  readonly epochs: readonly number[]
  readonly secondsPerEpoch: readonly number[]
  readonly bytes: number
}

/**
 * Trains and writes. The same history and options give the same bytes on one backend.
 * @throws SluiceError SLUICE_USAGE when `out` is taken, SLUICE_TRAINING_DATA_INVALID when the history is not
 * sufficient for training, SLUICE_BACKEND_UNAVAILABLE.
 */
export async function runTrainer(
  history: AsyncIterable<HistoryEvent> | Iterable<HistoryEvent>,
  options: TrainerOptions,
  onProgress: (line: string) => void,
): Promise<TrainSummary> {
  await checkTarget(options.out, options.force)
  if (options.run !== undefined) await checkRunFolder(options.run)
  const backend = await openTrainingBackend(options.backend, onProgress)
  onProgress(`training on ${backend.backend} (${backend.detail})`)
  const dataset = await collectDataset(history, { ...options, onProgress })
  const leftOut = skipText(dataset.facts.skipped)
  if (leftOut !== null) onProgress(leftOut)
  const split = splitByTime(dataset, options.split)
  for (const [name, period] of Object.entries(split) as [string, DatasetPeriod][]) {
    onProgress(`${name}: ${period.transactions} transactions, ${period.frauds} frauds`)
  }
  const shape = options.shape ?? CASCADE_SHAPE
  const run =
    options.run === undefined
      ? null
      : await openRunFolder(options.run, runFacts(dataset, split, backend, { ...options, shape }))
  const found = await trainSeeds(backend, dataset, split, {
    ...options,
    shape,
    run,
    onProgress,
    thresholds: options.thresholds ?? DEFAULT_THRESHOLDS,
  })
  try {
    const summary = await writeModel(found, options)
    if (options.run?.keep === false) await run?.remove()
    return summary
  } finally {
    found.judged.made.cascade.close()
  }
}

/** Facts that determine the bits of a net, in addition to its seed. */
function runFacts(
  dataset: Dataset,
  { train, validation }: Split,
  { tf, backend }: OpenBackend,
  { epochsMax, shape }: { readonly epochsMax: number; readonly shape: CascadeShape },
): RunFacts {
  const spanOf = ({ fromMs, endMs }: DatasetPeriod): readonly number[] => [fromMs, endMs]
  return {
    history: dataset.digest,
    features: FEATURE_LIST_HASH,
    train: spanOf(train),
    validation: spanOf(validation),
    backend: `${backend}, TensorFlow.js ${tf.version_core}`,
    epochs: epochsMax,
    shape,
    training: NET_TRAINING,
  }
}

async function writeModel(
  { seed, judged, bySeed }: SeedsResult,
  options: TrainerOptions,
): Promise<TrainSummary> {
  const { made, draft, target, thresholds, band, validation, test } = judged
  const { metrics, parts, costs } = judged
  const { dataset, cascade, backend } = made
  const files = await modelFiles(made, draft, target)
  const manifest = manifestOf(made, { ...options, seed }, files, {
    thresholds,
    metrics,
    costs,
    band,
    trainingDistribution: trainingDistributionOf(made, draft, target, band),
    draftCalibration: draft.calibration,
    targetCalibration: target.calibration,
    sampleShare: SAMPLE_SHARE,
  })
  const manifestBytes = jsonBytes(checkManifest(manifest))
  const contents = options.document({
    ...options.release,
    manifest,
    files: { 'manifest.json': manifestBytes, ...files, ...trainingRecord(cascade, parts) },
    caveat: options.caveat,
    parts,
    bySeed,
    history: dataset.facts,
    method: trainingMethod(backend, cascade, { ...options, seed }),
    validation,
    test,
  })
  await writeModelFolder(options.out, contents)
  return {
    ...summaryOf(judged, manifest),
    seed,
    bySeed,
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
  { made: { dataset, cascade, backend }, parts, costs }: Judged,
  { version, periods, thresholds, metrics }: ModelManifest,
): Pick<
  TrainSummary,
  | 'version'
  | 'periods'
  | 'thresholds'
  | 'metrics'
  | 'costs'
  | 'transactions'
  | 'labels'
  | 'skipped'
  | 'draftPrecision'
  | 'backend'
  | 'epochs'
  | 'secondsPerEpoch'
> {
  const nets = [cascade.draft.net, cascade.target.net]
  return {
    version,
    periods,
    thresholds,
    metrics,
    costs,
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

/** Everything that was chosen on validation rows, and the figures. */
export interface Choices extends Pick<
  ModelManifest,
  'thresholds' | 'metrics' | 'costs' | 'trainingDistribution'
> {
  readonly band: Band
  readonly draftCalibration: Calibration
  readonly targetCalibration: Calibration
  readonly sampleShare: number
}

/** Options of the run that the manifest records. */
export interface ManifestOptions {
  readonly name: string
  readonly source: string
  readonly seed: number
  readonly rates: RateTable
}

export function manifestOf(
  { dataset, split, cascade, backend }: Made,
  options: ManifestOptions,
  files: Readonly<Record<ModelFile, Buffer>>,
  choices: Choices,
): ModelManifest {
  const { thresholds, metrics, costs, trainingDistribution, band } = choices
  const { draftCalibration, targetCalibration, sampleShare } = choices
  const genuine = split.train.indices.filter((row) => dataset.truth[row] === 0)
  const { draft, target, encoding } = cascade
  const weights = sha256Of(Buffer.concat([files['weights.bin'], files['target.bin']]))
  return {
    formatVersion: MANIFEST_FORMAT,
    name: options.name,
    version: `${options.name}-${weights.slice(0, 12)}`,
    features: FEATURE_NAMES,
    featureListHash: FEATURE_LIST_HASH,
    referenceCurrency: options.rates.reference,
    ratesDigest: options.rates.digest,
    scaling: cascade.scaling,
    calibration: draftCalibration,
    thresholds,
    baseline: baselineValues(dataset.rows, genuine),
    data: {
      source: options.source,
      digest: dataset.digest,
      transactions: dataset.rowCount,
      labels: dataset.facts.labels,
    },
    periods: {
      train: periodFacts(split.train),
      validation: periodFacts(split.validation),
      test: periodFacts(split.test),
    },
    metrics,
    costs,
    trainingDistribution,
    training: {
      seed: options.seed,
      backend: backend.backend,
      hiddenUnits: draft.shape.hiddenUnits,
      epochs: draft.net.bestEpoch,
    },
    target: {
      members: target.shape.members,
      eventUnits: target.shape.sequence?.eventUnits ?? [],
      hiddenUnits: target.shape.hiddenUnits,
      epochs: target.net.bestEpoch,
      encoding,
      calibration: targetCalibration,
      verifyFrom: band.verifyFrom,
      verifiedShare: band.verifiedShare,
      sampleShare,
      agreement: band.agreement,
    },
    files: Object.fromEntries(
      Object.entries(files).map(([name, bytes]) => [name, digestOf(bytes)]),
    ) as Record<ModelFile, FileDigest>,
  }
}

function periodFacts({ fromMs, endMs, transactions, frauds }: DatasetPeriod): DataPeriod {
  return { fromMs, endMs, transactions, frauds }
}

function digestOf(bytes: Buffer): FileDigest {
  return { sha256: sha256Of(bytes), bytes: bytes.length }
}
