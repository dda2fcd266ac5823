// Trains the net: a small stack of dense layers that ends in a logit, with Adam, in shuffled mini-batches, until
// the average precision on validation data stops rising. All chance comes from the seed.

import { setImmediate } from 'node:timers/promises'
import type { Scalar, Sequential, Tensor, Tensor2D, Variable } from '@tensorflow/tfjs'
import { useBackend, type OpenBackend } from '../platform/tensorflow/load-tensorflow.ts'
import { averagePrecision } from './metrics.ts'
import { shuffled } from './shuffle.ts'

const BATCH_ROWS = 512
const FORWARD_ROWS = 4_096

/** Share of the mean over earlier epochs in the next one. */
const AVERAGE_MEMORY = 0.7

/** Scaled inputs with truth. */
export interface NetRows {
  readonly inputs: Float32Array
  readonly truth: Uint8Array
}

export interface NetOptions {
  readonly seed: number
  readonly hiddenUnits: readonly number[]
  readonly epochsMax: number
  /** Epochs without a better validation before training ends. */
  readonly patienceEpochs: number
  readonly learningRate: number
  /** Weight of a fraud in the loss; a genuine transaction weighs 1. Calibration undoes the shift. */
  readonly fraudWeight: number
  readonly onProgress: (line: string) => void
}

/** A trained net; `close` frees its tensors. */
export interface TrainedNet {
  readonly model: Sequential
  /** Epoch whose weights were kept, from 1. */
  readonly bestEpoch: number
  logits(inputs: Float32Array): Float64Array
  close(): void
}

/** Trains on `train`, choosing the epoch on `validation`. */
export async function trainNet(
  backend: OpenBackend,
  inputCount: number,
  train: NetRows,
  validation: NetRows,
  options: NetOptions,
): Promise<TrainedNet> {
  useBackend(backend)
  const model = buildModel(backend, inputCount, options)
  const optimizer = backend.tf.train.adam(options.learningRate)
  const logits = (inputs: Float32Array): Float64Array => forward(backend, model, inputCount, inputs)
  const best = { epoch: 0, precision: -1, weights: [] as Float32Array[] }
  let average: Float32Array[] = []
  for (let epoch = 1; epoch <= options.epochsMax; epoch += 1) {
    // An epoch holds the thread for about a second; signals get their turn between two.
    await setImmediate()
    const beganMs = performance.now()
    const loss = runEpoch(backend, model, optimizer, inputCount, train, epoch, options)
    const own = weightsOf(model)
    average = averaged(average, own)
    restore(backend, model, average)
    const scores = logits(validation.inputs)
    const precision = averagePrecision({ scores, truth: validation.truth })
    options.onProgress(
      `epoch ${epoch}: loss ${loss.toFixed(4)}, validation average precision ${precision.toFixed(4)}, ` +
        `${((performance.now() - beganMs) / 1_000).toFixed(2)} s`,
    )
    if (precision > best.precision) {
      best.epoch = epoch
      best.precision = precision
      best.weights = average
    } else if (epoch - best.epoch >= options.patienceEpochs) break
    restore(backend, model, own)
  }
  restore(backend, model, best.weights)
  optimizer.dispose()
  return {
    model,
    bestEpoch: best.epoch,
    logits,
    close: () => {
      model.dispose()
    },
  }
}

function buildModel({ tf }: OpenBackend, inputCount: number, options: NetOptions): Sequential {
  const widths = [...options.hiddenUnits, 1]
  // Names are given, since TensorFlow.js would count on through the process.
  return tf.sequential({
    name: 'sluice',
    layers: widths.map((units, index) =>
      tf.layers.dense({
        name: `dense_${index + 1}`,
        units,
        activation: index === widths.length - 1 ? 'linear' : 'relu',
        kernelInitializer: tf.initializers.glorotUniform({ seed: options.seed * 16 + index }),
        ...(index === 0 ? { inputShape: [inputCount] } : {}),
      }),
    ),
  })
}

/** One pass over all rows in an order of its own. Returns the mean loss of its batches. */
function runEpoch(
  { tf }: OpenBackend,
  model: Sequential,
  optimizer: ReturnType<OpenBackend['tf']['train']['adam']>,
  inputCount: number,
  { inputs, truth }: NetRows,
  epoch: number,
  options: NetOptions,
): number {
  const order = shuffled(truth.length, options.seed, epoch)
  const batchInputs = new Float32Array(BATCH_ROWS * inputCount)
  const batchTruth = new Float32Array(BATCH_ROWS)
  const variables = variablesOf(tf, model)
  let lossSum = 0
  let batches = 0
  // The last rows that do not fill a batch wait for the next epoch's order.
  for (let start = 0; start + BATCH_ROWS <= order.length; start += BATCH_ROWS) {
    for (let row = 0; row < BATCH_ROWS; row += 1) {
      const from = order[start + row] ?? 0
      batchTruth[row] = truth[from] ?? 0
      const position = row * inputCount
      for (let at = 0; at < inputCount; at += 1) {
        batchInputs[position + at] = inputs[from * inputCount + at] ?? 0
      }
    }
    lossSum += tf.tidy(() => {
      const x = tf.tensor2d(batchInputs.slice(), [BATCH_ROWS, inputCount])
      const y = tf.tensor2d(batchTruth.slice(), [BATCH_ROWS, 1])
      const weights = y.mul<Tensor2D>(options.fraudWeight - 1).add<Tensor2D>(1)
      const loss = optimizer.minimize(
        () => weightedLoss(tf, model.apply(x) as Tensor2D, y, weights),
        true,
        variables,
      )
      return loss?.dataSync()[0] ?? NaN
    })
    batches += 1
  }
  return lossSum / Math.max(1, batches)
}

/** Mean of weight x log loss, from logits. Its gradient, weight x (sigmoid - truth), is given in closed form. */
function weightedLoss(
  tf: OpenBackend['tf'],
  logits: Tensor2D,
  truth: Tensor2D,
  weights: Tensor2D,
): Scalar {
  const loss = tf.customGrad((z, save) => {
    const input = z as Tensor
    ;(save as (tensors: Tensor[]) => void)([input])
    return {
      value: tf.softplus(input).sub(input.mul(truth)).mul(weights),
      gradFunc: (dy: Tensor, saved: Tensor[]) => {
        const [z0] = saved
        if (z0 === undefined) throw new Error('The gradient lost its logits.')
        return dy.mul(tf.sigmoid(z0).sub(truth).mul(weights))
      },
    }
  })
  return loss(logits).mean()
}

function forward(
  { tf }: OpenBackend,
  model: Sequential,
  inputCount: number,
  inputs: Float32Array,
): Float64Array {
  const rowCount = inputs.length / inputCount
  const logits = new Float64Array(rowCount)
  for (let start = 0; start < rowCount; start += FORWARD_ROWS) {
    const end = Math.min(rowCount, start + FORWARD_ROWS)
    const values = tf.tidy(() => {
      const slice = inputs.slice(start * inputCount, end * inputCount)
      const x = tf.tensor2d(slice, [end - start, inputCount])
      return (model.apply(x) as Tensor2D).dataSync<'float32'>()
    })
    logits.set(values, start)
  }
  return logits
}

/** What the optimizer changes, named one by one, since it would change all variables of the process. */
function variablesOf(tf: OpenBackend['tf'], model: Sequential): Variable[] {
  return model.trainableWeights.map((weight) => {
    const variable: Tensor = weight.read()
    if (variable instanceof tf.Variable) return variable as Variable
    throw new Error(`Weight ${weight.originalName} cannot be trained.`)
  })
}

function weightsOf(model: Sequential): Float32Array[] {
  return model.getWeights().map((weight) => weight.dataSync<'float32'>().slice())
}

/** A running mean over epochs: single epochs differ by chance, and so would the choice among them. */
function averaged(before: readonly Float32Array[], own: readonly Float32Array[]): Float32Array[] {
  return own.map((values, index) => {
    const old = before[index] ?? values
    return values.map((value, at) => value + AVERAGE_MEMORY * ((old[at] ?? value) - value))
  })
}

function restore({ tf }: OpenBackend, model: Sequential, weights: readonly Float32Array[]): void {
  const tensors = model
    .getWeights()
    .map((weight, index) => tf.tensor(weights[index] ?? new Float32Array(), weight.shape))
  model.setWeights(tensors)
  for (const tensor of tensors) tensor.dispose()
}
