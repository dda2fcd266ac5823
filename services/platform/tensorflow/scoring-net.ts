// What every kind of net offers to whoever scores with it, and the two ends that all of them share: whole tiles of
// rows in, values out as the backend gives them.

import type { Tensor } from '@tensorflow/tfjs'
import type { OpenBackend } from './open-backend.ts'

/** Model topology and weights as TensorFlow.js stores them. */
export interface NetFiles {
  /** Parsed model.json. */
  readonly model: unknown
  readonly weights: Buffer
}

/** A net on one backend, with one output per row. */
export interface ScoringNet {
  /** Inputs of up to the backend's `runRowsMax` rows, to be filled before `run`. */
  readonly inputs: Float32Array
  /**
   * Outputs of the first `rowCount` rows, and perhaps some more. Once it has returned, `inputs` may be filled again,
   * also while a promise of it is waited for. What it gives at once is valid until the next run.
   */
  run(rowCount: number): Float32Array | Promise<Float32Array>
  close(): void
}

/** Rows that are computed for a batch: whole multiples of what the backend treats alike. */
export function paddedRows({ rowMultiple }: OpenBackend, rowCount: number): number {
  return Math.ceil(rowCount / rowMultiple) * rowMultiple
}

/** The values of a tensor, which is disposed of. */
export function takeValues(
  { isAsynchronous }: OpenBackend,
  tensor: Tensor,
): Float32Array | Promise<Float32Array> {
  if (isAsynchronous) {
    return tensor.data<'float32'>().finally(() => {
      tensor.dispose()
    })
  }
  const values = tensor.dataSync<'float32'>()
  tensor.dispose()
  return values
}
