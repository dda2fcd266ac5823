// Trains the two nets of a cascade on the same rows and the same backend: the draft reads the features, the target
// reads the features and the card's last payments.

import { SEQUENCE_EVENTS } from '../../core/features/engine/card-sequence.ts'
import { compileScaling, type FeatureScaling } from '../../core/scoring/scaling.ts'
import {
  compileSequenceEncoding,
  type SequenceEncoding,
} from '../../core/scoring/sequence-encoding.ts'
import { type OpenBackend, openBackend } from '../../platform/tensorflow/load-tensorflow.ts'
import { fitScaling, fitSequenceEncoding } from '../fit/fit-inputs.ts'
import type { CheckpointStore } from './net-checkpoint.ts'
import type { NetShape } from './net-model.ts'
import { type NetRows, trainingRows, type RowSource } from './net-passes.ts'
import { trainNet, type TrainedNet } from './train-net.ts'
import { SluiceError } from '../../core/errors.ts'

/** Sizes of the nets. */
export interface CascadeShape {
  readonly draftUnits: readonly number[]
  readonly targetUnits: readonly number[]
  readonly eventUnits: readonly number[]
  /** Members of the target's committee. */
  readonly members: number
}

export const CASCADE_SHAPE: CascadeShape = Object.freeze({
  draftUnits: [64, 32],
  targetUnits: [64, 32],
  eventUnits: [16, 16],
  members: 3,
})

/** Training settings of both nets. */
export const NET_TRAINING = Object.freeze({
  patienceEpochs: 5,
  learningRate: 1e-3,
  dropout: 0.2,
  weightDecay: 1e-4,
  fraudWeight: 1,
})

export interface CascadeOptions {
  readonly seed: number
  readonly epochsMax: number
  readonly shape: CascadeShape
  readonly onProgress: (line: string) => void
  /** Storage for the progress of each net; nothing is stored unless given. */
  readonly checkpointsOf?: (part: CascadePart) => CheckpointStore
}

export type CascadePart = 'draft' | 'target'

/** One net with the way its inputs are made. */
export interface TrainedPart {
  readonly shape: NetShape
  readonly net: TrainedNet
  /** Rows as this net reads them. */
  readonly rowsOf: (source: RowSource, indices: Uint32Array) => NetRows
}

export interface TrainedCascade {
  readonly scaling: readonly FeatureScaling[]
  readonly encoding: SequenceEncoding
  readonly draft: TrainedPart
  readonly target: TrainedPart
  close(): void
}

/** `validation` chooses the epochs; null trains each net for `epochsMax`. */
export async function trainCascade(
  backend: OpenBackend,
  source: RowSource,
  train: Uint32Array,
  validation: Uint32Array | null,
  options: CascadeOptions,
): Promise<TrainedCascade> {
  const { shape, seed, epochsMax, onProgress } = options
  const scaling = fitScaling(source.rows, train, source.truth)
  const encoding = fitSequenceEncoding(source, train)
  const compiled = compileScaling(scaling)
  const sequences = compileSequenceEncoding(encoding)
  const { inputCount } = compiled
  const part = async (
    name: CascadePart,
    netShape: NetShape,
    ofSequences: typeof sequences | null,
  ): Promise<TrainedPart> => {
    const rowsOf = (from: RowSource, indices: Uint32Array): NetRows =>
      trainingRows(from, indices, compiled, ofSequences)
    const net = await trainNet(
      backend,
      netShape,
      rowsOf(source, train),
      validation === null ? null : rowsOf(source, validation),
      {
        ...NET_TRAINING,
        seed,
        epochsMax,
        checkpoints: options.checkpointsOf?.(name) ?? null,
        onProgress: (line) => {
          onProgress(`${name}, ${line}`)
        },
      },
    )
    return { shape: netShape, net, rowsOf }
  }
  const draftShape = { inputCount, hiddenUnits: shape.draftUnits, members: 1, sequence: null }
  const draft = await part('draft', draftShape, null)
  try {
    const target = await part(
      'target',
      {
        inputCount,
        hiddenUnits: shape.targetUnits,
        members: shape.members,
        sequence: {
          events: SEQUENCE_EVENTS,
          eventInputs: sequences.eventInputs,
          eventUnits: shape.eventUnits,
        },
      },
      sequences,
    )
    const close = (): void => {
      draft.net.close()
      target.net.close()
    }
    return { scaling, encoding, draft, target, close }
  } catch (error) {
    draft.net.close()
    throw error
  }
}

/** Backends that can train, the fastest first. */
const BACKENDS = ['tensorflow', 'wasm'] as const

export const TRAINING_BACKENDS = ['auto', ...BACKENDS] as const
export type TrainingBackend = (typeof TRAINING_BACKENDS)[number]

/** Opens the fastest backend that works, or the requested one. @throws SluiceError SLUICE_BACKEND_UNAVAILABLE */
export async function openTrainingBackend(
  wanted: TrainingBackend,
  onProgress: (line: string) => void,
): Promise<OpenBackend> {
  const names = wanted === 'auto' ? BACKENDS : [wanted]
  const reasons: string[] = []
  for (const name of names) {
    try {
      return await openBackend(name)
    } catch (error) {
      const reason = `${name}: ${error instanceof Error ? error.message : String(error)}`
      reasons.push(reason)
      if (wanted === 'auto') onProgress(`cannot train on ${reason}`)
    }
  }
  throw new SluiceError(
    'SLUICE_BACKEND_UNAVAILABLE',
    `Cannot train on "${wanted}" (${reasons.join('; ')}). Use --backend wasm, or run "sluice doctor".`,
  )
}
