// Goal: the reason why a present backend is not used is reported, and an absent one is not a refusal (P7).

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import type { BackendTrial } from '../../../../services/core/scoring/scoring-model.ts'
import {
  BackendProblem,
  openBackend,
} from '../../../../services/platform/tensorflow/load-tensorflow.ts'
import { optionalSetFolder } from '../../../../services/platform/tensorflow/open-backend.ts'
import { openScoringModel } from '../../../../services/platform/tensorflow/scoring-model.ts'
import { copyModel, RELEASED_MODEL, replaceSigned } from './model-copies.ts'

const ROOT = join(import.meta.dirname, '../../../..')

/** Trials of opening the released model in a process whose native package is this module; that of the package first. */
function trialsWithNative(source: string, backend = 'auto'): readonly BackendTrial[] {
  const hooks = `
    const native = ${JSON.stringify(`data:text/javascript,${encodeURIComponent(source)}`)}
    // Packages may also be in folders of their own. WebGPU is not the subject of this test, and slow in software.
    export function resolve(specifier, context, next) {
      if (/(^|node_modules.)webgpu(.index.js)?$/.test(specifier)) throw new Error('not in this test')
      return /(^@tensorflow|node_modules.@tensorflow).tfjs-node(.dist.index.js)?$/.test(specifier)
        ? { url: native, format: 'module', shortCircuit: true }
        : next(specifier, context)
    }`
  const trials = trialsWith(hooks, backend)
  return trials.toSorted((a, b) => Number(isNative(b)) - Number(isNative(a)))
}

/** Trials of opening the released model in a process that loads its modules through these hooks. */
function trialsWith(hooks: string, backend: string): readonly BackendTrial[] {
  const program = `
    import { register } from 'node:module'
    register(${JSON.stringify(`data:text/javascript,${encodeURIComponent(hooks)}`)})
    const { openScoringModel } = await import('./services/platform/tensorflow/scoring-model.ts')
    const folder = ${JSON.stringify(RELEASED_MODEL)}
    const model = await openScoringModel({ folder, backend: ${JSON.stringify(backend)} })
    process.stdout.write(JSON.stringify(model.info.trials))
    model.close()`
  const run = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
    cwd: ROOT,
  })
  assert.equal(run.stderr, '')
  return JSON.parse(run.stdout) as readonly BackendTrial[]
}

function isNative({ backend }: BackendTrial): boolean {
  return backend === 'tensorflow'
}

test('a native package that is installed but does not load is refused, and another backend scores', () => {
  const [native, ...others] = trialsWithNative("throw new Error('libtensorflow.so.2: not found')")
  assert.equal(native?.result, 'unavailable')
  assert.equal(native.refusal, 'load_failed')
  assert.match(native.detail, /tfjs-node does not load \(libtensorflow\.so\.2: not found\)/)
  assert.ok(others.some(({ result }) => result === 'used'))
})

test('a native package that does not start, or computes nonsense, is refused with that reason', () => {
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

test('a native package finds the functions that newer versions of Node took away', () => {
  const calling = `
    import util from 'node:util'
    const works = util.isNullOrUndefined(null) && util.isNullOrUndefined(undefined) &&
      !util.isNullOrUndefined(0) && util.isArray([]) && !util.isArray({})
    if (!works) throw new Error('not as before')
    export const setBackend = async () => false`
  assert.equal(trialsWithNative(calling)[0]?.refusal, 'start_failed')
})

test('a package that is not installed is not refused', async (t) => {
  for (const [set, packageName] of [
    ['tensorflow', '@tensorflow/tfjs-node'],
    ['webgpu', 'webgpu'],
  ] as const) {
    if (existsSync(optionalSetFolder(set))) {
      t.diagnostic(`${packageName} is installed here`)
      continue
    }
    await assert.rejects(openBackend(set), (error) => {
      assert.ok(error instanceof BackendProblem)
      assert.equal(error.refusal, null)
      assert.match(error.message, new RegExp(`${packageName} is not installed`))
      return true
    })
  }
})

/** The cpu backend under another name, which adds this much to the last number of one kernel. */
function unevenCpu(kernelName: string, more: number): string {
  const tfjs = new URL(import.meta.resolve('@tensorflow/tfjs')).href
  return `
    import tf from ${JSON.stringify(tfjs)}
    tf.env().set('PROD', true)
    tf.registerBackend('tensorflow', () => tf.engine().registryFactory.cpu.factory())
    tf.copyRegisteredKernels('cpu', 'tensorflow')
    const { kernelFunc } = tf.getKernel('${kernelName}', 'tensorflow')
    tf.unregisterKernel('${kernelName}', 'tensorflow')
    tf.registerKernel({
      kernelName: '${kernelName}',
      backendName: 'tensorflow',
      kernelFunc: (call) => {
        const made = kernelFunc(call)
        const values = call.backend.data.get(made.dataId).values
        values[values.length - 1] += ${more}
        return made
      },
    })
    export const { setBackend, getBackend, backend, env, tidy, tensor1d, tensor2d, concat2d, gather, sigmoid, fused, io,
      loadLayersModel } = tf`
}

test('a backend whose scores depend on the rest of the batch is refused, unless it is requested by name', () => {
  const uneven = unevenCpu('_FusedMatMul', 1e-6)
  const [refused, ...others] = trialsWithNative(uneven)
  assert.equal(refused?.refusal, 'batch_dependent')
  assert.equal(refused.hasSameBits, false)
  assert.match(refused.detail, /depend on the size of the batch/)
  assert.ok(others.every(({ result, hasSameBits }) => result !== 'used' || hasSameBits === true))
  const [forced] = trialsWithNative(uneven, 'tensorflow')
  assert.equal(forced?.result, 'used')
  assert.equal(forced.hasSameBits, false)
})

test('so is one that does so for the target of a cascade only', () => {
  // Only the target computes the mean over a card's payments.
  const [refused] = trialsWithNative(unevenCpu('Mean', 1e-4))
  assert.equal(refused?.refusal, 'batch_dependent')
  assert.equal(refused.hasSameBits, false)
})

test('tables that are wrong by less than the golden vectors show are refused by comparison with TensorFlow', () => {
  const hooks = `
    export async function load(url, context, next) {
      const loaded = await next(url, context)
      if (!url.endsWith('/compiled-net/ladders.ts')) return loaded
      const source = String(loaded.source).replace('1 / (high - low)', '1.00003 / (high - low)')
      return { ...loaded, source }
    }`
  const trials = trialsWith(hooks, 'auto')
  const refused = trials.find(({ backend }) => backend === 'compiled')
  assert.equal(refused?.refusal, 'tensorflow_mismatch')
  assert.match(refused.detail, /TensorFlow scores/)
  assert.ok(trials.some(({ backend, result }) => backend !== 'compiled' && result === 'used'))
})

test('a backend that misses the golden vectors is refused with that reason', async (t) => {
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
