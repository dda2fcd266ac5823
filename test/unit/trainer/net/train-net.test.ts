import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { openBackend } from '../../../../services/platform/tensorflow/load-tensorflow.ts'
import { randomOf } from '../../../../services/trainer/statistics.ts'
import { NET_TRAINING } from '../../../../services/trainer/net/train-cascade.ts'
import type { NetRows } from '../../../../services/trainer/net/net-passes.ts'
import { trainNet } from '../../../../services/trainer/net/train-net.ts'

test('a net that diverges is an error, never a model with invalid scores, and leaves no tensor', async () => {
  const backend = await openBackend('wasm')
  const next = randomOf(3)
  const inputs = Float32Array.from({ length: 1_024 * 2 }, () => next())
  const rows: NetRows = {
    count: 1_024,
    truth: Uint8Array.from({ length: 1_024 }, (_, row) => row % 2),
    writeInputs: (row, out, position) => {
      out.set(inputs.subarray(2 * row, 2 * row + 2), position)
    },
    writeEvents: null,
  }
  const shape = { inputCount: 2, hiddenUnits: [2], members: 1, sequence: null }
  const options = {
    ...NET_TRAINING,
    seed: 1,
    epochsMax: 2,
    patienceEpochs: 1,
    onProgress: () => undefined,
  }
  const before = backend.tf.memory().numTensors
  const healthy = await trainNet(backend, shape, rows, rows, options)
  assert.ok(healthy.logits(rows).every(Number.isFinite))
  healthy.close()
  assert.equal(backend.tf.memory().numTensors, before)
  for (const count of [1_024, 512]) {
    // With one batch per epoch the loss is still finite; the weights are not.
    await assert.rejects(
      trainNet(backend, shape, { ...rows, count }, rows, { ...options, learningRate: Infinity }),
      (error) =>
        isSluiceError(error, 'SLUICE_TRAINING_DATA_INVALID') && /diverged/.test(error.message),
    )
    assert.equal(backend.tf.memory().numTensors, before)
  }
})
