// Goal: `sluice bench backends` keeps running and keeps telling the truth. Method: small nets on the backends that
// always load; a net whose scores depend on the batch, and one that cannot be opened. No time is asserted.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runBackendsBench } from '../../services/cli/bench/backends-bench.ts'
import { backendsLines, backendsProblems } from '../../services/cli/bench/backends-report.ts'
import { denseNet, modelNet, type BenchNet } from '../../services/cli/bench/bench-nets.ts'
import { SluiceError } from '../../services/core/errors.ts'

const OPTIONS = { measureMs: 5, batches: [1, 64], backends: ['wasm', 'cpu'] } as const
const quiet = (): void => undefined

test('models and nets are measured on each backend, with the same bits in every batch', async () => {
  const nets = [modelNet('models/simulator', 64), denseNet([8, 16, 1], 64)]
  const result = await runBackendsBench(nets, OPTIONS, quiet)
  assert.deepEqual(
    result.backends.map(({ backend }) => backend),
    ['wasm', 'cpu'],
  )
  for (const { nets: figures } of result.backends) {
    assert.equal(figures.length, nets.length)
    for (const { calls, hasSameBits, isOnGpu } of figures) {
      assert.deepEqual(
        calls?.map(({ rows }) => rows),
        [1, 64],
      )
      assert.ok(
        calls.every(({ p50Ms, p99Ms, rowsPerSecond }) => p99Ms >= p50Ms && rowsPerSecond > 0),
      )
      assert.equal(hasSameBits, true)
      assert.equal(isOnGpu, false)
    }
  }
  assert.deepEqual(backendsProblems(result), [])
  assert.equal(backendsLines(result).filter((line) => line.startsWith('wasm, ')).length, 2)
})

test('a net whose scores depend on the batch is a problem, and one that cannot be opened is told', async () => {
  const opened = { detail: 'made up', isOnGpu: false, close: quiet }
  const uneven: BenchNet = {
    name: 'uneven',
    open: () =>
      Promise.resolve({
        ...opened,
        run: (_, count) => new Float32Array(count).fill(count),
      }),
  }
  const absent: BenchNet = {
    name: 'absent',
    open: () => Promise.reject(new SluiceError('SLUICE_BACKEND_UNAVAILABLE', 'no such device')),
  }
  const result = await runBackendsBench([uneven, absent], { ...OPTIONS, backends: ['cpu'] }, quiet)
  assert.deepEqual(backendsProblems(result), [
    'backends: cpu scores a row of uneven differently by size of batch.',
  ])
  assert.ok(backendsLines(result).includes('cpu, absent: no such device'))
})
