// Goal: why a present backend is not used is told, and an absent one is no refusal (P7).

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import type { BackendTrial } from '../../../../services/core/scoring/scoring-model.ts'
import { openScoringModel } from '../../../../services/platform/tensorflow/scoring-model.ts'
import { copyModel, RELEASED_MODEL, replaceSigned } from './model-copies.ts'

const ROOT = join(import.meta.dirname, '../../../..')

/** Trials of opening the released model in a process where the native package is this module. */
function trialsWithNative(source: string): readonly BackendTrial[] {
  const hooks = `
    const native = ${JSON.stringify(`data:text/javascript,${encodeURIComponent(source)}`)}
    export function resolve(specifier, context, next) {
      // Also where it was installed into a folder of its own.
      return /(^@tensorflow|node_modules.@tensorflow).tfjs-node(\\/dist\\/index\\.js)?$/.test(specifier)
        ? { url: native, format: 'module', shortCircuit: true }
        : next(specifier, context)
    }`
  const program = `
    import { register } from 'node:module'
    register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)})
    const { openScoringModel } = await import('./services/platform/tensorflow/scoring-model.ts')
    const folder = ${JSON.stringify(RELEASED_MODEL)}
    const model = await openScoringModel({ folder, backend: 'auto' })
    process.stdout.write(JSON.stringify(model.info.trials))
    model.close()`
  const run = spawnSync(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '--eval', program],
    { encoding: 'utf8', cwd: ROOT },
  )
  assert.equal(run.stderr, '')
  return JSON.parse(run.stdout) as readonly BackendTrial[]
}

test('a native package that is installed and does not load is refused, and another backend scores', () => {
  const [native, ...others] = trialsWithNative("throw new Error('libtensorflow.so.2: not found')")
  assert.equal(native?.result, 'unavailable')
  assert.equal(native.refusal, 'load_failed')
  assert.match(native.detail, /tfjs-node does not load \(libtensorflow\.so\.2: not found\)/)
  assert.ok(others.some(({ result }) => result === 'used'))
})

test('a native package that does not start, or computes nonsense, is refused for that', () => {
  const starting = (isStarted: string) => `export const setBackend = async () => ${isStarted}`
  assert.equal(trialsWithNative(starting('false'))[0]?.refusal, 'start_failed')
  assert.equal(
    trialsWithNative(starting('{ throw new Error("no device") }'))[0]?.refusal,
    'start_failed',
  )
  const wrong = `
    export const setBackend = async () => true
    export const backend = () => ({})
    export const tidy = () => ({ data: async () => [0.25], dispose() {} })`
  assert.equal(trialsWithNative(wrong)[0]?.refusal, 'wrong_result')
})

test('a native package that is not installed is no refusal', async (t) => {
  const model = await openScoringModel({ folder: RELEASED_MODEL, backend: 'auto' })
  model.close()
  const [native] = model.info.trials
  if (native?.result !== 'unavailable') {
    t.skip('native TensorFlow is installed here')
    return
  }
  assert.equal(native.refusal, null)
  assert.equal(model.info.isOnGpu, false)
})

test('a backend that misses the golden vectors is refused for that', async (t) => {
  const folder = copyModel(t)
  const golden = JSON.parse(readFileSync(join(folder, 'golden.json'), 'utf8')) as {
    vectors: { score: number | null }[]
  }
  const [first] = golden.vectors
  assert.ok(first?.score !== undefined && first.score !== null)
  first.score += 2e-5
  replaceSigned(folder, 'golden.json', JSON.stringify(golden))
  await assert.rejects(openScoringModel({ folder, backend: 'wasm' }), (error) => {
    assert.ok(isSluiceError(error, 'SLUICE_BACKEND_UNAVAILABLE'), String(error))
    const [trial] = error.details['trials'] as readonly BackendTrial[]
    assert.equal(trial?.refusal, 'golden_mismatch')
    return true
  })
})
