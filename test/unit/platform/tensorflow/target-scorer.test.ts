// Goal: the target of a cascade scores as the trainer saw it, whatever its backend pads batches to. Method: the released
// model on `wasm`, as it is and told to pad to as many rows as a GPU does, against golden vectors and bit for bit.

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { DEFAULT_RATES } from '../../../../services/core/currency.ts'
import { GOLDEN_TOLERANCE, goldenError } from '../../../../services/core/scoring/golden.ts'
import { openBackend } from '../../../../services/platform/tensorflow/load-tensorflow.ts'
import { readModelFolder } from '../../../../services/platform/tensorflow/model-folder.ts'
import type { OpenBackend } from '../../../../services/platform/tensorflow/open-backend.ts'
import { openTargetScorer } from '../../../../services/platform/tensorflow/target-scorer.ts'
import { RELEASED_MODEL } from './model-copies.ts'

/** What a batch is padded to on a GPU: more rows than a batch of the target ever has. */
const GPU_ROWS = 4_096

const model = await readModelFolder(RELEASED_MODEL, DEFAULT_RATES.digest)
const wasm = await openBackend('wasm')

/** Scores of the target's golden rows. */
async function goldenScores(t: TestContext, backend: OpenBackend): Promise<Float64Array> {
  const scorer = await openTargetScorer(backend, model)
  const golden = model.target?.golden
  assert.ok(scorer !== null && golden !== undefined && golden.sequences !== null)
  t.after(() => {
    scorer.close()
  })
  const { values: sequences, amountsMinor } = golden.sequences
  const scores = await scorer.score({ rows: golden.rows, sequences, amountsMinor }, golden.rowCount)
  assert.ok(goldenError(golden.scores, scores) <= GOLDEN_TOLERANCE)
  return scores
}

test('padding to the rows of a GPU changes no bit of the target', async (t) => {
  const padded = { ...wasm, rowMultiple: GPU_ROWS, runRowsMax: GPU_ROWS }
  assert.deepEqual(await goldenScores(t, padded), await goldenScores(t, wasm))
})
