// Goal: `sluice bench backends` keeps working and reports correct results. Method: small nets on the backends that
// always load; a net whose scores depend on the batch, and one that cannot be opened. No time is asserted.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  runBackendsBench,
  backendsLines,
  backendsProblems,
  cascadeCosts,
  cascadeOf,
} from '../../tools/bench/backends-bench.ts'
import { denseNet, modelNet, secondStageNet, type BenchNet } from '../../tools/bench/bench-nets.ts'
import { SluiceError } from '../../services/core/errors.ts'

const OPTIONS = {
  measureMs: 5,
  batches: [1, 64],
  backends: ['wasm', 'cpu'],
  coreHourPrice: 0.05,
} as const
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

test('both nets of a cascade are measured, and their joint cost is reported', async () => {
  const parts = await cascadeOf('models/simulator')
  assert.ok(parts !== null)
  const nets = [
    modelNet('models/simulator', 64, parts.firstStage),
    secondStageNet('models/simulator', 64, parts.secondStage),
  ]
  const result = await runBackendsBench(
    nets,
    { ...OPTIONS, backends: ['wasm'], cascades: [parts] },
    quiet,
  )
  assert.deepEqual(backendsProblems(result), [])
  const [cost] = result.cascades
  assert.equal(cost?.batchRows, 64)
  assert.ok(cost.cascade.cpuMicrosecondsPerRow >= cost.firstStage.cpuMicrosecondsPerRow)
  assert.ok(
    backendsLines(result).some((line) => line.startsWith('wasm, models/simulator, batches')),
  )
})

test('the price of a million decisions is processor time: the first stage for all, the second stage for its share', () => {
  const call = { calls: 3, p50Ms: 1, p99Ms: 2 }
  const net = { detail: '', tooSlow: [], isOnGpu: false, hasSameBits: true }
  const calls = (rowsPerSecond: number, cpuMicrosecondsPerRow: number) =>
    [1, 256, 2_048].map((rows) => ({
      ...call,
      rows,
      rowsPerSecond: rows === 256 ? rowsPerSecond : 1,
      cpuMicrosecondsPerRow: rows === 256 ? cpuMicrosecondsPerRow : 1,
    }))
  const nets = [
    { ...net, net: 'a, first stage', calls: calls(100_000, 9) },
    { ...net, net: 'a, second stage', calls: calls(2_000, 360) },
  ]
  const parts = {
    folder: 'a',
    firstStage: 'a, first stage',
    secondStage: 'a, second stage',
    secondStageShare: 0.025,
  }
  const [cost, ...others] = cascadeCosts([{ backend: 'wasm', nets }], [parts], 0.1)
  assert.deepEqual(others, [])
  // 9 us for each of a million are 9 s of a core, 0.0025 hours; the second stage takes 360 s.
  assert.equal(cost?.firstStage.pricePerMillion.toFixed(9), '0.000250000')
  assert.equal(cost.secondStage.pricePerMillion.toFixed(9), '0.010000000')
  assert.equal(cost.cascade.pricePerMillion.toFixed(9), '0.000500000')
  // 10 us of waiting for the first stage and 0.025 x 500 us for the second.
  assert.equal(Math.round(cost.cascade.rowsPerSecond), Math.round(1e6 / 22.5))
  assert.deepEqual(cascadeCosts([{ backend: 'cpu', nets: [] }], [parts], 0.1), [])
})

test('a net whose scores depend on the batch is a problem, and one that cannot be opened is reported', async () => {
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
