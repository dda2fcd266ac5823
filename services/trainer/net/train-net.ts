// Trains a net with Adam and decoupled weight decay (Loshchilov and Hutter 2019), in shuffled mini-batches. The weights
// that are kept are a running mean over epochs. With validation rows it ends when their average precision stops rising,
// else after a fixed number of epochs. All chance comes from the seed, and after each epoch everything that the next one
// rests on can be kept, so a run that was killed ends with the same bits.

import { setImmediate } from 'node:timers/promises'
import type { LayersModel } from '@tensorflow/tfjs'
import { SluiceError } from '../../core/errors.ts'
import { useBackend, type OpenBackend } from '../../platform/tensorflow/load-tensorflow.ts'
import {
  optimizerState,
  restoreOptimizer,
  type EpochFigures,
  type KeptNet,
  type NetKeeper,
} from './kept-net.ts'
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

/** Share of the mean over earlier epochs in the next one. */
export const AVERAGE_MEMORY = 0.7

export interface NetOptions extends PassSettings {
  readonly epochsMax: number
  /** Epochs without a better validation before training ends. */
  readonly patienceEpochs: number
  readonly learningRate: number
  readonly onProgress: (line: string) => void
  /** Where progress is kept, and goes on from; nowhere unless given. */
  readonly keeper?: NetKeeper | null
}

/** A trained net; `close` frees its tensors. */
export interface TrainedNet {
  readonly model: LayersModel
  /** Epoch whose weights were kept, from 1. */
  readonly bestEpoch: number
  readonly epochs: readonly EpochFigures[]
  logits(rows: NetRows): Float64Array
  close(): void
}

/**
 * Trains on `train`, choosing the epoch on `validation`; null trains for `epochsMax` epochs.
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

const AT_FIRST: KeptNet = Object.freeze({
  epochs: [],
  bestEpoch: 0,
  bestPrecision: -1,
  isDone: false,
  best: [],
  ...{ average: [], own: [], optimizer: null },
})

/** Trains until nothing gets better, from where an earlier run stopped. */
async function runEpochs(
  run: Run,
  optimizer: Optimizer,
  train: NetRows,
  validation: NetRows | null,
  options: NetOptions,
): Promise<KeptNet> {
  const { keeper = null, onProgress } = options
  let kept = (await keeper?.read()) ?? AT_FIRST
  if (kept.optimizer !== null) {
    restore(run.backend, run.model, kept.own)
    await restoreOptimizer(run, optimizer, kept.optimizer)
  }
  while (!kept.isDone) {
    // An epoch holds the thread for seconds; signals get their turn between two.
    await setImmediate()
    kept = await nextEpoch(run, optimizer, train, validation, kept, options)
    await keeper?.write(kept)
    const last = kept.epochs.at(-1)
    if (last !== undefined) onProgress(epochLine(last))
  }
  return kept
}

async function nextEpoch(
  run: Run,
  optimizer: Optimizer,
  train: NetRows,
  validation: NetRows | null,
  before: KeptNet,
  { epochsMax, patienceEpochs }: NetOptions,
): Promise<KeptNet> {
  const { backend, model } = run
  const epoch = before.epochs.length + 1
  const startMs = performance.now()
  const loss = runEpoch(run, optimizer, train, epoch)
  const own = weightsOf(model)
  if (!Number.isFinite(loss) || !own.every((values) => values.every(Number.isFinite))) {
    throw diverged(epoch)
  }
  const average = averaged(before.average, own)
  let precision: number | null = null
  if (validation !== null) {
    restore(backend, model, average)
    precision = averagePrecision({ scores: forwardAll(run, validation), truth: validation.truth })
    restore(backend, model, own)
  }
  const seconds = (performance.now() - startMs) / 1_000
  const epochs = [...before.epochs, { epoch, loss, validationPrecision: precision, seconds }]
  const isBetter = precision === null || precision > before.bestPrecision
  const best = isBetter
    ? { bestEpoch: epoch, bestPrecision: precision ?? -1, best: average }
    : { bestEpoch: before.bestEpoch, bestPrecision: before.bestPrecision, best: before.best }
  const isDone = epoch >= epochsMax || epoch - best.bestEpoch >= patienceEpochs
  // Of a net that is done only the best weights count.
  if (isDone) return { epochs, ...best, isDone, average: [], own: [], optimizer: null }
  return { epochs, ...best, isDone, average, own, optimizer: await optimizerState(optimizer) }
}

function diverged(epoch: number): SluiceError {
  return new SluiceError(
    'SLUICE_TRAINING_DATA_INVALID',
    `Training diverged in epoch ${epoch}: loss or weights are no numbers any more. Try another --seed.`,
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
  const tensors = model
    .getWeights()
    .map((weight, index) => tf.tensor(weights[index] ?? new Float32Array(), weight.shape))
  model.setWeights(tensors)
  for (const tensor of tensors) tensor.dispose()
}
