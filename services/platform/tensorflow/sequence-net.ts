// A committee of nets over features and a card's last payments, run with one fused operation per dense layer. Nothing
// here loops over the payments: each layer takes all of them as one matrix. Hot path.

import type { LayersModel, Tensor1D, Tensor2D, Tensor3D } from '@tensorflow/tfjs'
import { SEQUENCE_EVENTS } from '../../core/features/engine/card-sequence.ts'
import { corrupt } from '../../core/scoring/field-reader.ts'
import { memberLayers, type TargetManifest } from '../../core/scoring/manifest.ts'
import {
  loadLayersModel,
  disposeLayers,
  runLayers,
  type Activation,
  type FusedLayer,
  type LayerWeights,
  weightsOf,
  paddedRows,
  takeValues,
  type NetFiles,
} from './dense-net.ts'
import { useBackend, type OpenBackend } from './open-backend.ts'

/** Rows of one run, unless the backend pads to more. Few rows are verified, and each one adds a row per event. */
const RUN_ROWS = 512

/** A net on one backend. */
export interface SequenceNet {
  /** Most rows of one run; more rows are scored in turns. */
  readonly runRowsMax: number
  /** Inputs of up to `runRowsMax` rows, to be filled before `run`. */
  readonly features: Float32Array
  readonly events: Float32Array
  /** Outputs of the first `rowCount` rows; valid until the next run. */
  run(rowCount: number): Promise<Float32Array> | Float32Array
  /**
   * The same for rows that share `eventCount` inputs of events: `eventsOf` maps rows to events. The bits are the
   * same.
   */
  runShared(eventsOf: Int32Array, eventCount: number): Promise<Float32Array> | Float32Array
  close(): void
}

type TargetShape = Pick<TargetManifest, 'members' | 'eventUnits' | 'hiddenUnits'>

interface SequenceInputs {
  /** Inputs of a row of features. */
  readonly inputCount: number
  /** Inputs of one earlier payment. */
  readonly eventInputs: number
}

interface Member {
  readonly event: readonly FusedLayer[]
  /** The last layer gives the logit. */
  readonly dense: readonly FusedLayer[]
}

/** Opens a net. @throws SluiceError SLUICE_MODEL_CORRUPT when the files are not a net of this shape. */
export async function openSequenceNet(
  backend: OpenBackend,
  files: NetFiles,
  shape: TargetShape,
  inputCount: number,
  eventInputs: number,
): Promise<SequenceNet> {
  useBackend(backend)
  const { tf } = backend
  const members = await loadMembers(backend, files, shape, { inputCount, eventInputs })
  const runRowsMax = paddedRows(backend, RUN_ROWS)
  const features = new Float32Array(runRowsMax * inputCount)
  const eventLength = SEQUENCE_EVENTS * eventInputs
  const events = new Float32Array(runRowsMax * eventLength)
  const runRows = (rowCount: number, eventCount: number, eventsOf: Int32Array | null) => {
    useBackend(backend)
    const rows = paddedRows(backend, rowCount)
    const eventRows = paddedRows(backend, eventCount)
    const outputs = tf.tidy(() => {
      const x = tf.tensor2d(features.subarray(0, rows * inputCount), [rows, inputCount])
      const s = tf.tensor2d(events.subarray(0, eventRows * eventLength), [
        eventRows * SEQUENCE_EVENTS,
        eventInputs,
      ])
      const takeOwn = eventsOf === null ? null : indicesOf(eventsOf, rows)
      const logits = members.map(({ event, dense }) => {
        const each = runLayers(tf, s, event)
        const byRow = each.reshape<Tensor3D>([eventRows, SEQUENCE_EVENTS, each.shape[1]])
        const pooled = [byRow.mean<Tensor2D>(1), byRow.max<Tensor2D>(1)]
        const own = takeOwn === null ? pooled : pooled.map((all) => tf.gather(all, takeOwn))
        return runLayers(tf, tf.concat2d([x, ...own], 1), dense)
      })
      return logits.reduce((sum, one) => sum.add<Tensor2D>(one)).div<Tensor2D>(members.length)
    })
    return takeValues(backend, outputs)
  }
  /** Padding rows use the events of the first row. */
  const indicesOf = (eventsOf: Int32Array, rows: number): Tensor1D => {
    const indices = new Int32Array(rows)
    indices.set(eventsOf)
    return tf.tensor1d(indices, 'int32')
  }
  return {
    runRowsMax,
    features,
    events,
    run: (rowCount) => runRows(rowCount, rowCount, null),
    runShared: (eventsOf, eventCount) => runRows(eventsOf.length, eventCount, eventsOf),
    close() {
      for (const { event, dense } of members) {
        disposeLayers([...event, ...dense])
      }
    },
  }
}

/** The nets of a committee as numbers. */
export interface MemberWeights {
  readonly event: readonly LayerWeights[]
  readonly dense: readonly LayerWeights[]
}

/** Reads the weights of a committee. @throws SluiceError SLUICE_MODEL_CORRUPT as openSequenceNet does */
export async function readMembers(
  backend: OpenBackend,
  files: NetFiles,
  shape: TargetShape,
  inputs: SequenceInputs,
): Promise<readonly MemberWeights[]> {
  useBackend(backend)
  const members = await loadMembers(backend, files, shape, inputs)
  return members.map(({ event, dense }) => {
    const weights = { event: event.map(weightsOf), dense: dense.map(weightsOf) }
    disposeLayers([...event, ...dense])
    return weights
  })
}

async function loadMembers(
  { tf }: OpenBackend,
  files: NetFiles,
  shape: TargetShape,
  { inputCount, eventInputs }: SequenceInputs,
): Promise<readonly Member[]> {
  const model = await loadLayersModel(tf, files)
  try {
    return Array.from({ length: shape.members }, (_, index) =>
      memberOf(model, index + 1, shape, inputCount, eventInputs),
    )
  } finally {
    // The net holds clones; the model's own weights are freed in every case.
    model.dispose()
  }
}

function memberOf(
  model: LayersModel,
  member: number,
  shape: Pick<TargetManifest, 'eventUnits' | 'hiddenUnits'>,
  inputCount: number,
  eventInputs: number,
): Member {
  let width = eventInputs
  const next = (name: string, units: number): FusedLayer => {
    const layer = layerOf(model, name, width, units, 'relu')
    width = units
    return layer
  }
  const event = shape.eventUnits.map((units, at) => next(memberLayers.event(member, at), units))
  width = inputCount + 2 * width
  const hidden = shape.hiddenUnits.map((units, at) => next(memberLayers.dense(member, at), units))
  const output = layerOf(model, memberLayers.output(member), width, 1, 'linear')
  return { event, dense: [...hidden, output] }
}

function layerOf(
  model: LayersModel,
  name: string,
  inputs: number,
  units: number,
  activation: Activation,
): FusedLayer {
  const layer = model.layers.find((each) => each.name === name)
  const [kernel, bias] = layer?.getWeights() ?? []
  if (
    layer?.getConfig()['activation'] !== activation ||
    kernel?.rank !== 2 ||
    bias?.rank !== 1 ||
    kernel.shape[0] !== inputs ||
    kernel.shape[1] !== units
  ) {
    throw corrupt(
      `target.json has no dense layer "${name}" from ${inputs} to ${units} with ${activation}`,
    )
  }
  return { kernel: kernel.clone() as Tensor2D, bias: bias.clone() as Tensor1D, activation }
}
