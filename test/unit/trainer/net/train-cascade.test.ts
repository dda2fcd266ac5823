import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FEATURE_COUNT } from '../../../../services/core/features/catalogue/feature-list.ts'
import {
  SEQUENCE_LENGTH,
  SEQUENCE_WIDTH,
} from '../../../../services/core/features/engine/card-sequence.ts'
import { openBackend } from '../../../../services/platform/tensorflow/load-tensorflow.ts'
import { netBytes } from '../../../../services/trainer/model-folder.ts'
import { randomOf } from '../../../../services/trainer/statistics.ts'
import { trainCascade } from '../../../../services/trainer/net/train-cascade.ts'
import type { RowSource } from '../../../../services/trainer/net/net-passes.ts'

const ROWS = 700
const SHAPE = { draftUnits: [4], targetUnits: [4], eventUnits: [3], members: 2 }
const backend = await openBackend('wasm')

/**
 * A fraud exceeds the earlier payments of the card by far; the features are random, or constant, and do not show it.
 */
function sourceOf(featureOf: (next: () => number) => number): RowSource {
  const next = randomOf(9)
  const truth = Uint8Array.from({ length: ROWS }, (_, row) => (row % 4 === 0 ? 1 : 0))
  const sequences = new Float64Array(ROWS * SEQUENCE_LENGTH).fill(NaN)
  for (let row = 0; row < ROWS; row += 1) {
    for (let payment = 0; payment < 6; payment += 1) {
      const amountMinor = Math.floor(1_000 + 500 * next())
      const ageMs = (2 * payment + 1) * 3_600_000
      const at = row * SEQUENCE_LENGTH + payment * SEQUENCE_WIDTH
      sequences.set([amountMinor, ageMs, 3_600_000, 0], at)
    }
  }
  return {
    rows: Float64Array.from({ length: ROWS * FEATURE_COUNT }, () => featureOf(next)),
    sequences,
    amountsMinor: Float64Array.from(truth, (isFraud) =>
      Math.floor((isFraud === 1 ? 9_000 : 1_000) + 500 * next()),
    ),
    truth,
  }
}

const TRAIN = Uint32Array.from({ length: 550 }, (_, row) => row)
const VALIDATION = Uint32Array.from({ length: 150 }, (_, row) => 550 + row)

const BY_CHANCE = sourceOf((next) => next())

async function train(
  seed: number,
  validation: Uint32Array | null,
  epochsMax = 2,
  source = BY_CHANCE,
  indices = TRAIN,
) {
  const lines: string[] = []
  const cascade = await trainCascade(backend, source, indices, validation, {
    ...{ seed, epochsMax, shape: SHAPE },
    onProgress: (line) => lines.push(line),
  })
  const files = [
    await netBytes(backend.tf, cascade.draft.net.model, 'weights.bin'),
    await netBytes(backend.tf, cascade.target.net.model, 'target.bin'),
  ]
  const epochs = [cascade.draft, cascade.target].map(({ net }) => net.epochs)
  cascade.close()
  return { files, epochs, lines }
}

test('one seed gives the same bytes of both nets, another seed others; every tensor is freed', async () => {
  const before = backend.tf.memory().numTensors
  const one = await train(1, VALIDATION)
  assert.deepEqual((await train(1, VALIDATION)).files, one.files)
  const other = await train(2, VALIDATION)
  for (const [part, { weights }] of one.files.entries()) {
    assert.notDeepEqual(other.files[part]?.weights, weights)
  }
  assert.equal(backend.tf.memory().numTensors, before)
  assert.ok(one.lines.some((line) => line.startsWith('draft, epoch 1')))
  assert.ok(one.lines.some((line) => line.startsWith('target, epoch 1')))
})

test('without validation each net is trained to the last epoch', async () => {
  const { epochs } = await train(1, null, 3)
  for (const of of epochs) {
    assert.deepEqual(
      of.map(({ validationPrecision }) => validationPrecision),
      [null, null, null],
    )
  }
})

test('the target learns what only the earlier payments show, and the draft does not', async () => {
  // Each row 20 times, so that an epoch has many steps.
  const often = Uint32Array.from({ length: 20 * TRAIN.length }, (_, at) => at % TRAIN.length)
  const { epochs } = await train(
    1,
    VALIDATION,
    12,
    sourceOf(() => 1),
    often,
  )
  const [draft = 0, target = 0] = epochs.map((of) =>
    Math.max(...of.map(({ validationPrecision }) => validationPrecision ?? 0)),
  )
  assert.ok(target > 0.9 && draft < 0.5, `${draft} ${target}`)
})
