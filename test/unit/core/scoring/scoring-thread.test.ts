import { strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { Backend, BackendTrial } from '../../../../services/core/scoring/scoring-model.ts'
import { threadFor } from '../../../../services/core/scoring/scoring-thread.ts'

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

test('only a model that takes long at the working batch gets a thread of its own', () => {
  strictEqual(threadFor(infoOf('wasm', 300)), 'main')
  strictEqual(threadFor(infoOf('wasm', 4_000)), 'main')
  strictEqual(threadFor(infoOf('wasm', 4_001)), 'worker')
  strictEqual(threadFor(infoOf('tensorflow', 7_000)), 'worker')
  strictEqual(threadFor(infoOf('wasm', null)), 'main')
})

test('WebGPU stays on the main thread, which only waits for it', () => {
  strictEqual(threadFor(infoOf('webgpu', 50_000)), 'main')
})
