// The trainer's first stage, unchanged or with one more input, for the isolation study.

import {
  scoreOf,
  compileScaling,
  type FeatureScaling,
} from '../../services/core/scoring/scaling.ts'
import type { OpenBackend } from '../../services/platform/tensorflow/load-tensorflow.ts'
import type { Dataset } from '../../services/trainer/dataset/dataset.ts'
import { fitRamps, fitSteps, fitScaling } from '../../services/trainer/fit/fit-inputs.ts'
import { type NetRows, trainingRows } from '../../services/trainer/net/net-passes.ts'
import { spreadOf } from '../../services/trainer/statistics.ts'
import { type ProtocolWeek, PROTOCOLS } from '../../services/trainer/protocol/protocols.ts'
import { CASCADE_SHAPE, NET_TRAINING } from '../../services/trainer/net/train-cascade.ts'
import { trainNet } from '../../services/trainer/net/train-net.ts'

/** One additional number per training row and per assessed row. */
export interface MoreScores {
  readonly train: Float64Array
  readonly assessed: Float64Array
}

/** Trains on the week as the protocol does, with the labels of `dataset`, and scores its assessed rows. */
export async function draftScores(
  backend: OpenBackend,
  dataset: Dataset,
  { train, assessed }: ProtocolWeek,
  more: MoreScores | null,
  seed: number,
): Promise<Float64Array> {
  const scaling = compileScaling(fitScaling(dataset.rows, train, dataset.truth))
  const own = more === null ? null : compileScaling([scalingOf(more.train, dataset, train)])
  const rowsOf = (indices: Uint32Array, scores: Float64Array | undefined): NetRows => {
    const rows = trainingRows(dataset, indices, scaling, null)
    if (own === null || scores === undefined) return rows
    return {
      ...rows,
      writeInputs(index, out, position) {
        rows.writeInputs(index, out, position)
        own.writeRow(scores, index, out, position + scaling.inputCount)
      },
    }
  }
  const net = await trainNet(
    backend,
    {
      inputCount: scaling.inputCount + (own?.inputCount ?? 0),
      hiddenUnits: CASCADE_SHAPE.draftUnits,
      members: 1,
      sequence: null,
    },
    rowsOf(train, more?.train),
    null,
    {
      ...NET_TRAINING,
      seed,
      epochsMax: PROTOCOLS.handbook.epochs,
      onProgress: () => undefined,
    },
  )
  try {
    const identity = { kind: 'identity', slope: 1, intercept: 0 } as const
    return net.logits(rowsOf(assessed, more?.assessed)).map((logit) => scoreOf(logit, identity))
  } finally {
    net.close()
  }
}

/** The score becomes inputs like every feature: centred, with learnt steps and ramps. */
function scalingOf(
  scores: Float64Array,
  { truth }: Pick<Dataset, 'truth'>,
  train: Uint32Array,
): FeatureScaling {
  const order = Array.from(scores.keys()).sort((a, b) => (scores[a] ?? 0) - (scores[b] ?? 0))
  const ascending = Float64Array.from(order, (at) => scores[at] ?? 0)
  const frauds = new Uint32Array(order.length + 1)
  for (const [rank, at] of order.entries()) {
    frauds[rank + 1] = (frauds[rank] ?? 0) + (truth[train[at] ?? 0] ?? 0)
  }
  const { mean, deviation } = spreadOf(Array.from(ascending))
  return {
    feature: 'isolation',
    transform: 'none',
    center: mean,
    scale: deviation,
    clip: 8,
    absentValue: null,
    absentInput: false,
    byCode: null,
    steps: fitSteps(ascending, frauds).steps,
    ramps: fitRamps(ascending),
  }
}
