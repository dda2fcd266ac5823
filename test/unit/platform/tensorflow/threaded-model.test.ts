// Goal: a separate thread changes where a model is scored, and nothing else. Method: the released model on the main
// thread and in a real thread, compared bit for bit; and threads that cannot score.

import assert from 'node:assert/strict'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { FEATURE_COUNT } from '../../../../services/core/features/catalogue/feature-list.ts'
import type { Backend } from '../../../../services/core/scoring/scoring-model.ts'
import { openBackend } from '../../../../services/platform/tensorflow/load-tensorflow.ts'
import { openScoringModel } from '../../../../services/platform/tensorflow/scoring-model.ts'
import { openThreadedScorer } from '../../../../services/platform/tensorflow/threaded-model.ts'
import { copyModel, RELEASED_MODEL } from './model-copies.ts'

const backends: Backend[] = ['wasm', 'cpu']
const hasNative = await openBackend('tensorflow').then(
  () => true,
  () => false,
)
if (hasNative) backends.unshift('tensorflow')

function someRows(count: number, baseline: readonly number[]): Float64Array {
  const rows = new Float64Array(count * FEATURE_COUNT)
  for (let row = 0; row < count; row += 1) rows.set(baseline, row * FEATURE_COUNT)
  for (let at = 0; at < rows.length; at += 7) rows[at] = (rows[at] ?? 0) + (at % 13)
  rows[3 * FEATURE_COUNT] = Infinity
  return rows
}

for (const backend of backends) {
  test(`${backend}: a thread of its own gives the same bits, also for overlapping calls`, async (t) => {
    const here = await openScoringModel({ folder: RELEASED_MODEL, backend })
    const there = await openScoringModel({ folder: RELEASED_MODEL, backend, thread: 'worker' })
    t.after(() => {
      here.close()
      there.close()
    })
    assert.equal(here.info.thread, 'main')
    assert.deepEqual(there.info, {
      ...here.info,
      thread: 'worker',
      // Each side measures its own.
      trials: there.info.trials,
    })
    const rows = someRows(300, here.info.baseline)
    const parts = [300, 1, 64, 5].map((count) => rows.subarray(0, count * FEATURE_COUNT))
    const found = await Promise.all(
      parts.map(async (part) => there.score(part, part.length / FEATURE_COUNT)),
    )
    for (const [index, part] of parts.entries()) {
      const expected = await here.score(part, part.length / FEATURE_COUNT)
      assert.deepEqual(found[index], expected)
    }
    assert.ok(Number.isNaN(found[0]?.[3]))
    // The rows belong to the caller and are intact.
    assert.equal(rows.length, 300 * FEATURE_COUNT)
  })
}

test('a small model stays on the main thread by default', async (t) => {
  const model = await openScoringModel({
    folder: RELEASED_MODEL,
    backend: 'wasm',
    thread: 'auto',
  })
  t.after(() => {
    model.close()
  })
  assert.equal(model.info.thread, 'main')
})

test('a model that is refused, or differs from the one that was opened, is refused by the thread too', async (t) => {
  const folder = copyModel(t)
  const options = { folder, backend: 'wasm', referenceCurrency: DEFAULT_RATES.reference } as const
  await assert.rejects(openThreadedScorer({ ...options, digest: 'ab'.repeat(32) }), (error) => {
    assert.ok(isSluiceError(error, 'SLUICE_BACKEND_UNAVAILABLE'), String(error))
    assert.match(error.message, /folder changed/)
    return true
  })
  appendFileSync(join(folder, 'weights.bin'), ' ')
  await assert.rejects(
    openThreadedScorer({ ...options, digest: 'ab'.repeat(32) }),
    (error) => isSluiceError(error, 'SLUICE_MODEL_CORRUPT') && /weights\.bin/.test(error.message),
  )
})

test('a thread that ended rejects pending and later calls', async () => {
  const model = await openScoringModel({
    folder: RELEASED_MODEL,
    backend: 'wasm',
    thread: 'worker',
  })
  const rows = someRows(2, model.info.baseline)
  const asked = Promise.resolve(model.score(rows, 2))
  model.close()
  const isRefused = (error: unknown): boolean => isSluiceError(error, 'SLUICE_BACKEND_UNAVAILABLE')
  await assert.rejects(asked, isRefused)
  await assert.rejects(async () => model.score(rows, 2), isRefused)
})
