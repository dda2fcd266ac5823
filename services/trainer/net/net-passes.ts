// Passes over rows with a net: one epoch of training in shuffled mini-batches, and scoring. Inputs are written when a
// batch needs them. All randomness comes from the seed.

import assert from 'node:assert/strict'
import type { LayersModel, Scalar, Tensor, Tensor2D, Tensor3D } from '@tensorflow/tfjs'
import { useBackend, type OpenBackend } from '../../platform/tensorflow/load-tensorflow.ts'
import type { Member, NetShape, TrainedLayer } from './net-model.ts'
import { gathered, shuffled, valueAt } from '../statistics.ts'
import { FEATURE_COUNT } from '../../core/features/catalogue/feature-list.ts'
import { SEQUENCE_LENGTH } from '../../core/features/engine/card-sequence.ts'
import type { CompiledScaling } from '../../core/scoring/scaling.ts'
import type { CompiledSequenceEncoding } from '../../core/scoring/sequence-encoding.ts'

/** Rows of one optimizer step. */
export const BATCH_ROWS = 512
const FORWARD_ROWS = 2_048

/** Rows to learn from: their truth, and a function that writes the inputs of each. */
export interface NetRows {
  readonly count: number
  /** 1 fraud, 0 genuine. */
  readonly truth: Uint8Array
  readonly writeInputs: (row: number, out: Float32Array, position: number) => void
  /** Null for a net without sequences. */
  readonly writeEvents: ((row: number, out: Float32Array, position: number) => void) | null
}

/** A net in training, or ready to score. */
export interface Run {
  readonly backend: OpenBackend
  readonly model: LayersModel
  readonly shape: NetShape
  readonly members: readonly Member[]
  readonly settings: PassSettings
}

/** Settings of a training pass. */
export interface PassSettings {
  readonly seed: number
  /** Share of hidden units that each batch leaves out. */
  readonly dropout: number
  /** Share that weights lose with each batch. */
  readonly weightDecay: number
  /** Weight of a fraud in the loss; a genuine transaction weighs 1. Calibration removes the shift. */
  readonly fraudWeight: number
}

export type Optimizer = ReturnType<OpenBackend['tf']['train']['adam']>

/** The variables that the optimizer updates, in its order. */
export function variablesOf({ members }: Pick<Run, 'members'>): TrainedLayer['kernel'][] {
  return members.flatMap(layersOf).flatMap(({ kernel, bias }) => [kernel, bias])
}

/** One pass over all rows in a shuffled order. Returns the mean loss of its batches. */
export function runEpoch(run: Run, optimizer: Optimizer, rows: NetRows, epoch: number): number {
  const { backend, members, settings } = run
  const { tf } = backend
  const order = shuffled(rows.count, settings.seed, epoch)
  const batchRows = Math.min(BATCH_ROWS, order.length)
  const variables = variablesOf(run)
  let lossSum = 0
  let batches = 0
  // Remaining rows that do not fill a batch are skipped; the next epoch has another order.
  for (let start = 0; start + batchRows <= order.length; start += batchRows) {
    const batch = order.subarray(start, start + batchRows)
    const maskSeed = (settings.seed * 8_191 + epoch) * 65_537 + batches
    lossSum += tf.tidy(() => {
      const { features, events } = tensorsOf(run, rows, batch)
      const y = tf.tensor2d(
        Float32Array.from(batch, (row) => valueAt(rows.truth, row)),
        [batchRows, 1],
      )
      const weights = y.mul<Tensor2D>(settings.fraudWeight - 1).add<Tensor2D>(1)
      const loss = optimizer.minimize(
        () =>
          memberLogits(run, features, events, maskSeed)
            .map((logits) => weightedLoss(tf, logits, y, weights))
            .reduce((sum, each) => sum.add(each)),
        true,
        variables,
      )
      decay(run)
      assert(loss !== null, 'the optimizer returns the loss')
      return valueAt(loss.dataSync(), 0)
    })
    batches += 1
  }
  return lossSum / Math.max(1, batches) / members.length
}

function layersOf({ event, hidden, output }: Member): readonly TrainedLayer[] {
  return [...event, ...hidden, output]
}

/** Kernels shrink a little; biases stay. */
function decay({ members, settings: { weightDecay } }: Run): void {
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

/** Logits of each member. A seed for the masks makes this a training pass with dropout. */
function memberLogits(
  { backend: { tf }, shape, members, settings: { dropout } }: Run,
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

/** Mean of weight x log loss, from logits. The gradient, weight x (sigmoid - truth), is given in closed form. */
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
export function forwardAll(run: Run, rows: NetRows): Float64Array {
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

/** Source of the rows; arrays are by row. */
export interface RowSource {
  /** FEATURE_COUNT raw values per row. */
  readonly rows: Float64Array
  /** SEQUENCE_LENGTH numbers per row. */
  readonly sequences: Float64Array
  /** Minor units of the reference currency. */
  readonly amountsMinor: Float64Array
  readonly truth: Uint8Array
}

/**
 * The rows at `indices` as a net reads them: scaled features and encoded sequences. A null `encoding` is for a net
 * without sequences.
 */
export function trainingRows(
  { rows, sequences, amountsMinor, truth }: RowSource,
  indices: Uint32Array,
  scaling: CompiledScaling,
  encoding: CompiledSequenceEncoding | null,
): NetRows {
  return {
    count: indices.length,
    truth: gathered(truth, indices),
    writeInputs(index, out, position) {
      const row = valueAt(indices, index)
      if (scaling.writeRow(rows, row * FEATURE_COUNT, out, position)) return
      throw new Error(`Row ${row} holds a value that no feature can have.`)
    },
    writeEvents:
      encoding === null
        ? null
        : (index, out, position) => {
            const row = valueAt(indices, index)
            const amountMinor = valueAt(amountsMinor, row)
            encoding.write(amountMinor, sequences, row * SEQUENCE_LENGTH, out, position)
          },
  }
}
