// A trained net as the two files that TensorFlow.js reads: model.json and weights.bin.

import type { LayersModel, io } from '@tensorflow/tfjs'
import type { TensorFlow } from '../platform/tensorflow/load-tensorflow.ts'

export interface NetBytes {
  readonly model: Buffer
  readonly weights: Buffer
}

/** The bytes depend on topology and weights alone. */
export async function netBytes(
  tf: TensorFlow,
  model: LayersModel,
  weightsFile: string,
): Promise<NetBytes> {
  let saved: io.ModelArtifacts | null = null
  await model.save(
    tf.io.withSaveHandler((artifacts) => {
      saved = artifacts
      return Promise.resolve({
        modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' },
      })
    }),
  )
  const { modelTopology, weightSpecs, weightData } = artifactsOf(saved)
  const parts = Array.isArray(weightData) ? weightData : [weightData]
  const content = {
    format: 'layers-model',
    modelTopology,
    weightsManifest: [{ paths: [weightsFile], weights: weightSpecs }],
  }
  return {
    model: jsonBytes(content),
    weights: Buffer.concat(parts.map((part) => Buffer.from(part))),
  }
}

/** JSON as it is written into model folders. */
export function jsonBytes(value: unknown): Buffer {
  return Buffer.from(`${JSON.stringify(value, null, 1)}\n`)
}

function artifactsOf(saved: io.ModelArtifacts | null): Required<
  Pick<io.ModelArtifacts, 'modelTopology' | 'weightSpecs'>
> & {
  readonly weightData: ArrayBuffer | ArrayBuffer[]
} {
  const { modelTopology, weightSpecs, weightData } = saved ?? {}
  if (modelTopology === undefined || weightSpecs === undefined || weightData === undefined) {
    throw new Error('TensorFlow.js saved a net without topology or weights.')
  }
  return { modelTopology, weightSpecs, weightData }
}
