// The nets that are trained, as TensorFlow.js models that any of its tools can read. A draft is a stack of dense
// layers over the features. A target is a committee of members; each member also reads the card's last payments
// through dense layers over each payment, and appends their mean and maximum to the features (Deep Sets, Zaheer et
// al. 2017).

import type { LayersModel, SymbolicTensor, Tensor, Variable } from '@tensorflow/tfjs'
import { memberLayers } from '../../core/scoring/manifest.ts'
import type { TensorFlow } from '../../platform/tensorflow/load-tensorflow.ts'

/** The part of a net that reads the card's last payments. */
export interface SequenceShape {
  readonly events: number
  readonly eventInputs: number
  /** Widths of the layers over each payment. */
  readonly eventUnits: readonly number[]
}

export interface NetShape {
  readonly inputCount: number
  readonly hiddenUnits: readonly number[]
  readonly members: number
  readonly sequence: SequenceShape | null
}

/** Kernel and bias of a dense layer, as the optimizer updates them. */
export interface TrainedLayer {
  readonly kernel: Variable
  readonly bias: Variable
}

/** The layers of one member, in order. */
export interface Member {
  readonly event: readonly TrainedLayer[]
  readonly hidden: readonly TrainedLayer[]
  readonly output: TrainedLayer
}

/**
 * Builds the net; all randomness comes from the seed. Layers are named here because TensorFlow.js numbers unnamed
 * layers across the whole process.
 */
export function buildNet(tf: TensorFlow, shape: NetShape, seed: number): LayersModel {
  const { sequence } = shape
  const features = tf.input({ shape: [shape.inputCount], name: 'features' })
  const events =
    sequence === null
      ? null
      : tf.input({ shape: [sequence.events, sequence.eventInputs], name: 'events' })
  let next = seed * 64
  const dense = (
    name: string,
    units: number,
    from: SymbolicTensor,
    isLast = false,
  ): SymbolicTensor =>
    tf.layers
      .dense({
        name,
        units,
        activation: isLast ? 'linear' : 'relu',
        kernelInitializer: tf.initializers.glorotUniform({ seed: next++ }),
      })
      .apply(from) as SymbolicTensor
  const outputs: SymbolicTensor[] = []
  for (let member = 1; member <= shape.members; member += 1) {
    let values = features
    if (events !== null && sequence !== null) {
      let each = events
      for (const [index, units] of sequence.eventUnits.entries()) {
        each = dense(memberLayers.event(member, index), units, each)
      }
      const mean = tf.layers.globalAveragePooling1d({ name: `member_${member}_mean` }).apply(each)
      const most = tf.layers.globalMaxPooling1d({ name: `member_${member}_maximum` }).apply(each)
      values = tf.layers
        .concatenate({ name: `member_${member}_inputs` })
        .apply([features, mean as SymbolicTensor, most as SymbolicTensor]) as SymbolicTensor
    }
    for (const [index, units] of shape.hiddenUnits.entries()) {
      values = dense(memberLayers.dense(member, index), units, values)
    }
    outputs.push(dense(memberLayers.output(member), 1, values, true))
  }
  const [first] = outputs
  const output =
    outputs.length === 1 && first !== undefined
      ? first
      : (tf.layers.average({ name: 'committee' }).apply(outputs) as SymbolicTensor)
  return tf.model({
    name: 'sluice',
    inputs: events === null ? features : [features, events],
    outputs: output,
  })
}

/** The layers of each member, for our own forward pass. */
export function membersOf(tf: TensorFlow, model: LayersModel, shape: NetShape): readonly Member[] {
  const layerOf = (name: string): TrainedLayer => {
    const [kernel, bias] = model.getLayer(name).trainableWeights.map((weight) => {
      const variable: Tensor = weight.read()
      if (variable instanceof tf.Variable) return variable as Variable
      throw new Error(`Weight ${weight.originalName} cannot be trained.`)
    })
    if (kernel === undefined || bias === undefined) throw new Error(`Layer ${name} is not dense.`)
    return { kernel, bias }
  }
  return Array.from({ length: shape.members }, (_, index) => ({
    event: (shape.sequence?.eventUnits ?? []).map((_units, at) =>
      layerOf(memberLayers.event(index + 1, at)),
    ),
    hidden: shape.hiddenUnits.map((_units, at) => layerOf(memberLayers.dense(index + 1, at))),
    output: layerOf(memberLayers.output(index + 1)),
  }))
}
