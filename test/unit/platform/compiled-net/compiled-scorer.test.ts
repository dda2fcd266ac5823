// Goal: compiled nets give the scores of TensorFlow for every model and row, and a row gets the same bits in any batch (P3).
// Method: random models of all shapes that TensorFlow scores too; a control with one weight changed.

import { deepStrictEqual, match, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import { FEATURE_COUNT } from '../../../../services/core/features/catalogue/feature-list.ts'
import { SEQUENCE_LENGTH } from '../../../../services/core/features/engine/card-sequence.ts'
import { differsFromTensorFlow } from '../../../../services/platform/compiled-net/compare-scores.ts'
import { openCompiledScorer } from '../../../../services/platform/compiled-net/compiled-scorer.ts'
import { openBackend } from '../../../../services/platform/tensorflow/load-tensorflow.ts'
import {
  type ModelFolder,
  readModelFolder,
} from '../../../../services/platform/tensorflow/model-folder.ts'
import { BackendProblem } from '../../../../services/platform/tensorflow/open-backend.ts'
import {
  openRowScorer,
  type RowScorer,
} from '../../../../services/platform/tensorflow/row-scorer.ts'
import { RELEASED_MODEL } from '../tensorflow/model-copies.ts'
import { Random, randomModel, randomRows, randomSequences } from './random-model.ts'

const MODELS = process.env['SLUICE_FULL'] === '1' ? 200 : 20
/** More rows than are copied to the kernel at a time. */
const ROWS = 300
/** Random weights are larger than trained ones, so that sums of 32 bits differ by more. */
const TOLERANCE = 5e-6

const wasm = await openBackend('wasm')
const released = await readModelFolder(RELEASED_MODEL, DEFAULT_RATES.reference)

interface Input {
  readonly rows: Float64Array
  readonly sequences: Float64Array
  readonly amountsMinor: Float64Array
  readonly sequenceOf: Uint32Array
}

function randomInput(model: ModelFolder, random: Random): Input {
  const sequenceOf = new Uint32Array(ROWS)
  for (let row = 1; row < ROWS; row += 1) {
    sequenceOf[row] = (sequenceOf[row - 1] ?? 0) + (random.has(0.6) ? 1 : 0)
  }
  const count = (sequenceOf.at(-1) ?? 0) + 1
  return {
    rows: randomRows(model, ROWS, random),
    sequences: randomSequences(count, random),
    amountsMinor: Float64Array.from({ length: count }, () => random.below(50_000)),
    sequenceOf,
  }
}

/** Scores of both nets. */
async function scoresOf(scorer: RowScorer, input: Input): Promise<readonly Float64Array[]> {
  ok(scorer.target !== null)
  return [await scorer.score(input.rows, ROWS), await scorer.target.score(input, ROWS)]
}

function largestDifference(some: Float64Array, others: Float64Array): number {
  return some.reduce((largest, score, row) => {
    const other = others[row] ?? NaN
    strictEqual(Number.isNaN(score), Number.isNaN(other), `row ${row}: ${score} and ${other}`)
    return Number.isNaN(score) ? largest : Math.max(largest, Math.abs(score - other))
  }, 0)
}

test('random models score as in TensorFlow, absent and unacceptable values included', async () => {
  for (let seed = 1; seed <= MODELS; seed += 1) {
    const model = await randomModel(wasm.tf, released, seed)
    const input = randomInput(model, new Random(seed))
    const reference = await openRowScorer(wasm, model)
    const expected = await scoresOf(reference, input)
    reference.close()
    const found = await scoresOf(await openCompiledScorer(wasm, model), input)
    for (const [net, scores] of expected.entries()) {
      const difference = largestDifference(scores, found[net] ?? new Float64Array())
      ok(difference <= TOLERANCE, `seed ${seed}, net ${net}: ${difference}`)
      ok(new Set(scores).size > 10, `seed ${seed}, net ${net}: the scores differ`)
    }
  }
})

test('a row gets the same bits alone as in a batch, whatever stands beside it', async () => {
  const model = await randomModel(wasm.tf, released, 7)
  const scorer = await openCompiledScorer(wasm, model)
  const input = randomInput(model, new Random(7))
  const [drafts, verdicts] = await scoresOf(scorer, input)
  for (let row = 0; row < ROWS; row += 1) {
    const rows = input.rows.subarray(row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT)
    const sequence = input.sequenceOf[row] ?? 0
    const alone = {
      rows,
      sequences: input.sequences.subarray(sequence * SEQUENCE_LENGTH),
      amountsMinor: input.amountsMinor.subarray(sequence),
    }
    deepStrictEqual(await scorer.score(rows, 1), drafts?.slice(row, row + 1))
    deepStrictEqual(await scorer.target?.score(alone, 1), verdicts?.slice(row, row + 1))
  }
})

test('the released model agrees with TensorFlow wherever the tables change', async () => {
  strictEqual(
    await differsFromTensorFlow(wasm, await openCompiledScorer(wasm, released), released),
    null,
  )
})

test('a model that is compiled from other weights is found out, whichever net it is', async () => {
  const changed = (files: ModelFolder['net']): ModelFolder['net'] => {
    const weights = Buffer.from(files.weights)
    // The bias of the output, at the end.
    weights.writeFloatLE(weights.readFloatLE(weights.length - 4) + 1e-3, weights.length - 4)
    return { ...files, weights }
  }
  const { target } = released
  ok(target !== null)
  for (const other of [
    { ...released, net: changed(released.net) },
    { ...released, target: { ...target, net: changed(target.net) } },
  ]) {
    const compiled = await openCompiledScorer(wasm, other)
    match((await differsFromTensorFlow(wasm, compiled, released)) ?? '', /TensorFlow scores/)
  }
})

test('a changed edge of any table is found out: of ramps by code, and of the earlier payments', async () => {
  const { manifest } = released
  const { scaling, target } = manifest
  ok(target !== null)
  const moved = (edges: readonly number[], at: number): readonly number[] =>
    edges.map((edge, index) => (index === at ? (edge + (edges[at + 1] ?? edge)) / 2 : edge))
  const byCode = scaling.map((each) =>
    each.byCode === null
      ? each
      : {
          ...each,
          byCode: {
            ...each.byCode,
            edges: each.byCode.edges.map((one, at) => (at === 9 ? moved(one, 6) : one)),
          },
        },
  )
  const encodings = (['against', 'typical', 'amount', 'age', 'clock'] as const).map((name) => {
    const edges = target.encoding[name]
    return { ...target.encoding, [name]: moved(edges, edges.length >> 1) }
  })
  const others = [
    { ...manifest, scaling: byCode },
    ...encodings.map((encoding) => ({ ...manifest, target: { ...target, encoding } })),
  ]
  for (const [at, other] of others.entries()) {
    const compiled = await openCompiledScorer(wasm, { ...released, manifest: other })
    const differs = await differsFromTensorFlow(wasm, compiled, released)
    match(differs ?? '', /TensorFlow scores/, `control ${at}`)
  }
})

test('a scale beyond tables is refused before anything is scored', async () => {
  const [first, ...others] = released.manifest.scaling
  ok(first !== undefined)
  const scaling = [{ ...first, transform: 'none' as const, scale: 1e-320 }, ...others]
  const model = { ...released, manifest: { ...released.manifest, scaling } }
  const error = await openCompiledScorer(wasm, model).catch((thrown: unknown) => thrown)
  ok(error instanceof BackendProblem, String(error))
  match(error.message, /beyond compiled nets/)
})
