// Goal: a run that was killed between any two epochs and continues ends with the same bits as an uninterrupted run.
// Method: the checkpoints that a kill would leave behind replace the run folder; the folder is then tested by itself.

import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { isSluiceError } from '../../../services/core/errors.ts'
import {
  openBackend,
  type OpenBackend,
} from '../../../services/platform/tensorflow/load-tensorflow.ts'
import {
  decodeCheckpoint,
  encodeCheckpoint,
  checkpointStore,
  type CheckpointStore,
} from '../../../services/trainer/net/net-checkpoint.ts'
import type { NetRows } from '../../../services/trainer/net/net-passes.ts'
import { checkRunFolder, openRunFolder } from '../../../services/trainer/run-folder.ts'
import { randomOf } from '../../../services/trainer/statistics.ts'
import { NET_TRAINING } from '../../../services/trainer/net/train-cascade.ts'
import { trainNet } from '../../../services/trainer/net/train-net.ts'

const EPOCHS = 5
const SHAPE = { inputCount: 3, hiddenUnits: [4], members: 2, sequence: null }

class Killed extends Error {}

/** Rows whose second input identifies frauds, with some noise; more than one batch. */
function rowsFrom(seed: number, count: number): NetRows {
  const next = randomOf(seed)
  const inputs = Float32Array.from({ length: count * 3 }, () => next())
  return {
    count,
    truth: Uint8Array.from({ length: count }, (_, row) =>
      (inputs[3 * row + 1] ?? 0) + 0.3 * next() > 1 ? 1 : 0,
    ),
    writeInputs: (row, out, position) => {
      out.set(inputs.subarray(3 * row, 3 * row + 3), position)
    },
    writeEvents: null,
  }
}

const TRAIN = rowsFrom(1, 1_200)
const VALIDATION = rowsFrom(2, 300)

/** Stores bytes, as a file would, and "kills" the process once this many epochs are stored. */
function keeperThat(state: { bytes: Buffer | null }, killAfter: number): CheckpointStore {
  return {
    read: () => Promise.resolve(state.bytes === null ? null : decodeCheckpoint(state.bytes)),
    write: (kept) => {
      state.bytes = encodeCheckpoint(kept)
      return kept.epochs.length === killAfter ? Promise.reject(new Killed()) : Promise.resolve()
    },
  }
}

/** The bits of the resulting weights, and the figures of the epochs. */
async function train(
  backend: OpenBackend,
  validation: NetRows | null,
  checkpoints: CheckpointStore | null,
) {
  const lines: string[] = []
  const net = await trainNet(backend, SHAPE, TRAIN, validation, {
    ...NET_TRAINING,
    ...{ seed: 7, epochsMax: EPOCHS, learningRate: 0.05, checkpoints },
    onProgress: (line) => lines.push(line),
  })
  const weights = net.model
    .getWeights()
    .map((weight) => Buffer.from(weight.dataSync().slice().buffer).toString('hex'))
  const told = net.epochs.map(({ loss, validationPrecision }) => [loss, validationPrecision])
  const { bestEpoch } = net
  net.close()
  return { end: { weights, told, bestEpoch }, lines }
}

for (const name of ['cpu', 'wasm'] as const) {
  test(`killed after any epoch and continued, ${name} ends with the same bits`, async () => {
    const backend = await openBackend(name)
    for (const validation of [VALIDATION, null]) {
      const before = backend.tf.memory().numTensors
      const { end } = await train(backend, validation, null)
      for (let killAfter = 1; killAfter < end.told.length; killAfter += 1) {
        const state = { bytes: null as Buffer | null }
        await assert.rejects(train(backend, validation, keeperThat(state, killAfter)), Killed)
        const rest = await train(backend, validation, keeperThat(state, 0))
        assert.deepEqual(rest.end, end)
        assert.equal(rest.lines.length, end.told.length - killAfter, 'no epoch is trained again')
        // A finished net is used as it is.
        const again = await train(backend, validation, keeperThat(state, 0))
        assert.deepEqual([again.end, again.lines], [end, []])
      }
      assert.equal(backend.tf.memory().numTensors, before)
    }
  })
}

test("control: with the weights alone, and not the optimizer's state, the bits differ", async () => {
  const backend = await openBackend('cpu')
  const { end } = await train(backend, null, null)
  const state = { bytes: null as Buffer | null }
  await assert.rejects(train(backend, null, keeperThat(state, 2)), Killed)
  const kept = decodeCheckpoint(state.bytes ?? Buffer.alloc(0))
  assert.ok(kept?.optimizer)
  const { optimizer } = kept
  for (const change of [
    { moments: optimizer.moments.map((values) => values.map(() => 0)) },
    { powers: [0.9, 0.999] as const },
  ]) {
    state.bytes = encodeCheckpoint({ ...kept, optimizer: { ...optimizer, ...change } })
    assert.notDeepEqual((await train(backend, null, keeperThat(state, 0))).end.weights, end.weights)
  }
})

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-run-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  return join(folder, 'run')
}

const isUsage =
  (said: RegExp) =>
  (error: unknown): boolean =>
    isSluiceError(error, 'SLUICE_USAGE') && said.test(error.message)

test('a run folder is continued with the same facts only, and never lost without --force', async (t) => {
  const folder = folderFor(t)
  const choice = { folder, resume: false, force: false, keep: false }
  await assert.rejects(checkRunFolder({ ...choice, resume: true }), isUsage(/no unfinished run/))
  const run = await openRunFolder(choice, { history: 'a', epochs: 3 })
  const state = { bytes: null as Buffer | null }
  await train(await openBackend('cpu'), null, keeperThat(state, 0))
  const kept = decodeCheckpoint(state.bytes ?? Buffer.alloc(0))
  assert.ok(kept !== null)
  await checkpointStore(run.file('seed-3-draft.net')).write(kept)
  await assert.rejects(checkRunFolder(choice), isUsage(/--resume.*--force/))
  const resume = { ...choice, resume: true }
  await assert.rejects(
    openRunFolder(resume, { history: 'b', epochs: 3 }),
    isUsage(/its history is "a", now it is "b"/),
  )
  const again = await openRunFolder(resume, { history: 'a', epochs: 3 })
  assert.deepEqual(await checkpointStore(again.file('seed-3-draft.net')).read(), kept)
  assert.equal(await checkpointStore(again.file('seed-3-target.net')).read(), null)
  const anew = await openRunFolder({ ...choice, force: true }, { history: 'b', epochs: 3 })
  assert.equal(await checkpointStore(anew.file('seed-3-draft.net')).read(), null)
  await anew.remove()
  await assert.rejects(checkRunFolder(resume), isUsage(/no unfinished run/))
})

test('a damaged file is named, and a folder that holds something else is left alone', async (t) => {
  const folder = folderFor(t)
  const choice = { folder, resume: false, force: true, keep: false }
  const run = await openRunFolder(choice, { history: 'a' })
  const state = { bytes: null as Buffer | null }
  await train(await openBackend('cpu'), null, keeperThat(state, 0))
  const file = join(folder, 'seed-1-draft.net')
  writeFileSync(file, state.bytes ?? '')
  truncateSync(file, readFileSync(file).length - 1)
  await assert.rejects(
    checkpointStore(run.file('seed-1-draft.net')).read(),
    isUsage(/seed-1-draft\.net is damaged/),
  )
  rmSync(join(folder, 'run.json'))
  await assert.rejects(checkRunFolder(choice), isUsage(/not a run folder/))
})
