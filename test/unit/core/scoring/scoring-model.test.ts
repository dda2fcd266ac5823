import { deepStrictEqual, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  EXPECTATIONS,
  isFallback,
  refusedBackends,
  type Backend,
  type BackendTrial,
  threadFor,
} from '../../../../services/core/scoring/scoring-model.ts'

function trialOf(fields: Partial<BackendTrial>): BackendTrial {
  return {
    backend: 'wasm',
    result: 'used',
    refusal: null,
    detail: '',
    batchMicroseconds: 1,
    goldenErrorMax: 0,
    hasSameBits: true,
    ...fields,
  }
}

const ABSENT = trialOf({ backend: 'tensorflow', result: 'unavailable' })
const REFUSED = trialOf({ backend: 'tensorflow', result: 'wrong', refusal: 'golden_mismatch' })

test('a backend other than the expected one is a fallback, and only then', () => {
  const judged = (backend: Backend, isOnGpu: boolean) =>
    EXPECTATIONS.filter((expected) => isFallback(expected, { backend, isOnGpu, trials: [] }))
  const gpus = ['gpu', 'tensorflow-gpu']
  deepStrictEqual(judged('compiled', false), [...gpus, 'tensorflow', 'webgpu', 'wasm', 'cpu'])
  deepStrictEqual(judged('wasm', false), [...gpus, 'compiled', 'tensorflow', 'webgpu', 'cpu'])
  deepStrictEqual(judged('tensorflow', false), [...gpus, 'compiled', 'webgpu', 'wasm', 'cpu'])
  deepStrictEqual(judged('tensorflow', true), ['compiled', 'webgpu', 'wasm', 'cpu'])
  deepStrictEqual(judged('webgpu', true), [
    'tensorflow-gpu',
    'compiled',
    'tensorflow',
    'wasm',
    'cpu',
  ])
})

test('WebGPU on a software adapter does not count as a GPU', () => {
  const software = { backend: 'webgpu', isOnGpu: false, trials: [] } as const
  strictEqual(isFallback('webgpu', software), false)
  strictEqual(isFallback('gpu', software), true)
})

test('a refused backend is a fallback whatever is expected; an absent one is not', () => {
  const info = { backend: 'wasm', isOnGpu: false } as const
  for (const expected of ['none', 'auto', 'wasm'] as const) {
    strictEqual(isFallback(expected, { ...info, trials: [ABSENT, trialOf({})] }), false)
    strictEqual(isFallback(expected, { ...info, trials: [REFUSED, trialOf({})] }), true)
  }
})

test('refused backends are reported with their reason', () => {
  deepStrictEqual(refusedBackends([ABSENT, trialOf({})]), [])
  deepStrictEqual(refusedBackends([REFUSED, trialOf({})]), [
    { backend: 'tensorflow', reason: 'golden_mismatch' },
  ])
})

function infoOf(backend: Backend, batchMicroseconds: number | null) {
  const seen = { refusal: null, detail: '', goldenErrorMax: 0, hasSameBits: true }
  const other: BackendTrial = {
    ...{ backend: 'cpu', result: 'usable', batchMicroseconds: 9_000, ...seen },
  }
  return {
    backend,
    trials: [other, { backend, result: 'used', batchMicroseconds, ...seen }],
  } as const
}

test('only a model that takes long on the working batch gets a thread of its own', () => {
  strictEqual(threadFor(infoOf('wasm', 300)), 'main')
  strictEqual(threadFor(infoOf('wasm', 4_000)), 'main')
  strictEqual(threadFor(infoOf('wasm', 4_001)), 'worker')
  strictEqual(threadFor(infoOf('tensorflow', 7_000)), 'worker')
  strictEqual(threadFor(infoOf('wasm', null)), 'main')
})

test('WebGPU stays on the main thread, which only waits for it', () => {
  strictEqual(threadFor(infoOf('webgpu', 50_000)), 'main')
})
