// Goal: a training makes its choices by the stated rules, and what it learns is useful. Method: small histories of
// the simulator with much fraud. Separate from run-trainer.test.ts, so that both run in parallel.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { totalMinor } from '../../../services/core/scoring/alert-costs.ts'
import { verifyModelFolder } from '../../../tools/model-documentation/verify-folder.ts'
import { folderFor, train } from '../../support/small-training.ts'

test('of several seeds the best on validation is chosen, as if trained alone, and all are reported', async (t) => {
  const folder = folderFor(t)
  const out = join(folder, 'model')
  const summary = await train(out, { seeds: [5, 6, 7] })
  const alone = await Promise.all(
    [5, 6, 7].map((seed) => train(join(folder, String(seed)), { seeds: [seed] })),
  )
  const precisions = alone.map(({ metrics }) => metrics.validation.averagePrecision)
  const best = precisions.indexOf(Math.max(...precisions))
  assert.equal(summary.seed, 5 + best)
  assert.deepEqual(
    summary.bySeed,
    alone.map(({ seed, metrics }) => ({ seed, ...metrics })),
  )
  for (const file of ['weights.bin', 'target.bin', 'manifest.json']) {
    assert.deepEqual(
      readFileSync(join(out, file)),
      readFileSync(join(folder, String(5 + best), file)),
    )
  }
  const card = readFileSync(join(out, 'MODEL_CARD.md'), 'utf8')
  assert.match(card, new RegExp(`3 seeds \\(5, 6, 7\\); seed ${5 + best} was chosen`))
  const { isSound, checks } = await verifyModelFolder(out, 'wasm')
  assert.ok(isSound, JSON.stringify(checks))
})

test('thresholds by cost cost no more on validation than those by precision, and the card says the costs', async (t) => {
  const folder = folderFor(t)
  const costs = {
    alertMinor: 300,
    wrongBlockFixedMinor: 1_500,
    wrongBlockShare: 1,
    flagSavesShare: 0.25,
  }
  const epochsMax = 8
  const byCost = await train(join(folder, 'cost'), {
    epochsMax,
    thresholds: { rule: 'cost', costs },
  })
  const byPrecision = await train(join(folder, 'precision'), {
    epochsMax,
    thresholds: { rule: 'precision', costs },
  })
  assert.ok(totalMinor(byCost.costs.validation) <= totalMinor(byPrecision.costs.validation))
  assert.match(byCost.thresholds.rule, /an alert costs 3\.00, a wrong block 15\.00 and 100 %/)
  assert.match(byPrecision.thresholds.rule, /precision >= 0\.5/)
  const manifest = JSON.parse(readFileSync(join(folder, 'cost', 'manifest.json'), 'utf8')) as {
    costs: unknown
  }
  assert.deepEqual(manifest.costs, byCost.costs)
  const card = readFileSync(join(folder, 'cost', 'MODEL_CARD.md'), 'utf8')
  const { avoidedMinor } = byCost.costs.test
  assert.ok(card.includes(`${(avoidedMinor / 100).toFixed(2)} |`), card)
})

test('even a small net ranks frauds far above chance at a later time', async (t) => {
  const { metrics, periods } = await train(join(folderFor(t), 'model'), { epochsMax: 25 })
  const fraudShare = periods.test.frauds / periods.test.transactions
  assert.ok(metrics.test.aucRoc > 0.75, `${metrics.test.aucRoc}`)
  assert.ok(metrics.test.averagePrecision > 3 * fraudShare, `${metrics.test.averagePrecision}`)
})
