// Goal: scores belong to the model, whatever the backend and the batch. Method: the released model on the backends
// that always load, against golden vectors, against each other and against the net written out as sums.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import fc from 'fast-check'
import { FEATURE_COUNT } from '../../../../services/core/features/catalogue/feature-list.ts'
import { checkGolden } from '../../../../services/core/scoring/golden.ts'
import { checkManifest } from '../../../../services/core/scoring/manifest.ts'
import { compileScaling } from '../../../../services/core/scoring/scaling.ts'
import {
  BACKENDS,
  TENSORFLOW_BACKENDS,
  type Backend,
  type ScoringModel,
} from '../../../../services/core/scoring/scoring-model.ts'
import { openBackend } from '../../../../services/platform/tensorflow/load-tensorflow.ts'
import { openScoringModel } from '../../../../services/platform/tensorflow/scoring-model.ts'
import { RELEASED_MODEL } from './model-copies.ts'

/** `wasm` and `cpu` always load; the others are tested where they are installed. */
const LOADING: Backend[] = ['compiled']
for (const backend of TENSORFLOW_BACKENDS) {
  const isHere = await openBackend(backend).then(
    () => true,
    () => false,
  )
  if (isHere) LOADING.push(backend)
}

function read(file: string): unknown {
  return JSON.parse(readFileSync(join(RELEASED_MODEL, file), 'utf8'))
}

const manifest = checkManifest(read('manifest.json'))
const golden = checkGolden(read('golden.json'), FEATURE_COUNT, 'golden.json', false)

async function open(t: TestContext, backend: Backend | 'auto'): Promise<ScoringModel> {
  const model = await openScoringModel({ folder: RELEASED_MODEL, backend })
  t.after(() => {
    model.close()
  })
  return model
}

async function score(model: ScoringModel, rows: Float64Array): Promise<Float64Array> {
  return model.score(rows, rows.length / FEATURE_COUNT)
}

/** The net written out as sums of doubles. */
function plainScore(row: Float64Array): number {
  const scaling = compileScaling(manifest.scaling)
  const inputs = new Float32Array(scaling.inputCount)
  if (!scaling.writeRow(row, 0, inputs, 0)) return NaN
  const bytes = readFileSync(join(RELEASED_MODEL, 'weights.bin'))
  let at = 0
  const next = (): number => bytes.readFloatLE(4 * at++)
  let values = [...inputs]
  for (const width of [...manifest.training.hiddenUnits, 1]) {
    const sums = Array.from({ length: width }, () => 0)
    for (const value of values) {
      for (let unit = 0; unit < width; unit += 1) sums[unit] = (sums[unit] ?? 0) + value * next()
    }
    values = sums.map((sum) => sum + next())
    if (width !== 1) values = values.map((value) => Math.max(0, value))
  }
  const { slope, intercept } = manifest.calibration
  return 1 / (1 + Math.exp(-(slope * (values[0] ?? NaN) + intercept)))
}

/** Rows like those of a stream: golden rows with some values replaced by extremes. */
const anyRows = fc
  .array(
    fc.record({
      base: fc.integer({ min: 0, max: golden.rowCount - 1 }),
      feature: fc.integer({ min: 0, max: FEATURE_COUNT - 1 }),
      value: fc.oneof(
        fc.constantFrom(NaN, 0, 1, -1, Infinity, 1e12, 5e-324),
        fc.double({ min: 0, max: 1e4, noNaN: true }),
      ),
    }),
    { minLength: 1, maxLength: 70 },
  )
  .map((picks) => {
    const rows = new Float64Array(picks.length * FEATURE_COUNT)
    for (const [index, { base, feature, value }] of picks.entries()) {
      const row = golden.rows.slice(base * FEATURE_COUNT, (base + 1) * FEATURE_COUNT)
      row[feature] = value
      rows.set(row, index * FEATURE_COUNT)
    }
    return rows
  })

for (const backend of LOADING) {
  test(`${backend}: a row gets the same bits in a batch of any size`, async (t) => {
    const model = await open(t, backend)
    await fc.assert(
      fc.asyncProperty(anyRows, fc.array(fc.integer({ min: 1, max: 40 })), async (rows, sizes) => {
        const whole = await score(model, rows)
        const parts: number[] = []
        for (let start = 0, turn = 0; start < whole.length; turn += 1) {
          const end = Math.min(whole.length, start + (sizes[turn] ?? 1))
          parts.push(
            ...(await score(model, rows.subarray(start * FEATURE_COUNT, end * FEATURE_COUNT))),
          )
          start = end
        }
        assert.deepEqual(Float64Array.from(parts), whole)
      }),
      // A call of WebGPU in software takes a tenth of a second.
      { numRuns: backend === 'webgpu' ? 3 : 60 },
    )
  })

  test(`${backend}: batches larger than one run are scored completely and in order`, async (t) => {
    const model = await open(t, backend)
    const copies = 80
    const rows = new Float64Array(copies * golden.rows.length)
    for (let copy = 0; copy < copies; copy += 1) rows.set(golden.rows, copy * golden.rows.length)
    const scores = await score(model, rows)
    const once = await score(model, golden.rows)
    for (let copy = 0; copy < copies; copy += 1) {
      const part = scores.subarray(copy * golden.rowCount, (copy + 1) * golden.rowCount)
      assert.deepEqual(part, once)
    }
  })

  test(`${backend}: scores equal those of the net written out as sums`, async (t) => {
    const model = await open(t, backend)
    const scores = await score(model, golden.rows)
    for (const [row, found] of scores.entries()) {
      const from = row * FEATURE_COUNT
      const expected = plainScore(golden.rows.subarray(from, from + FEATURE_COUNT))
      const isSame = Number.isNaN(expected)
        ? Number.isNaN(found)
        : Math.abs(found - expected) < 1e-5
      assert.ok(isSame, `row ${row}: ${found}, expected ${expected}`)
    }
  })

  test(`${backend}: closing frees every tensor`, async () => {
    const tf = await import('@tensorflow/tfjs')
    const before = tf.memory().numTensors
    const model = await openScoringModel({ folder: RELEASED_MODEL, backend })
    await score(model, golden.rows)
    // Compiled nets have no tensors.
    if (backend !== 'compiled') assert.ok(tf.memory().numTensors > before)
    model.close()
    assert.equal(tf.memory().numTensors, before)
  })
}

test('a row that cannot be scored is NaN and does not affect its neighbours', async (t) => {
  const model = await open(t, 'wasm')
  const rows = golden.rows.slice(0, 3 * FEATURE_COUNT)
  const scores = await score(model, rows)
  assert.ok(scores.every((value) => value >= 0 && value <= 1))
  rows[FEATURE_COUNT] = Infinity
  assert.deepEqual(await score(model, rows), Float64Array.of(scores[0] ?? 0, NaN, scores[2] ?? 0))
  // Without state all values are absent, and there is still a score: the baseline values are used.
  rows.fill(NaN, FEATURE_COUNT, 2 * FEATURE_COUNT)
  assert.ok((await score(model, rows)).every((value) => value >= 0 && value <= 1))
})

test('no rows give no scores', async (t) => {
  const model = await open(t, 'wasm')
  assert.equal((await score(model, new Float64Array())).length, 0)
})

test('two open models keep to their own backends when used alternately', async (t) => {
  const wasm = await open(t, 'wasm')
  const cpu = await open(t, 'cpu')
  const tf = await import('@tensorflow/tfjs')
  const first = await score(wasm, golden.rows)
  assert.equal(tf.getBackend(), 'wasm')
  await score(cpu, golden.rows)
  assert.equal(tf.getBackend(), 'cpu')
  assert.deepEqual(await score(wasm, golden.rows), first)
  assert.equal(tf.getBackend(), 'wasm')
})

test('the fastest of the working backends is used, and every trial is reported', async (t) => {
  const { info } = await open(t, 'auto')
  assert.deepEqual(
    info.trials.map(({ backend }) => backend),
    [...BACKENDS],
  )
  const measured = info.trials.filter(({ batchMicroseconds }) => batchMicroseconds !== null)
  const times = measured.map(({ batchMicroseconds }) => batchMicroseconds ?? Infinity)
  const used = info.trials.find(({ result }) => result === 'used')
  assert.equal(used?.batchMicroseconds, Math.min(...times))
  assert.equal(used.backend, info.backend)
  for (const { detail } of info.trials) assert.notEqual(detail, '')
})

test('the digest is that of the bytes of the manifest, and thresholds are the manifest’s', async (t) => {
  const { info } = await open(t, 'wasm')
  const bytes = readFileSync(join(RELEASED_MODEL, 'manifest.json'))
  assert.equal(info.digest, createHash('sha256').update(bytes).digest('hex'))
  assert.equal(info.flagThreshold, manifest.thresholds.flag)
  assert.equal(info.blockThreshold, manifest.thresholds.block)
  assert.deepEqual(info.baseline, manifest.baseline)
})

test('opening a model prints nothing and leaves no handlers on the process', () => {
  const module = new URL(
    '../../../../services/platform/tensorflow/scoring-model.ts',
    import.meta.url,
  )
  const program = `
    const { openScoringModel } = await import(${JSON.stringify(pathToFileURL(module.pathname).href)})
    const before = ['uncaughtException', 'unhandledRejection'].map((name) => process.listenerCount(name))
    for (const backend of ['wasm', 'cpu']) {
      const model = await openScoringModel({ folder: ${JSON.stringify(RELEASED_MODEL)}, backend })
      model.close()
    }
    const after = ['uncaughtException', 'unhandledRejection'].map((name) => process.listenerCount(name))
    if (String(before) !== String(after)) throw new Error('handlers: ' + before + ' became ' + after)`
  const run = spawnSync(process.execPath, ['--input-type=module', '--eval', program], {
    encoding: 'utf8',
  })
  assert.deepEqual([run.stdout, run.stderr, run.status], ['', '', 0])
})
