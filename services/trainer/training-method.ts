// How the nets were made, in words, for the papers of a model folder.

import type { OpenBackend } from '../platform/tensorflow/load-tensorflow.ts'
import type { TrainingMethod } from './release.ts'
import { NET_TRAINING, type TrainedCascade } from './train-cascade.ts'
import { BATCH_ROWS } from './net-passes.ts'
import { AVERAGE_MEMORY } from './train-net.ts'

/** Says what `trainCascade` did. */
export function trainingMethod(
  { tf, backend }: OpenBackend,
  { draft, target }: TrainedCascade,
  { seed, epochsMax }: { readonly seed: number; readonly epochsMax: number },
): TrainingMethod {
  const { sequence, members, hiddenUnits } = target.shape
  const draftLayers = [draft.shape.inputCount, ...draft.shape.hiddenUnits, 1].join('-')
  const eventLayers = [sequence?.eventInputs ?? 0, ...(sequence?.eventUnits ?? [])].join('-')
  return {
    family: 'feed-forward networks in a cascade',
    architecture:
      `draft: dense ${draftLayers}; target: the mean of ${members} members, each dense ${eventLayers} over each of the ` +
      `card's last ${sequence?.events ?? 0} payments, their mean and maximum beside the features, then dense ` +
      `${[...hiddenUnits, 1].join('-')}; rectified linear units`,
    steps: [
      'Features become inputs by ramps between quantiles and by steps at the splits of a small decision tree on each ' +
        'feature alone, where these tell more than their weights cost (minimum description length); amounts also by ' +
        'ramps between the quantiles of their merchant category; all learnt from the training rows.',
      `Adam with learning rate ${NET_TRAINING.learningRate}, batches of ${BATCH_ROWS} rows in an order of each epoch's own; ` +
        `dropout ${NET_TRAINING.dropout}; weights shrink by ${NET_TRAINING.weightDecay} with each batch.`,
      `Loss: log loss, in which a fraud weighs ${NET_TRAINING.fraudWeight} times as much as a genuine transaction.`,
      `After each epoch the weights kept are ${AVERAGE_MEMORY} of the earlier mean and the rest of the new ones.`,
      `Epochs ${draft.net.bestEpoch} of the draft and ${target.net.bestEpoch} of the target, of at most ${epochsMax}, were best by ` +
        `average precision on validation; training ends after ${NET_TRAINING.patienceEpochs} epochs without a better one.`,
      `All chance comes from seed ${seed}; computed on backend ${backend}.`,
    ],
    libraryVersion: tf.version_core,
  }
}
