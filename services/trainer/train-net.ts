// Trains a net with Adam and decoupled weight decay (Loshchilov and Hutter 2019), in shuffled mini-batches. The weights
// that are kept are a running mean over epochs. With validation rows it ends when their average precision stops rising,
// else after a fixed number of epochs. All chance comes from the seed.

import { setImmediate } from 'node:timers/promises'
import type { LayersModel, Scalar, Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs'
import { SluiceError } from '../core/errors.ts'
import { useBackend, type OpenBackend } from '../platform/tensorflow/load-tensorflow.ts'
import { averagePrecision } from './metrics.ts'
import { buildNet, membersOf, type Member, type NetShape, type TrainedLayer } from './net-model.ts'
import { shuffled } from './shuffle.ts'

/** Rows of one step of the optimizer. */
export const BATCH_ROWS = 512
const FORWARD_ROWS = 2_048

/** Share of the mean over earlier epochs in the next one. */
export const AVERAGE_MEMORY = 0.7

/** Rows to learn from: how to write the inputs of each, and its truth. */
export interface NetRows {
  readonly count: number
  /** 1 fraud, 0 genuine. */
  readonly truth: Uint8Array
  readonly writeInputs: (row: number, out: Float32Array, position: number) => void
  /** Null for a net without sequences. */
  readonly writeEvents: ((row: number, out: Float32Array, position: number) => void) | null
}

export interface NetOptions {
  readonly seed: number
  readonly epochsMax: number
  /** Epochs without a better validation before training ends. */
  readonly patienceEpochs: number
  readonly learningRate: number
  /** Share of hidden units that a batch leaves out. */
  readonly dropout: number
  /** Share that weights lose with each batch. */
  readonly weightDecay: number
  /** Weight of a fraud in the loss; a genuine transaction weighs 1. Calibration undoes the shift. */
  readonly fraudWeight: number
  readonly onProgress: (line: string) => void
}

/** What came of one epoch. */
export interface EpochFigures {
  readonly epoch: number
  readonly loss: number
  /** Null without validation rows. */
  readonly validationPrecision: number | null
  readonly seconds: number
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
  const run: Run = { backend, model, shape, members: membersOf(backend.tf, model, shape), options }
  const optimizer = backend.tf.train.adam(options.learningRate)
  try {
    const { epochs, bestEpoch, weights } = await runEpochs(run, optimizer, train, validation)
    restore(backend, model, weights)
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

/** Trains until nothing gets better, and gives the weights to keep. */
async function runEpochs(
  run: Run,
  optimizer: Optimizer,
  train: NetRows,
  validation: NetRows | null,
): Promise<Pick<TrainedNet, 'epochs' | 'bestEpoch'> & { readonly weights: Float32Array[] }> {
  const { backend, model, options } = run
  const best = { epoch: 0, precision: -1, weights: [] as Float32Array[] }
  const epochs: EpochFigures[] = []
  let average: Float32Array[] = []
  for (let epoch = 1; epoch <= options.epochsMax; epoch += 1) {
    // An epoch holds the thread for seconds; signals get their turn between two.
    await setImmediate()
    const startMs = performance.now()
    const loss = runEpoch(run, optimizer, train, epoch)
    const own = weightsOf(model)
    if (!Number.isFinite(loss) || !own.every((values) => values.every(Number.isFinite))) {
      throw diverged(epoch)
    }
    average = averaged(average, own)
    let precision: number | null = null
    if (validation !== null) {
      restore(backend, model, average)
      precision = averagePrecision({
        scores: forwardAll(run, validation),
        truth: validation.truth,
      })
      restore(backend, model, own)
    }
    const seconds = (performance.now() - startMs) / 1_000
    epochs.push({ epoch, loss, validationPrecision: precision, seconds })
    options.onProgress(epochLine(loss, precision, seconds, epoch))
    if (precision === null || precision > best.precision) {
      Object.assign(best, { epoch, precision: precision ?? -1, weights: average })
    } else if (epoch - best.epoch >= options.patienceEpochs) break
  }
  return { epochs, bestEpoch: best.epoch, weights: best.weights }
}

function diverged(epoch: number): SluiceError {
  return new SluiceError(
    'SLUICE_TRAINING_DATA_INVALID',
    `Training diverged in epoch ${epoch}: loss or weights are no numbers any more. Try another --seed.`,
  )
}

interface Run {
  readonly backend: OpenBackend
  readonly model: LayersModel
  readonly shape: NetShape
  readonly members: readonly Member[]
  readonly options: NetOptions
}

type Optimizer = ReturnType<OpenBackend['tf']['train']['adam']>

function epochLine(loss: number, precision: number | null, seconds: number, epoch: number): string {
  const validation =
    precision === null ? '' : `, validation average precision ${precision.toFixed(4)}`
  return `epoch ${epoch}: loss ${loss.toFixed(5)}${validation}, ${seconds.toFixed(1)} s`
}

/** One pass over all rows in an order of its own. Returns the mean loss of its batches. */
function runEpoch(run: Run, optimizer: Optimizer, rows: NetRows, epoch: number): number {
  const { backend, members, options } = run
  const { tf } = backend
  const order = shuffled(rows.count, options.seed, epoch)
  const batchRows = Math.min(BATCH_ROWS, order.length)
  const variables = members.flatMap(layersOf).flatMap(({ kernel, bias }) => [kernel, bias])
  let lossSum = 0
  let batches = 0
  // The last rows that do not fill a batch wait for the next epoch's order.
  for (let start = 0; start + batchRows <= order.length; start += batchRows) {
    const batch = order.subarray(start, start + batchRows)
    const maskSeed = (options.seed * 8_191 + epoch) * 65_537 + batches
    lossSum += tf.tidy(() => {
      const { features, events } = tensorsOf(run, rows, batch)
      const y = tf.tensor2d(
        Float32Array.from(batch, (row) => rows.truth[row] ?? 0),
        [batchRows, 1],
      )
      const weights = y.mul<Tensor2D>(options.fraudWeight - 1).add<Tensor2D>(1)
      const loss = optimizer.minimize(
        () =>
          memberLogits(run, features, events, maskSeed)
            .map((logits) => weightedLoss(tf, logits, y, weights))
            .reduce((sum, each) => sum.add(each)),
        true,
        variables,
      )
      decay(run)
      return loss?.dataSync()[0] ?? NaN
    })
    batches += 1
  }
  return lossSum / Math.max(1, batches) / members.length
}

function layersOf({ event, hidden, output }: Member): readonly TrainedLayer[] {
  return [...event, ...hidden, output]
}

/** Kernels shrink a little; biases stay. */
function decay({ members, options: { weightDecay } }: Run): void {
  if (weightDecay === 0) return
  for (const { kernel } of members.flatMap(layersOf)) kernel.assign(kernel.mul(1 - weightDecay))
}

interface Inputs {
  readonly features: Tensor2D
  readonly events: Tensor3D | null
}

function tensorsOf({ backend: { tf }, shape }: Run, rows: NetRows, batch: Uint32Array): Inputs {
  const { inputCount, sequence } = shape
  const inputs = new Float32Array(batch.length * inputCount)
  for (const [at, row] of batch.entries()) rows.writeInputs(row, inputs, at * inputCount)
  const features = tf.tensor2d(inputs, [batch.length, inputCount])
  if (sequence === null || rows.writeEvents === null) return { features, events: null }
  const length = sequence.events * sequence.eventInputs
  const values = new Float32Array(batch.length * length)
  for (const [at, row] of batch.entries()) rows.writeEvents(row, values, at * length)
  const events = tf.tensor3d(values, [batch.length, sequence.events, sequence.eventInputs])
  return { features, events }
}

/** Logits of each member. With a seed for masks it is a training pass, with dropout. */
function memberLogits(
  { backend: { tf }, shape, members, options: { dropout } }: Run,
  features: Tensor2D,
  events: Tensor3D | null,
  maskSeed: number | null,
): readonly Tensor2D[] {
  const dense = ({ kernel, bias }: TrainedLayer, values: Tensor2D): Tensor2D =>
    values.matMul<Tensor2D>(kernel).add<Tensor2D>(bias)
  return members.map((member, index) => {
    let values = features
    const { sequence } = shape
    if (events !== null && sequence !== null) {
      const rowCount = features.shape[0]
      let each = events.reshape<Tensor2D>([rowCount * sequence.events, sequence.eventInputs])
      for (const layer of member.event) each = dense(layer, each).relu()
      const shaped = each.reshape<Tensor3D>([rowCount, sequence.events, each.shape[1]])
      values = tf.concat2d([features, shaped.mean<Tensor2D>(1), shaped.max<Tensor2D>(1)], 1)
    }
    for (const [at, layer] of member.hidden.entries()) {
      values = dense(layer, values).relu()
      if (maskSeed !== null && dropout > 0) {
        const seed = maskSeed * 31 + index * 7 + at
        values = tf.dropout(values, dropout, undefined, seed) as Tensor2D
      }
    }
    return dense(member.output, values)
  })
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

/** Mean of the members' logits, for all rows. */
function forwardAll(run: Run, rows: NetRows): Float64Array {
  const { backend, members } = run
  const { tf } = backend
  useBackend(backend)
  const logits = new Float64Array(rows.count)
  for (let start = 0; start < rows.count; start += FORWARD_ROWS) {
    const end = Math.min(rows.count, start + FORWARD_ROWS)
    const batch = Uint32Array.from({ length: end - start }, (_, at) => start + at)
    const values = tf.tidy(() => {
      const { features, events } = tensorsOf(run, rows, batch)
      const all = memberLogits(run, features, events, null)
      return all
        .reduce((sum, each) => sum.add<Tensor2D>(each))
        .div<Tensor2D>(members.length)
        .dataSync<'float32'>()
    })
    logits.set(values, start)
  }
  return logits
}

function weightsOf(model: LayersModel): Float32Array[] {
  return model.getWeights().map((weight) => weight.dataSync<'float32'>().slice())
}

/** A running mean over epochs: single epochs differ by chance, and so would the choice among them. */
function averaged(before: readonly Float32Array[], own: readonly Float32Array[]): Float32Array[] {
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
