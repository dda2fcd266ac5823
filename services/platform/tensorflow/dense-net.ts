// A stack of dense layers with one output, run with one fused operation per layer, and the parts that every net here
// shares: its files, fused layers, and padding to whole tiles. Hot path.

import type { LayersModel, Tensor1D, Tensor2D, Tensor } from '@tensorflow/tfjs'
import { corrupt } from '../../core/scoring/field-reader.ts'
import { useBackend, type OpenBackend, type TensorFlow } from './open-backend.ts'

/**
 * Opens a net.
 * @throws SluiceError SLUICE_MODEL_CORRUPT when the files are not a stack of dense layers of this shape.
 */
export async function openDenseNet(
  backend: OpenBackend,
  files: NetFiles,
  inputCount: number,
): Promise<ScoringNet> {
  useBackend(backend)
  const layers = await loadLayers(backend.tf, files, inputCount)
  const { tf } = backend
  const inputs = new Float32Array(backend.runRowsMax * inputCount)
  return {
    inputs,
    run(rowCount) {
      useBackend(backend)
      const rows = paddedRows(backend, rowCount)
      const outputs = tf.tidy(() => {
        const values = tf.tensor2d(inputs.subarray(0, rows * inputCount), [rows, inputCount])
        return runLayers(tf, values, layers)
      })
      return takeValues(backend, outputs)
    },
    close() {
      disposeLayers(layers)
    },
  }
}

/** Loads a model. @throws SluiceError SLUICE_MODEL_CORRUPT when TensorFlow.js does not accept the files. */
export async function loadLayersModel(tf: TensorFlow, files: NetFiles): Promise<LayersModel> {
  const { modelTopology, weightsManifest } = files.model as {
    modelTopology?: object
    weightsManifest?: readonly { weights: import('@tensorflow/tfjs').io.WeightsManifestEntry[] }[]
  }
  if (modelTopology === undefined || weightsManifest === undefined) {
    throw corrupt('a net lacks modelTopology or weightsManifest')
  }
  const { buffer, byteOffset, byteLength } = files.weights
  const handler = tf.io.fromMemory({
    modelTopology,
    weightSpecs: weightsManifest.flatMap(({ weights }) => weights),
    weightData: buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer,
  })
  return await tf.loadLayersModel(handler).catch((error: unknown) => {
    throw corrupt('topology and weights of a net do not load in TensorFlow.js', error)
  })
}

/** Reads the weights of a net. @throws SluiceError SLUICE_MODEL_CORRUPT as openDenseNet does */
export async function readLayers(
  backend: OpenBackend,
  files: NetFiles,
  inputCount: number,
): Promise<readonly LayerWeights[]> {
  useBackend(backend)
  const layers = await loadLayers(backend.tf, files, inputCount)
  const weights = layers.map(weightsOf)
  disposeLayers(layers)
  return weights
}

async function loadLayers(
  tf: TensorFlow,
  files: NetFiles,
  inputCount: number,
): Promise<readonly FusedLayer[]> {
  const model = await loadLayersModel(tf, files)
  try {
    const layers = model.layers
      .filter((layer) => layer.getClassName() !== 'InputLayer')
      .map((layer) => denseLayer(layer))
    checkShapes(layers, inputCount)
    return layers.map(({ kernel, bias, activation }) => ({
      kernel: kernel.clone(),
      bias: bias.clone(),
      activation,
    }))
  } finally {
    // The net holds clones; the model's own weights are freed in every case.
    model.dispose()
  }
}

function denseLayer(layer: import('@tensorflow/tfjs').layers.Layer): FusedLayer {
  const { activation } = layer.getConfig()
  const known = ACTIVATIONS.find((candidate) => candidate === activation)
  const [kernel, bias] = layer.getWeights()
  if (
    layer.getClassName() !== 'Dense' ||
    known === undefined ||
    kernel?.rank !== 2 ||
    bias?.rank !== 1
  ) {
    throw corrupt(
      `layer "${layer.name}" is ${layer.getClassName()} with activation ${typeof activation === 'string' ? activation : 'unknown'}; ` +
        `only Dense with bias and ${ACTIVATIONS.join(' or ')} can be scored`,
    )
  }
  return {
    kernel: kernel as Tensor2D,
    bias: bias as Tensor1D,
    activation: known,
  }
}

function checkShapes(layers: readonly FusedLayer[], inputCount: number): void {
  let width = inputCount
  for (const [index, { kernel }] of layers.entries()) {
    if (kernel.shape[0] !== width) {
      throw corrupt(
        `dense layer ${index} takes ${kernel.shape[0]} inputs, but the layer before has ${width} outputs`,
      )
    }
    width = kernel.shape[1]
  }
  if (layers.length === 0 || width !== 1)
    throw corrupt(`the net has ${width} outputs instead of one`)
  const last = layers.at(-1)
  if (last?.activation !== 'linear')
    throw corrupt('the last layer is not linear, so its output is not a logit')
}

export const ACTIVATIONS = ['linear', 'relu'] as const
export type Activation = (typeof ACTIVATIONS)[number]

export interface FusedLayer {
  readonly kernel: Tensor2D
  readonly bias: Tensor1D
  readonly activation: Activation
}

/** A dense layer as numbers. */
export interface LayerWeights {
  readonly inputs: number
  readonly units: number
  /** `units` weights for each input. */
  readonly kernel: Float32Array
  /** One for each unit. */
  readonly bias: Float32Array
  readonly activation: Activation
}

/** The numbers of a layer, for computing without tensors. */
export function weightsOf({ kernel, bias, activation }: FusedLayer): LayerWeights {
  const [inputs, units] = kernel.shape
  return {
    inputs,
    units,
    kernel: kernel.dataSync<'float32'>().slice(),
    bias: bias.dataSync<'float32'>().slice(),
    activation,
  }
}

/** Runs the layers in order; for use within `tidy`. */
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
   * Outputs of the first `rowCount` rows, and perhaps some more. `inputs` may be refilled as soon as the call
   * returns, even while its promise is pending. A result that is not a promise is valid until the next run.
   */
  run(rowCount: number): Float32Array | Promise<Float32Array>
  close(): void
}

/** Rows to compute for a batch: a whole multiple of the rows that the backend treats alike. */
export function paddedRows({ rowMultiple }: OpenBackend, rowCount: number): number {
  return Math.ceil(rowCount / rowMultiple) * rowMultiple
}

/** Reads the values of a tensor and disposes of it. */
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
