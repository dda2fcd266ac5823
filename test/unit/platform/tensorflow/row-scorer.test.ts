// Goal: the target of a cascade reproduces the trainer's scores, whatever its backend pads batches to. Method: the
// released model on `wasm`, unchanged and set to pad to as many rows as a GPU does, against golden vectors and bit
// for bit.

import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { SEQUENCE_LENGTH } from '../../../../services/core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../../../services/core/features/catalogue/feature-list.ts'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import { GOLDEN_TOLERANCE, goldenError } from '../../../../services/core/scoring/golden.ts'
import { openBackend } from '../../../../services/platform/tensorflow/load-tensorflow.ts'
import { readModelFolder } from '../../../../services/platform/tensorflow/model-folder.ts'
import type { OpenBackend } from '../../../../services/platform/tensorflow/open-backend.ts'
import { openTargetScorer } from '../../../../services/platform/tensorflow/row-scorer.ts'
import { RELEASED_MODEL } from './model-copies.ts'

/** Padding of a GPU: more rows than a batch of the target ever has. */
const GPU_ROWS = 4_096

const model = await readModelFolder(RELEASED_MODEL, DEFAULT_RATES.reference)
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

test('rows that share their earlier payments get the same bits as with a copy of their own', async (t) => {
  const golden = model.target?.golden
  const read = golden?.sequences ?? null
  assert.ok(golden !== undefined && read !== null)
  // More rows than one run takes, in groups of 1 to 40 that share.
  const rowCount = 1_100
  const sequenceOf = new Uint32Array(rowCount)
  for (let row = 1, left = 0, length = 0; row < rowCount; row += 1, left -= 1) {
    const isNext = left <= 0
    if (isNext) left = length = (length % 40) + 1
    sequenceOf[row] = (sequenceOf[row - 1] ?? 0) + (isNext ? 1 : 0)
  }
  const count = (sequenceOf.at(-1) ?? 0) + 1
  const take = (from: Float64Array, width: number, rows: Iterable<number>): Float64Array =>
    Float64Array.from(
      [...rows].flatMap((row) => {
        const at = (row % golden.rowCount) * width
        return [...from.subarray(at, at + width)]
      }),
    )
  const rows = take(golden.rows, FEATURE_COUNT, Array(rowCount).keys())
  const shared = {
    rows,
    sequences: take(read.values, SEQUENCE_LENGTH, Array(count).keys()),
    amountsMinor: take(read.amountsMinor, 1, Array(count).keys()),
    sequenceOf,
  }
  const own = {
    rows,
    sequences: take(read.values, SEQUENCE_LENGTH, sequenceOf),
    amountsMinor: take(read.amountsMinor, 1, sequenceOf),
  }
  for (const backend of [wasm, { ...wasm, rowMultiple: 64 }]) {
    const scorer = await openTargetScorer(backend, model)
    assert.ok(scorer !== null)
    t.after(() => {
      scorer.close()
    })
    const scores = await scorer.score(own, rowCount)
    assert.ok(new Set(scores).size > 100, 'the scores differ')
    assert.deepEqual(await scorer.score(shared, rowCount), scores)
  }
})
