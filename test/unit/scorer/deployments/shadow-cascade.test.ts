// Goal: a shadow cascade is judged as a whole where the earlier payments are known, and by its first stage, annotated
// as such, where they are not. Method: the released cascade on golden rows of its target; the oracle calls both nets
// row by row.

import { deepStrictEqual, ok } from 'node:assert/strict'
import { test } from 'node:test'
import { SEQUENCE_LENGTH } from '../../../../services/core/features/engine/card-sequence.ts'
import { DEFAULT_RATES } from '../../../../services/core/rates/default-rates.ts'
import { FEATURE_COUNT } from '../../../../services/core/features/catalogue/feature-list.ts'
import type { GoldenVectors } from '../../../../services/core/scoring/golden.ts'
import type { Verifier } from '../../../../services/core/scoring/scoring-model.ts'
import type { CascadeAnnotation } from '../../../../services/core/scoring/cascade.ts'
import { readModelFolder } from '../../../../services/platform/tensorflow/model-folder.ts'
import { openScoringModel } from '../../../../services/platform/tensorflow/scoring-model.ts'
import {
  scoreShadow,
  type ShadowRows,
} from '../../../../services/scorer/deployments/shadow-cascade.ts'
import { RELEASED_MODEL } from '../../../support/model-variants.ts'

const model = await openScoringModel({ folder: RELEASED_MODEL, backend: 'wasm' })
const { target } = await readModelFolder(RELEASED_MODEL, DEFAULT_RATES.reference)
const { verifier, golden, read } = present(model.verifier, target?.golden)
const { rowCount } = golden
const known = {
  rows: golden.rows,
  sequences: read.values,
  amountsMinor: Array.from(read.amountsMinor),
} satisfies ShadowRows
const drafts = await model.score(golden.rows, rowCount)
const isInBand = Array.from(drafts, (draft) => draft >= verifier.verifyFrom)

function present(own: Verifier | null, vectors: GoldenVectors | undefined) {
  ok(own !== null && vectors !== undefined && vectors.sequences !== null)
  return { verifier: own, golden: vectors, read: vectors.sequences }
}

/** The target's score of one row, computed alone. */
async function targetScore(row: number): Promise<number> {
  const { sequences, amountsMinor } = known
  const [score = NaN] = await verifier.score(
    {
      rows: golden.rows.slice(row * FEATURE_COUNT, (row + 1) * FEATURE_COUNT),
      sequences: sequences.slice(row * SEQUENCE_LENGTH, (row + 1) * SEQUENCE_LENGTH),
      amountsMinor: Float64Array.of(amountsMinor[row] ?? 0),
    },
    1,
  )
  return score
}

test('rows in the band get the score of the large net, all others that of the small one', async () => {
  ok(isInBand.includes(true) && isInBand.includes(false), 'there are rows of both kinds')
  const scores: number[] = []
  const annotations: (CascadeAnnotation | null)[] = []
  for (const [row, isVerified] of isInBand.entries()) {
    scores.push(isVerified ? await targetScore(row) : (drafts[row] ?? NaN))
    annotations.push(isVerified ? 'verified' : null)
  }
  // In slices, as from the queue.
  const found: { scores: number[]; annotations: (CascadeAnnotation | null)[] } = {
    scores: [],
    annotations: [],
  }
  for (let from = 0; from < rowCount; from += 7) {
    const slice = await scoreShadow(model, known, from, Math.min(rowCount, from + 7))
    found.scores.push(...slice.scores)
    found.annotations.push(...slice.annotations)
  }
  deepStrictEqual(found, { scores, annotations })
})

test('where the payments before are not known the draft stands, and says so', async () => {
  const stands = isInBand.map((isWanted) => (isWanted ? 'draft_stands' : null))
  const without = await scoreShadow(model, { ...known, sequences: null }, 0, rowCount)
  deepStrictEqual(without, { scores: drafts, annotations: stands })
  // Revisions follow the first decisions, and have no sequences.
  const first = isInBand.indexOf(true) + 1
  const some = known.sequences.slice(0, first * SEQUENCE_LENGTH)
  const { annotations } = await scoreShadow(model, { ...known, sequences: some }, 0, rowCount)
  deepStrictEqual(annotations, [...stands.slice(0, first - 1), 'verified', ...stands.slice(first)])
})

test('a model of one net has no annotations', async () => {
  const { scores, annotations } = await scoreShadow(
    { score: (rows, count) => model.score(rows, count), verifier: null },
    known,
    2,
    5,
  )
  deepStrictEqual([...scores], [...drafts.subarray(2, 5)])
  deepStrictEqual(annotations, [null, null, null])
})

test('what the large net cannot score keeps its draft, as where it decides', async () => {
  const mute = {
    ...verifier,
    score: (_: unknown, count: number) => Promise.resolve(new Float64Array(count).fill(NaN)),
  }
  const { scores, annotations } = await scoreShadow(
    { ...model, verifier: mute },
    known,
    0,
    rowCount,
  )
  deepStrictEqual(scores, drafts)
  deepStrictEqual(
    annotations,
    isInBand.map((isWanted) => (isWanted ? 'draft_stands' : null)),
  )
})
