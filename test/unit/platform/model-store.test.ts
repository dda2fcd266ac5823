import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSluiceError, type ErrorCode } from '../../../services/core/errors.ts'
import {
  addModel,
  findModel,
  listModels,
  storedFolder,
} from '../../../services/platform/model-store.ts'
import { digestOfFolder, temporaryFolder, variantOf } from '../../support/model-variants.ts'

const THRESHOLDS = { flag: 0.2, block: 0.7 }

function isCode(code: ErrorCode) {
  return (error: unknown): boolean => isSluiceError(error, code)
}

test('a model is kept by its digest with all its papers, and found again', async (t) => {
  const store = join(temporaryFolder(t, 'store'), 'models')
  const { folder, digest } = variantOf(t, 'one', THRESHOLDS)
  mkdirSync(join(folder, 'LICENSES'), { recursive: true })
  writeFileSync(join(folder, 'LICENSES', 'data.txt'), 'free')
  const added = await addModel(store, folder)
  deepStrictEqual([added.digest, added.isNew], [digest, true])
  ok(existsSync(join(storedFolder(store, digest), 'LICENSES', 'data.txt')))
  strictEqual((await findModel(store, digest)).manifest.version, 'one')
  strictEqual((await addModel(store, folder)).isNew, false)
  // No incomplete folder is left.
  deepStrictEqual(readdirSync(store), [digest])
})

test('links are not followed into the store', async (t) => {
  const store = temporaryFolder(t, 'store')
  const { folder, digest } = variantOf(t, 'linked', THRESHOLDS)
  symlinkSync('/etc', join(folder, 'elsewhere'))
  await addModel(store, folder)
  strictEqual(existsSync(join(storedFolder(store, digest), 'elsewhere')), false)
})

test('a damaged folder is not added, and one that was damaged in the store is replaced', async (t) => {
  const store = temporaryFolder(t, 'store')
  const { folder, digest } = variantOf(t, 'two', THRESHOLDS)
  await addModel(store, folder)
  truncateSync(join(storedFolder(store, digest), 'weights.bin'), 10)
  await rejects(findModel(store, digest), isCode('SLUICE_MODEL_CORRUPT'))
  const [listed] = await listModels(store)
  ok(listed?.isWhole === false && listed.problem.includes('weights.bin'))
  strictEqual((await addModel(store, folder)).isNew, true)
  strictEqual((await findModel(store, digest)).digest, digest)

  truncateSync(join(folder, 'golden.json'), 10)
  await rejects(addModel(store, folder), isCode('SLUICE_MODEL_CORRUPT'))
})

test('a folder under the name of another model is refused, and what is not there is not found', async (t) => {
  const store = temporaryFolder(t, 'store')
  const [one, two] = [variantOf(t, 'one', THRESHOLDS), variantOf(t, 'two', THRESHOLDS)]
  await addModel(store, one.folder)
  const manifest = join(storedFolder(store, one.digest), 'manifest.json')
  writeFileSync(manifest, JSON.stringify({}))
  await rejects(findModel(store, one.digest), isCode('SLUICE_MODEL_CORRUPT'))
  await rejects(findModel(store, two.digest), isCode('SLUICE_MODEL_NOT_FOUND'))
  await rejects(findModel(store, '../etc'), isCode('SLUICE_MODEL_NOT_FOUND'))
  deepStrictEqual(await listModels(join(store, 'nowhere')), [])
  ok(digestOfFolder(two.folder) === two.digest)
})
