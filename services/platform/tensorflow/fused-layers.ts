// Dense layers as one fused operation each: what all nets here are made of. Hot path.

import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs'
import type { TensorFlow } from './open-backend.ts'

export const ACTIVATIONS = ['linear', 'relu'] as const
export type Activation = (typeof ACTIVATIONS)[number]

export interface FusedLayer {
  readonly kernel: Tensor2D
  readonly bias: Tensor1D
  readonly activation: Activation
}

/** One layer after the other; for use within `tidy`. */
export function runLayers(
  tf: TensorFlow,
  inputs: Tensor2D,
  layers: readonly FusedLayer[],
): Tensor2D {
  let values = inputs
  for (const { kernel, bias, activation } of layers) {
    values = tf.fused.matMul({ a: values, b: kernel, bias, activation }) as Tensor2D
  }
  return values
}

export function disposeLayers(layers: readonly FusedLayer[]): void {
  for (const { kernel, bias } of layers) {
    kernel.dispose()
    bias.dispose()
  }
}
