// A stack of dense layers with one output, run with one fused operation per layer. Hot path.

import type { LayersModel, Tensor1D, Tensor2D } from '@tensorflow/tfjs'
import { corrupt } from '../../core/scoring/field-reader.ts'
import { ACTIVATIONS, disposeLayers, runLayers, type FusedLayer } from './fused-layers.ts'
import { useBackend, type OpenBackend, type TensorFlow } from './open-backend.ts'
import { paddedRows, takeValues, type NetFiles, type ScoringNet } from './scoring-net.ts'

/** @throws SluiceError SLUICE_MODEL_CORRUPT when the files are no stack of dense layers of this shape. */
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

/** @throws SluiceError SLUICE_MODEL_CORRUPT when TensorFlow.js does not take the files. */
export async function loadLayersModel(tf: TensorFlow, files: NetFiles): Promise<LayersModel> {
  const { modelTopology, weightsManifest } = files.model as {
    modelTopology?: object
    weightsManifest?: readonly { weights: import('@tensorflow/tfjs').io.WeightsManifestEntry[] }[]
  }
  if (modelTopology === undefined || weightsManifest === undefined) {
    throw corrupt('a net has no modelTopology or no weightsManifest')
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
    // What is kept are clones; the model's own weights go, however this ends.
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
        `dense layer ${index} takes ${kernel.shape[0]} inputs, but gets ${width} from before`,
      )
    }
    width = kernel.shape[1]
  }
  if (layers.length === 0 || width !== 1) throw corrupt(`the net has ${width} outputs, not one`)
  const last = layers.at(-1)
  if (last?.activation !== 'linear')
    throw corrupt('the last layer is not linear: a logit is needed')
}
