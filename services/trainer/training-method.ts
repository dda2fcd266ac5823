// How the net was made, in words, for the papers of a model folder.

import type { OpenBackend } from '../platform/tensorflow/load-tensorflow.ts'
import type { TrainingMethod } from './openness/release.ts'
import { AVERAGE_MEMORY, BATCH_ROWS, type NetOptions } from './train-net.ts'

/** Says what `trainNet` did with these options. */
export function trainingMethod(
  { tf, backend }: OpenBackend,
  inputCount: number,
  options: NetOptions,
  bestEpoch: number,
): TrainingMethod {
  const layers = [inputCount, ...options.hiddenUnits, 1].join('-')
  return {
    family: 'feed-forward network',
    architecture: `dense ${layers} with rectified linear units`,
    steps: [
      `Adam with learning rate ${options.learningRate}, batches of ${BATCH_ROWS} rows in an order of each epoch's own.`,
      `Loss: log loss, in which a fraud weighs ${options.fraudWeight} times as much as a genuine transaction.`,
      `After each epoch the weights kept are ${AVERAGE_MEMORY} of the earlier mean and the rest of the new ones.`,
      `Epoch ${bestEpoch} of at most ${options.epochsMax} was best by average precision on validation; training ends after ` +
        `${options.patienceEpochs} epochs without a better one.`,
      `All chance comes from seed ${options.seed}; computed on backend ${backend}.`,
    ],
    libraryVersion: tf.version_core,
  }
}
