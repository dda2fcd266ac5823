// Goal: a changed model is never used. Method: copies of the released model with one change each.

import assert from 'node:assert/strict'
import { appendFileSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSluiceError, type ErrorCode } from '../../../../services/core/errors.ts'
import { FEATURE_LIST_HASH } from '../../../../services/core/features/catalogue/feature-list.ts'
import { openBackend } from '../../../../services/platform/tensorflow/load-tensorflow.ts'
import { openScoringModel } from '../../../../services/platform/tensorflow/scoring-model.ts'
import { copyModel, editManifest, RELEASED_MODEL, replaceSigned } from './model-copies.ts'

async function refused(
  folder: string,
  code: ErrorCode,
  said: RegExp,
  backend: 'auto' | 'wasm' | 'cpu' | 'tensorflow' = 'wasm',
): Promise<void> {
  await assert.rejects(openScoringModel({ folder, backend }), (error) => {
    assert.ok(isSluiceError(error, code), String(error))
    assert.match(error.message, said)
    return true
  })
}

test('a model trained on other features is refused, naming both lists', async (t) => {
  const folder = copyModel(t)
  const other = 'ab'.repeat(32)
  editManifest(folder, (manifest) => {
    manifest['featureListHash'] = other
  })
  await refused(folder, 'SLUICE_MODEL_INCOMPATIBLE', new RegExp(`${other}.*${FEATURE_LIST_HASH}`))
})

test('a model trained in another reference currency is refused, naming both', async () => {
  await assert.rejects(
    openScoringModel({ folder: RELEASED_MODEL, backend: 'wasm', referenceCurrency: 'KRW' }),
    (error) =>
      isSluiceError(error, 'SLUICE_MODEL_INCOMPATIBLE') && /in EUR.*to KRW/.test(error.message),
  )
})

for (const file of ['model.json', 'weights.bin', 'golden.json']) {
  test(`${file}: a changed byte, a missing end, additional bytes, or no file is refused by name`, async (t) => {
    const folder = copyModel(t)
    const path = join(folder, file)
    const bytes = readFileSync(path)
    const changed = Buffer.from(bytes)
    changed[bytes.length >> 1] = (changed[bytes.length >> 1] ?? 0) ^ 1
    writeFileSync(path, changed)
    await refused(folder, 'SLUICE_MODEL_CORRUPT', new RegExp(file))
    writeFileSync(path, bytes)
    truncateSync(path, bytes.length - 1)
    await refused(folder, 'SLUICE_MODEL_CORRUPT', new RegExp(file))
    writeFileSync(path, bytes)
    appendFileSync(path, ' ')
    await refused(folder, 'SLUICE_MODEL_CORRUPT', new RegExp(file))
    rmSync(path)
    await refused(folder, 'SLUICE_MODEL_CORRUPT', new RegExp(`${file}.*ENOENT`))
  })
}

test('a folder without a manifest, or with one that is not JSON, is refused with a remedy', async (t) => {
  const folder = copyModel(t)
  writeFileSync(join(folder, 'manifest.json'), '{')
  await refused(folder, 'SLUICE_MODEL_CORRUPT', /manifest\.json is not JSON.*sluice train/)
  rmSync(join(folder, 'manifest.json'))
  await refused(folder, 'SLUICE_MODEL_CORRUPT', /manifest\.json cannot be read \(ENOENT\)/)
})

test('a backend that does not reproduce the golden vectors is not used', async (t) => {
  const folder = copyModel(t)
  const golden = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as {
    vectors: { score: number | null }[]
  }
  const [first] = golden.vectors
  assert.ok(first?.score !== undefined && first.score !== null)
  first.score += 2e-5
  replaceSigned(folder, 'golden.json', JSON.stringify(golden))
  await refused(folder, 'SLUICE_BACKEND_UNAVAILABLE', /golden scores differ by 2\.0e-5/)
  await refused(folder, 'SLUICE_BACKEND_UNAVAILABLE', /No scoring backend works/, 'auto')
})

test('a net of another shape or with other layers is refused', async (t) => {
  const folder = copyModel(t)
  const model = readFileSync(join(folder, 'model.json'), 'utf8')
  replaceSigned(folder, 'model.json', model.replace('"activation": "relu"', '"activation": "tanh"'))
  await refused(folder, 'SLUICE_MODEL_CORRUPT', /tanh.*only Dense/)
  replaceSigned(folder, 'model.json', '{}')
  await refused(folder, 'SLUICE_MODEL_CORRUPT', /lacks modelTopology/)
  replaceSigned(folder, 'model.json', model)
  editManifest(folder, (manifest) => {
    const scaling = manifest['scaling'] as { absentValue: number | null; absentInput: boolean }[]
    const told = scaling.find(({ absentInput }) => absentInput)
    assert.ok(told !== undefined)
    told.absentInput = false
  })
  await refused(folder, 'SLUICE_MODEL_CORRUPT', /inputs/)
})

test('a requested backend that is absent is an error with the reason', async (t) => {
  const isInstalled = await openBackend('tensorflow').then(
    () => true,
    () => false,
  )
  if (isInstalled) {
    t.skip('native TensorFlow is installed here')
    return
  }
  await refused(
    RELEASED_MODEL,
    'SLUICE_BACKEND_UNAVAILABLE',
    /"tensorflow" cannot be used .*tfjs-node-gpu is not installed.*"auto"/,
    'tensorflow',
  )
})
