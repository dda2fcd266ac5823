// Trains a net with Adam and decoupled weight decay (Loshchilov and Hutter 2019) in shuffled mini-batches. The
// resulting weights are a running mean over epochs. With validation rows, training ends when their average precision
// stops rising, otherwise after a fixed number of epochs. All randomness comes from the seed. The complete state can
// be stored after each epoch, so a run that was killed ends with the same bits.

import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import type { LayersModel } from '@tensorflow/tfjs'
import { SluiceError } from '../../core/errors.ts'
import { useBackend, type OpenBackend } from '../../platform/tensorflow/load-tensorflow.ts'
import {
  optimizerState,
  restoreOptimizer,
  type EpochFigures,
  type NetCheckpoint,
  type CheckpointStore,
} from './net-checkpoint.ts'
import { averagePrecision } from '../metrics.ts'
import { buildNet, membersOf, type NetShape } from './net-model.ts'
import {
  forwardAll,
  runEpoch,
  type NetRows,
  type Optimizer,
  type PassSettings,
  type Run,
} from './net-passes.ts'

/** Weight of the earlier epochs in the running mean. */
export const AVERAGE_MEMORY = 0.7

export interface NetOptions extends PassSettings {
  readonly epochsMax: number
  /** Epochs without a better validation figure before training ends. */
  readonly patienceEpochs: number
  readonly learningRate: number
  readonly onProgress: (line: string) => void
  /** Storage for progress, from which training also continues; nothing is stored unless given. */
  readonly checkpoints?: CheckpointStore | null
}

/** A trained net; `close` frees its tensors. */
export interface TrainedNet {
  readonly model: LayersModel
  /** Epoch whose weights are used, from 1. */
  readonly bestEpoch: number
  readonly epochs: readonly EpochFigures[]
  logits(rows: NetRows): Float64Array
  close(): void
}

/**
 * Trains on `train` and chooses the epoch on `validation`; null trains for `epochsMax` epochs.
 * @throws SluiceError SLUICE_TRAINING_DATA_INVALID when the net diverges.
 */
export async function trainNet(
  backend: OpenBackend,
  shape: NetShape,
  train: NetRows,
  validation: NetRows | null,
  options: NetOptions,
): Promise<TrainedNet> {
  useBackend(backend)
  const model = buildNet(backend.tf, shape, options.seed)
  const members = membersOf(backend.tf, model, shape)
  const run: Run = { backend, model, shape, members, settings: options }
  const optimizer = backend.tf.train.adam(options.learningRate)
  try {
    const { epochs, bestEpoch, best } = await runEpochs(run, optimizer, train, validation, options)
    restore(backend, model, best)
    return {
      model,
      bestEpoch,
      epochs,
      logits: (rows) => forwardAll(run, rows),
      close: () => {
        model.dispose()
      },
    }
  } catch (error) {
    model.dispose()
    throw error
  } finally {
    optimizer.dispose()
  }
}

const AT_FIRST: NetCheckpoint = Object.freeze({
  epochs: [],
  bestEpoch: 0,
  bestPrecision: -1,
  isDone: false,
  best: [],
  average: [],
  own: [],
  optimizer: null,
})

/** Trains until validation no longer improves, continuing from an earlier run. */
async function runEpochs(
  run: Run,
  optimizer: Optimizer,
  train: NetRows,
  validation: NetRows | null,
  options: NetOptions,
): Promise<NetCheckpoint> {
  const { checkpoints = null, onProgress } = options
  let kept = (await checkpoints?.read()) ?? AT_FIRST
  if (kept.optimizer !== null) {
    restore(run.backend, run.model, kept.own)
    await restoreOptimizer(run, optimizer, kept.optimizer)
  }
  while (!kept.isDone) {
    // An epoch blocks the thread for seconds; signals are handled between two epochs.
    await setImmediate()
    const epoch = kept.epochs.length + 1
    const startMs = performance.now()
    const loss = runEpoch(run, optimizer, train, epoch)
    const weights = measureWeights(run, { epoch, loss, startMs }, kept.average, validation)
    kept = await advanced(kept, weights, optimizer, options)
    await checkpoints?.write(kept)
    const last = kept.epochs.at(-1)
    if (last !== undefined) onProgress(epochLine(last))
  }
  return kept
}

/** The weights after an epoch, their running mean and the figures of that mean. */
interface EpochWeights {
  readonly own: readonly Float32Array[]
  readonly average: readonly Float32Array[]
  readonly figures: EpochFigures
}

function measureWeights(
  run: Run,
  {
    epoch,
    loss,
    startMs,
  }: { readonly epoch: number; readonly loss: number; readonly startMs: number },
  averageBefore: readonly Float32Array[],
  validation: NetRows | null,
): EpochWeights {
  const { backend, model } = run
  const own = weightsOf(model)
  if (!Number.isFinite(loss) || !own.every((values) => values.every(Number.isFinite))) {
    throw diverged(epoch)
  }
  const average = averaged(averageBefore, own)
  let validationPrecision: number | null = null
  if (validation !== null) {
    restore(backend, model, average)
    const scores = forwardAll(run, validation)
    validationPrecision = averagePrecision({ scores, truth: validation.truth })
    restore(backend, model, own)
  }
  const seconds = (performance.now() - startMs) / 1_000
  return { own, average, figures: { epoch, loss, validationPrecision, seconds } }
}

/** The state after one more epoch. */
async function advanced(
  before: NetCheckpoint,
  { own, average, figures }: EpochWeights,
  optimizer: Optimizer,
  { epochsMax, patienceEpochs }: NetOptions,
): Promise<NetCheckpoint> {
  const { epoch, validationPrecision: precision } = figures
  const epochs = [...before.epochs, figures]
  const isBetter = precision === null || precision > before.bestPrecision
  const best = isBetter
    ? { bestEpoch: epoch, bestPrecision: precision ?? -1, best: average }
    : { bestEpoch: before.bestEpoch, bestPrecision: before.bestPrecision, best: before.best }
  const isDone = epoch >= epochsMax || epoch - best.bestEpoch >= patienceEpochs
  // Only the best weights of a finished net are needed.
  if (isDone) return { epochs, ...best, isDone, average: [], own: [], optimizer: null }
  return { epochs, ...best, isDone, average, own, optimizer: await optimizerState(optimizer) }
}

function diverged(epoch: number): SluiceError {
  return new SluiceError(
    'SLUICE_TRAINING_DATA_INVALID',
    `Training diverged in epoch ${epoch}: the loss or a weight is not a finite number. Try another --seed.`,
  )
}

function epochLine({ epoch, loss, validationPrecision, seconds }: EpochFigures): string {
  const validation =
    validationPrecision === null
      ? ''
      : `, validation average precision ${validationPrecision.toFixed(4)}`
  return `epoch ${epoch}: loss ${loss.toFixed(5)}${validation}, ${seconds.toFixed(1)} s`
}

function weightsOf(model: LayersModel): Float32Array[] {
  return model.getWeights().map((weight) => weight.dataSync<'float32'>().slice())
}

/** A running mean over epochs: single epochs differ by chance, and so would the choice among them. */
function averaged(
  before: readonly Float32Array[],
  own: readonly Float32Array[],
): readonly Float32Array[] {
  return own.map((values, index) => {
    const old = before[index] ?? values
    return values.map((value, at) => value + AVERAGE_MEMORY * ((old[at] ?? value) - value))
  })
}

function restore({ tf }: OpenBackend, model: LayersModel, weights: readonly Float32Array[]): void {
  const tensors = model.getWeights().map((weight, index) => {
    const values = weights[index]
    assert(values !== undefined, 'there are values for every weight')
    return tf.tensor(values, weight.shape)
  })
  model.setWeights(tensors)
  for (const tensor of tensors) tensor.dispose()
}
