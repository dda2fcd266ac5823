import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../services/core/errors.ts'
import { openBackend } from '../../../services/platform/tensorflow/load-tensorflow.ts'
import { randomOf } from '../../../services/trainer/shuffle.ts'
import { trainNet } from '../../../services/trainer/train-net.ts'

test('a net that diverges is an error, never a model whose scores are no numbers, and leaves no tensor', async () => {
  const backend = await openBackend('wasm')
  const next = randomOf(3)
  const rows = {
    inputs: Float32Array.from({ length: 1_024 * 2 }, () => next()),
    truth: Uint8Array.from({ length: 1_024 }, (_, row) => row % 2),
  }
  const options = {
    seed: 1,
    hiddenUnits: [2],
    epochsMax: 2,
    patienceEpochs: 1,
    fraudWeight: 1,
    onProgress: () => undefined,
  }
  const healthy = await trainNet(backend, 2, rows, rows, { ...options, learningRate: 1e-3 })
  assert.ok(healthy.logits(rows.inputs).every(Number.isFinite))
  healthy.close()
  const before = backend.tf.memory().numTensors
  await assert.rejects(
    trainNet(backend, 2, rows, rows, { ...options, learningRate: Infinity }),
    (error) =>
      isSluiceError(error, 'SLUICE_TRAINING_DATA_INVALID') && /diverged/.test(error.message),
  )
  assert.equal(backend.tf.memory().numTensors, before)
})
