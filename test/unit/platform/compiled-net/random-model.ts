// Models with random shapes, edges and weights, and random rows for them.

import type { LayersModel } from '@tensorflow/tfjs'
import { FEATURES } from '../../../../services/core/features/catalogue/feature-list.ts'
import {
  SEQUENCE_EVENTS,
  SEQUENCE_LENGTH,
  SEQUENCE_WIDTH,
} from '../../../../services/core/features/engine/card-sequence.ts'
import { DAY_MS } from '../../../../services/core/features/catalogue/time.ts'
import { memberLayers } from '../../../../services/core/scoring/manifest.ts'
import { type FeatureScaling, inputCountOf } from '../../../../services/core/scoring/scaling.ts'
import {
  compileSequenceEncoding,
  type SequenceEncoding,
} from '../../../../services/core/scoring/sequence-encoding.ts'
import type { NetFiles } from '../../../../services/platform/tensorflow/dense-net.ts'
import type { ModelFolder } from '../../../../services/platform/tensorflow/model-folder.ts'
import type { TensorFlow } from '../../../../services/platform/tensorflow/open-backend.ts'
import { seededNumbers } from '../../../support/seeded-numbers.ts'

const CODES = [3, 5, 8]
/** One feature holds codes, and others have ramps by them. */
const CODE_FEATURE = 2

export class Random {
  readonly #next: () => number

  constructor(seed: number) {
    this.#next = seededNumbers(seed)
  }

  below(count: number): number {
    return this.#next() % count
  }

  has(share: number): boolean {
    return this.between(0, 1) < share
  }

  between(low: number, high: number): number {
    return low + ((high - low) * this.#next()) / 2 ** 32
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)] as Item
  }

  edges(count: number, low = -3, high = 3): number[] {
    const edges = Array.from({ length: count }, () => this.between(low, high)).sort((a, b) => a - b)
    // Equal edges make a step.
    if (count > 2 && this.has(0.3)) edges[1] = edges[0] ?? 0
    return edges
  }
}

function randomScaling(random: Random): readonly FeatureScaling[] {
  return FEATURES.map(({ name }, index): FeatureScaling => {
    const isCode = index === CODE_FEATURE
    const isAbsent = random.has(0.7)
    const count = 2 + random.below(4)
    return {
      feature: name,
      transform: random.has(0.3) ? 'log1p' : 'none',
      center: random.between(-1, 1),
      scale: random.between(0.5, 2),
      clip: random.between(1, 4),
      absentValue: isAbsent ? random.between(-1, 1) : null,
      absentInput: isAbsent && random.has(0.5),
      steps: [...new Set(random.edges(random.below(4)))],
      ramps: random.has(0.4) ? random.edges(2 + random.below(5)) : [],
      byCode:
        !isCode && random.has(0.05)
          ? {
              feature: FEATURES[CODE_FEATURE]?.name ?? '',
              codes: CODES,
              edges: [...CODES, 0].map(() => random.edges(count)),
            }
          : null,
    }
  })
}

function randomEncoding(random: Random): SequenceEncoding {
  const hasCategories = random.has(0.5)
  const count = 2 + random.below(4)
  return {
    against: random.edges(2 + random.below(5)),
    typical: random.edges(2 + random.below(5)),
    amount: random.edges(2 + random.below(5), 0, 10),
    age: random.edges(2 + random.below(5), 0, 15),
    clock: random.edges(2 + random.below(5), 0, 24),
    categories: hasCategories ? CODES : [],
    amountByCategory: hasCategories
      ? { codes: CODES, edges: [...CODES, 0].map(() => random.edges(count, 0, 10)) }
      : null,
  }
}

async function filesOf(tf: TensorFlow, model: LayersModel): Promise<NetFiles> {
  const saved: NetFiles[] = []
  await model.save(
    tf.io.withSaveHandler(({ modelTopology, weightSpecs = [], weightData }) => {
      const weightsManifest = [{ weights: weightSpecs }]
      saved.push({
        model: { modelTopology, weightsManifest },
        weights: Buffer.from(weightData as ArrayBuffer),
      })
      const modelArtifactsInfo = { dateSaved: new Date(0), modelTopologyType: 'JSON' } as const
      return Promise.resolve({ modelArtifactsInfo })
    }),
  )
  model.dispose()
  const [files] = saved
  if (files === undefined) throw new Error('The model was not saved.')
  return files
}

const UNITS = [1, 5, 16, 20, 40] as const

/** A model like `released`, with other rules, shapes and weights. */
export async function randomModel(
  tf: TensorFlow,
  released: ModelFolder,
  seed: number,
): Promise<ModelFolder> {
  const random = new Random(seed)
  const scaling = randomScaling(random)
  const inputCount = inputCountOf(scaling)
  const dense = (name: string, units: number, isLast: boolean) =>
    tf.layers.dense({
      name,
      units,
      activation: isLast ? 'linear' : 'relu',
      kernelInitializer: tf.initializers.glorotNormal({ seed: random.below(1_000) }),
      biasInitializer: tf.initializers.randomNormal({ stddev: 0.5, seed: random.below(1_000) }),
    })
  const stack = (prefix: string, input: number, units: readonly number[]): LayersModel => {
    const model = tf.sequential()
    for (const [index, count] of [...units, 1].entries()) {
      const layer = dense(`${prefix}_${index}`, count, index === units.length)
      if (index === 0) model.add(tf.layers.inputLayer({ inputShape: [input] }))
      model.add(layer)
    }
    return model
  }
  const draftUnits = Array.from({ length: random.below(3) }, () => random.pick(UNITS))
  const net = await filesOf(tf, stack('draft', inputCount, draftUnits))

  const encoding = randomEncoding(random)
  const { eventInputs } = compileSequenceEncoding(encoding)
  const members = 1 + random.below(3)
  const eventUnits = Array.from({ length: 1 + random.below(2) }, () => random.pick(UNITS))
  const hiddenUnits = Array.from({ length: random.below(3) }, () => random.pick(UNITS))
  const rowInputs = inputCount + 2 * (eventUnits.at(-1) ?? 0)
  const inputs = [tf.input({ shape: [eventInputs] }), tf.input({ shape: [rowInputs] })]
  const outputs = Array.from({ length: members }, (_, index) => {
    let [event, row] = inputs as [(typeof inputs)[0], (typeof inputs)[0]]
    for (const [at, units] of eventUnits.entries()) {
      event = dense(memberLayers.event(index + 1, at), units, false).apply(event) as typeof event
    }
    for (const [at, units] of hiddenUnits.entries()) {
      row = dense(memberLayers.dense(index + 1, at), units, false).apply(row) as typeof row
    }
    row = dense(memberLayers.output(index + 1), 1, true).apply(row) as typeof row
    return [event, row]
  }).flat()
  const targetNet = await filesOf(tf, tf.model({ inputs, outputs }))
  const { manifest, golden, target } = released
  if (manifest.target === null || target === null) throw new Error('The model is no cascade.')
  return {
    ...released,
    manifest: {
      ...manifest,
      scaling,
      target: { ...manifest.target, encoding, members, eventUnits, hiddenUnits },
    },
    net,
    golden: { ...golden },
    target: { ...target, net: targetNet },
  }
}

/** Rows of every kind: on an edge, absent, far away, and occasionally one that no model accepts. */
export function randomRows(
  { manifest }: ModelFolder,
  rowCount: number,
  random: Random,
): Float64Array {
  const rows = new Float64Array(rowCount * FEATURES.length)
  for (let at = 0; at < rows.length; at += 1) {
    const feature = at % FEATURES.length
    const scaling = manifest.scaling[feature]
    if (scaling === undefined) throw new Error('Every feature is scaled.')
    const { steps, ramps, absentValue } = scaling
    const edges = [...steps, ...ramps]
    rows[at] =
      feature === CODE_FEATURE && random.has(0.8)
        ? random.pick([...CODES, 4])
        : absentValue !== null && random.has(0.1)
          ? NaN
          : edges.length > 0 && random.has(0.2)
            ? random.pick(edges)
            : random.has(0.05)
              ? random.pick([-1e9, 1e9, 0])
              : random.between(-4, 4)
    if (random.has(0.000_3)) rows[at] = random.pick([NaN, Infinity, -Infinity])
  }
  return rows
}

/** Earlier payments of cards, from none to as many as a sequence holds. */
export function randomSequences(count: number, random: Random): Float64Array {
  const sequences = new Float64Array(count * SEQUENCE_LENGTH).fill(NaN)
  for (let at = 0; at < count; at += 1) {
    const events = random.below(SEQUENCE_EVENTS + 1)
    for (let event = 0; event < events; event += 1) {
      const from = at * SEQUENCE_LENGTH + event * SEQUENCE_WIDTH
      sequences[from] = random.below(20_000)
      sequences[from + 1] = random.below(4 * DAY_MS)
      sequences[from + 2] = random.below(DAY_MS)
      sequences[from + 3] = random.pick([...CODES, 4, 0])
    }
  }
  return sequences
}
