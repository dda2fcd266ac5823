// Goal: the same history and seed make the same model, and the written folder can be used for scoring. Method: small
// histories of the simulator with much fraud, trained for a few epochs.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { test } from 'node:test'
import { gunzipSync, gzipSync } from 'node:zlib'
import { isSluiceError } from '../../../services/core/errors.ts'
import { GOLDEN_TOLERANCE } from '../../../services/core/scoring/golden.ts'
import { openScoringModel } from '../../../services/platform/tensorflow/scoring-model.ts'
import { OWNED_TERMS } from '../../../services/trainer/index.ts'
import { verifyModelFolder } from '../../../tools/model-documentation/verify-folder.ts'
import { cycloneDxErrors } from '../../support/cyclonedx-schema.ts'
import { folderFor, train } from '../../support/small-training.ts'

function bytesOf(folder: string): ReadonlyMap<string, string> {
  return new Map(
    readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .map((path) => [relative(folder, path), readFileSync(path).toString('hex')]),
  )
}

test('the same history and seed give the same bytes, another seed other weights', async (t) => {
  const folder = folderFor(t)
  await train(join(folder, 'one'))
  await train(join(folder, 'two'))
  await train(join(folder, 'other'), { seeds: [6] })
  const one = bytesOf(join(folder, 'one'))
  assert.deepEqual([...one.keys()].sort(), [
    'DATA_CARD.md',
    'LICENSES/Apache-2.0.md',
    'LICENSES/CC-BY-4.0.md',
    'LICENSES/CDLA-Permissive-2.0.md',
    'MODEL_CARD.md',
    'MOF.yml',
    'SHA256SUMS',
    'TECHNICAL_REPORT.md',
    'bom.json',
    'curves.svg',
    'evaluation/results.json',
    'evaluation/test-rows.csv.gz',
    'golden.json',
    'manifest.json',
    'model.json',
    'target-golden.json',
    'target.bin',
    'target.json',
    'training.json',
    'weights.bin',
  ])
  assert.deepEqual(bytesOf(join(folder, 'two')), one)
  assert.notEqual(bytesOf(join(folder, 'other')).get('weights.bin'), one.get('weights.bin'))
})

test('a trained folder opens on every backend that always loads and reproduces its golden scores', async (t) => {
  const out = join(folderFor(t), 'model')
  const summary = await train(out)
  for (const backend of ['wasm', 'cpu'] as const) {
    const model = await openScoringModel({ folder: out, backend })
    const [trial] = model.info.trials
    assert.ok((trial?.goldenErrorMax ?? Infinity) <= GOLDEN_TOLERANCE)
    assert.equal(model.info.digest, summary.digest)
    assert.equal(model.info.version, summary.version)
    model.close()
  }
})

test('what a run writes is sound, and what was left out of its history is in the folder', async (t) => {
  const out = join(folderFor(t), 'model')
  const summary = await train(out, { unreadable: () => 3 })
  const { checks, isSound } = await verifyModelFolder(out, 'wasm')
  assert.ok(isSound, JSON.stringify(checks))
  // Without the earlier payments the target's scores differ: so the target is what is checked.
  const path = join(out, 'evaluation/test-rows.csv.gz')
  const [header = '', ...lines] = gunzipSync(readFileSync(path)).toString('utf8').split('\n')
  const from = header.split(',').indexOf('earlier_1_amount_minor')
  const blank = lines.map((line) =>
    line
      .split(',')
      .map((cell, at) => (at < from ? cell : ''))
      .join(','),
  )
  writeFileSync(path, gzipSync([header, ...blank].join('\n')))
  const rows = (await verifyModelFolder(out, 'wasm')).checks.find(({ check }) => check === 'rows')
  assert.match(rows?.problems.join('\n') ?? '', /scores differ by up to/)
  const results = readFileSync(join(out, 'evaluation/results.json'), 'utf8')
  assert.deepEqual(
    (JSON.parse(results) as { history: { skipped: unknown } }).history.skipped,
    summary.skipped,
  )
  assert.equal(summary.skipped.unreadable, 3)
  assert.match(readFileSync(join(out, 'DATA_CARD.md'), 'utf8'), /`unreadable` \| 3/)
})

test("a model of someone's data ships no rows, claims no licence for them, and reaches no class", async (t) => {
  const out = join(folderFor(t), 'model')
  const release = { terms: OWNED_TERMS, releasedOn: '2026-01-31', command: 'sluice train --topics' }
  await train(out, { release })
  assert.deepEqual(readdirSync(join(out, 'evaluation')), ['results.json'])
  assert.deepEqual(readdirSync(join(out, 'LICENSES')), ['Apache-2.0.md'])
  assert.match(readFileSync(join(out, 'MOF.yml'), 'utf8'), /class: none/)
  assert.deepEqual(cycloneDxErrors(JSON.parse(readFileSync(join(out, 'bom.json'), 'utf8'))), [])
  const { checks, isSound } = await verifyModelFolder(out, 'wasm')
  assert.ok(isSound, JSON.stringify(checks))
  assert.match(checks.find(({ check }) => check === 'rows')?.said ?? '', /no rows are shipped/)
})

test('an occupied folder is left alone, unless it holds a model and force is given', async (t) => {
  const folder = folderFor(t)
  const out = join(folder, 'model')
  await train(out)
  const before = bytesOf(out)
  const isUsage = (error: unknown): boolean => isSluiceError(error, 'SLUICE_USAGE')
  await assert.rejects(train(out, { seeds: [6] }), isUsage)
  assert.deepEqual(bytesOf(out), before)
  const summary = await train(out, { seeds: [6], force: true })
  assert.notDeepEqual(bytesOf(out), before)
  assert.equal(readdirSync(folder).length, 1, 'nothing else is left')
  assert.ok(summary.bytes > 0)
  const other = join(folder, 'other')
  rmSync(out, { recursive: true })
  writeFileSync(join(folder, 'note.txt'), 'mine')
  await assert.rejects(train(folder, { force: true }), isUsage)
  assert.deepEqual(readdirSync(folder), ['note.txt'])
  assert.ok(!existsSync(other))
})

test('a history that is not sufficient for training writes nothing', async (t) => {
  const folder = folderFor(t)
  await assert.rejects(train(join(folder, 'model'), {}, 1), (error) =>
    isSluiceError(error, 'SLUICE_TRAINING_DATA_INVALID'),
  )
  assert.deepEqual(readdirSync(folder), [])
})

test('training frees every tensor', async (t) => {
  const tf = await import('@tensorflow/tfjs')
  const folder = folderFor(t)
  await train(join(folder, 'first'))
  const before = tf.memory().numTensors
  await train(join(folder, 'second'))
  assert.equal(tf.memory().numTensors, before)
})
