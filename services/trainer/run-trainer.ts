// From a history to a model folder: rows, split by time, scaling, net, calibration, thresholds, figures, files.

import { createHash } from 'node:crypto'
import type { RateTable } from '../core/currency.ts'
import { SluiceError } from '../core/errors.ts'
import { FEATURE_COUNT, FEATURE_LIST_HASH, FEATURE_NAMES } from '../core/features/feature-list.ts'
import { scoreOf, type Calibration } from '../core/scoring/calibration.ts'
import { goldenToJson } from '../core/scoring/golden.ts'
import {
  MANIFEST_FORMAT,
  checkManifest,
  type DataPeriod,
  type ModelManifest,
} from '../core/scoring/manifest.ts'
import { distributionOf, type Population } from '../core/scoring/population.ts'
import { compileScaling, scaleRows, type CompiledScaling } from '../core/scoring/scaling.ts'
import { openBackend, type OpenBackend } from '../platform/tensorflow/load-tensorflow.ts'
import { chooseThresholds } from './choose-thresholds.ts'
import { collectDataset, type Dataset, type HistoryEvent } from './dataset.ts'
import { fitCalibration } from './fit-calibration.ts'
import { fitScaling, medians } from './fit-scaling.ts'
import { GOLDEN_ROWS, goldenRows } from './golden-rows.ts'
import { measureScores } from './metrics.ts'
import { modelCard } from './model-card.ts'
import { checkTarget, writeModelFolder } from './model-folder-writer.ts'
import { jsonBytes, netBytes, type NetBytes } from './net-files.ts'
import { splitByTime, type DatasetPeriod, type Split, type SplitOptions } from './split.ts'
import { trainNet, type TrainedNet } from './train-net.ts'

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
  readonly hiddenUnits: readonly number[]
  readonly split: SplitOptions
  readonly backend: 'auto' | 'tensorflow' | 'wasm'
  readonly rates: RateTable
}

/** What holds when nothing else is said. */
export const TRAINER_DEFAULTS = Object.freeze({
  seed: 42,
  epochsMax: 40,
  hiddenUnits: [32, 16] as readonly number[],
})

const PATIENCE_EPOCHS = 6
const LEARNING_RATE = 1e-3
const FRAUD_WEIGHT = 4

/** What was made. */
export interface TrainSummary {
  readonly out: string
  readonly version: string
  /** SHA-256 of manifest.json, hex: the model's digest. */
  readonly digest: string
  readonly transactions: number
  readonly labels: number
  readonly duplicates: number
  readonly withoutRate: number
  readonly periods: ModelManifest['periods']
  readonly thresholds: ModelManifest['thresholds']
  readonly metrics: ModelManifest['metrics']
  readonly backend: string
  readonly epochs: number
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
  const backend = await openTrainingBackend(options.backend)
  onProgress(`training on ${backend.backend} (${backend.detail})`)
  const dataset = await collectDataset(history, { rates: options.rates, onProgress })
  const split = splitByTime(dataset, options.split)
  for (const [name, period] of Object.entries(split) as [string, DatasetPeriod][]) {
    onProgress(`${name}: ${period.transactions} transactions, ${period.frauds} frauds`)
  }
  const scaling = fitScaling(dataset.rows, split.train.indices)
  const compiled = compileScaling(scaling)
  const scaled = (period: DatasetPeriod): Float32Array => scaledInputs(dataset, period, compiled)
  const validationInputs = scaled(split.validation)
  const net = await trainNet(
    backend,
    compiled.inputCount,
    { inputs: scaled(split.train), truth: truthOf(dataset, split.train) },
    { inputs: validationInputs, truth: truthOf(dataset, split.validation) },
    {
      ...options,
      patienceEpochs: PATIENCE_EPOCHS,
      learningRate: LEARNING_RATE,
      fraudWeight: FRAUD_WEIGHT,
      onProgress,
    },
  )
  try {
    const validationLogits = net.logits(validationInputs)
    const calibration = fitCalibration(validationLogits, truthOf(dataset, split.validation))
    const population = populationOf(dataset, split.train, net, compiled, calibration)
    const made: Made = { dataset, split, scaling, compiled, net, calibration, backend, population }
    const testLogits = net.logits(scaled(split.test))
    return await writeModel(made, validationLogits, testLogits, options)
  } finally {
    net.close()
  }
}

interface Made {
  readonly dataset: Dataset
  readonly split: Split
  readonly scaling: ModelManifest['scaling']
  readonly compiled: CompiledScaling
  readonly net: TrainedNet
  readonly calibration: Calibration
  readonly backend: OpenBackend
  readonly population: Population
}

async function writeModel(
  made: Made,
  validationLogits: Float64Array,
  testLogits: Float64Array,
  options: TrainerOptions,
): Promise<TrainSummary> {
  const { dataset, split, net, calibration, backend } = made
  const calibrated = (logits: Float64Array): Float64Array =>
    logits.map((logit) => scoreOf(logit, calibration))
  const validation = {
    scores: calibrated(validationLogits),
    truth: truthOf(dataset, split.validation),
  }
  const test = { scores: calibrated(testLogits), truth: truthOf(dataset, split.test) }
  const thresholds = chooseThresholds(validation)
  const metrics = {
    validation: measureScores(validation, thresholds),
    test: measureScores(test, thresholds),
  }
  const files = await netBytes(backend.tf, net.model)
  const golden = goldenBytes(made, test.scores)
  const manifest = manifestOf(made, options, files, golden, thresholds, metrics)
  const contents = {
    'model.json': files.model,
    'weights.bin': files.weights,
    'golden.json': golden,
    'manifest.json': jsonBytes(checkManifest(manifest)),
    'evaluation.json': jsonBytes({ thresholds, periods: manifest.periods, metrics }),
    'MODEL_CARD.md': Buffer.from(modelCard(manifest, options.caveat)),
  }
  await writeModelFolder(options.out, contents)
  return {
    out: options.out,
    version: manifest.version,
    digest: sha256(contents['manifest.json']),
    transactions: dataset.rowCount,
    labels: dataset.labelCount,
    duplicates: dataset.duplicates,
    withoutRate: dataset.withoutRate,
    periods: manifest.periods,
    thresholds,
    metrics,
    backend: backend.backend,
    epochs: net.bestEpoch,
    bytes: Object.values(contents).reduce((sum, { length }) => sum + length, 0),
  }
}

function manifestOf(
  { dataset, split, scaling, net, calibration, backend, population }: Made,
  options: TrainerOptions,
  files: NetBytes,
  golden: Buffer,
  thresholds: ModelManifest['thresholds'],
  metrics: ModelManifest['metrics'],
): ModelManifest {
  const genuine = split.train.indices.filter((row) => dataset.truth[row] === 0)
  return {
    formatVersion: MANIFEST_FORMAT,
    name: options.name,
    version: `${options.name}-${sha256(files.weights).slice(0, 12)}`,
    features: FEATURE_NAMES,
    featureListHash: FEATURE_LIST_HASH,
    ratesDigest: options.rates.digest,
    scaling,
    calibration,
    thresholds,
    usual: medians(dataset.rows, genuine),
    population,
    data: {
      source: options.source,
      digest: dataset.digest,
      transactions: dataset.rowCount,
      labels: dataset.labelCount,
    },
    periods: {
      train: periodFacts(split.train),
      validation: periodFacts(split.validation),
      test: periodFacts(split.test),
    },
    metrics,
    training: {
      seed: options.seed,
      backend: backend.backend,
      hiddenUnits: options.hiddenUnits,
      epochs: net.bestEpoch,
    },
    files: {
      'model.json': digestOf(files.model),
      'weights.bin': digestOf(files.weights),
      'golden.json': digestOf(golden),
    },
  }
}

/** Training rows as the scorer will see live ones: raw values, and calibrated scores. */
function populationOf(
  dataset: Dataset,
  period: DatasetPeriod,
  net: TrainedNet,
  compiled: CompiledScaling,
  calibration: Calibration,
): Population {
  const { indices } = period
  const logits = net.logits(scaledInputs(dataset, period, compiled))
  return {
    rows: indices.length,
    features: FEATURE_NAMES.map((_, feature) =>
      distributionOf(
        Float64Array.from(indices, (row) => dataset.rows[row * FEATURE_COUNT + feature] ?? NaN),
      ),
    ),
    score: distributionOf(logits.map((logit) => scoreOf(logit, calibration))),
  }
}

/** Golden scores come from the trainer's own forward pass, not from the code that they will check. */
function goldenBytes(made: Made, testScores: Float64Array): Buffer {
  const { dataset, split, scaling, compiled, net, calibration } = made
  const order = split.test.indices.slice()
  const ranks = Array.from(testScores.keys()).sort(
    (a, b) => (testScores[a] ?? 0) - (testScores[b] ?? 0),
  )
  for (const [rank, position] of ranks.entries()) order[rank] = split.test.indices[position] ?? 0
  const rows = goldenRows(dataset.rows, order, scaling)
  const inputs = new Float32Array(GOLDEN_ROWS * compiled.inputCount)
  scaleRows(rows, GOLDEN_ROWS, compiled, inputs)
  const isTaken = (row: number): boolean => !Number.isNaN(inputs[row * compiled.inputCount])
  const scores = net
    .logits(inputs)
    .map((logit, row) => (isTaken(row) ? scoreOf(logit, calibration) : NaN))
  return jsonBytes(goldenToJson({ rowCount: GOLDEN_ROWS, rows, scores }))
}

async function openTrainingBackend(wanted: TrainerOptions['backend']): Promise<OpenBackend> {
  const names = wanted === 'auto' ? (['tensorflow', 'wasm'] as const) : [wanted]
  const reasons: string[] = []
  for (const name of names) {
    try {
      return await openBackend(name)
    } catch (error) {
      reasons.push(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw new SluiceError(
    'SLUICE_BACKEND_UNAVAILABLE',
    `Cannot train on "${wanted}" (${reasons.join('; ')}). Use --backend wasm, or run "sluice doctor".`,
  )
}

function scaledInputs(
  { rows }: Dataset,
  { indices }: DatasetPeriod,
  scaling: CompiledScaling,
): Float32Array {
  const inputs = new Float32Array(indices.length * scaling.inputCount)
  for (const [position, row] of indices.entries()) {
    const isTaken = scaling.writeRow(
      rows,
      row * FEATURE_COUNT,
      inputs,
      position * scaling.inputCount,
    )
    if (!isTaken) throw new Error(`Row ${row} holds a value that no feature can have.`)
  }
  return inputs
}

function truthOf({ truth }: Dataset, { indices }: DatasetPeriod): Uint8Array {
  return Uint8Array.from(indices, (row) => truth[row] ?? 0)
}

function periodFacts({ fromMs, endMs, transactions, frauds }: DatasetPeriod): DataPeriod {
  return { fromMs, endMs, transactions, frauds }
}

function digestOf(bytes: Buffer): { sha256: string; bytes: number } {
  return { sha256: sha256(bytes), bytes: bytes.length }
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}
