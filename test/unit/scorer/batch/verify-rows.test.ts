// Goal: the large net decides where the first stage is not conclusive, and only there. Method: a large net that is a
// pure function of its input, so that each score shows which payments were in its sequence.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  SEQUENCE_LENGTH,
  SEQUENCE_WIDTH,
} from '../../../../services/core/features/engine/card-sequence.ts'
import { FEATURE_COUNT } from '../../../../services/core/features/catalogue/feature-list.ts'
import { isSampled } from '../../../../services/core/scoring/cascade.ts'
import type { Verifier } from '../../../../services/core/scoring/scoring-model.ts'
import { verifyRows, type Verifiable } from '../../../../services/scorer/batch/verify-rows.ts'
import { PlainState } from '../../../support/plain-state.ts'
import { fullTransaction } from '../../core/wire/samples.ts'
import { sequenceScores } from '../sequence-verifier.ts'

function rowAt(offset: number, draftScore: number): Verifiable {
  return {
    transaction: { ...fullTransaction, id: `tx-${offset}` },
    features: new Float64Array(FEATURE_COUNT),
    nextOffset: offset,
    amountMinor: 100 + offset,
    draftScore,
  }
}

function verifierOf(fields: Partial<Verifier> = {}): Verifier {
  return { verifyFrom: 0.3, sampleShare: 0, score: sequenceScores, ...fields }
}

const FOREVER = { timeoutMs: Infinity }

test('rows from the lower end of the band on are asked about, others and those without a score are not', async () => {
  const rows = [0.29, 0.3, 0.9, NaN, 0].map((score, index) => rowAt(index, score))
  const verifier = verifierOf()
  const found = await verifyRows(rows, new PlainState(), { verifier, ...FOREVER })
  assert.deepEqual([...found.answers.keys()].sort(), [1, 2])
  assert.deepEqual([found.unanswered.size, found.sampled.size], [0, 0])
})

test('those of the highest draft scores are asked about first', async () => {
  const asked: number[] = []
  const verifier = verifierOf({
    score: (question, rowCount) => {
      asked.push(...question.amountsMinor)
      return sequenceScores(question, rowCount)
    },
  })
  const rows = [0.4, 0.9, 0.6].map((score, index) => rowAt(index, score))
  await verifyRows(rows, new PlainState(), { verifier, ...FOREVER })
  assert.deepEqual(asked, [101, 102, 100])
})

test('an answer keeps what was read, so that it can be asked about again', async () => {
  const rows = [rowAt(7, 0.5)]
  const found = await verifyRows(rows, new PlainState(), { verifier: verifierOf(), ...FOREVER })
  const answer = found.answers.get(0)
  assert.equal(answer?.sequence.length, SEQUENCE_LENGTH)
  assert.ok(Number.isNaN(answer.sequence[SEQUENCE_WIDTH]))
  assert.equal(answer.amountMinor, 107)
})

test('what is not answered in time is said to be unanswered, and what was answered before stays', async () => {
  let calls = 0
  const verifier = verifierOf({
    score: (question, rowCount) => {
      calls += 1
      return calls === 1 ? sequenceScores(question, rowCount) : new Promise(() => undefined)
    },
  })
  const rows = Array.from({ length: 200 }, (_, index) => rowAt(index, 0.9 - index / 1_000))
  const found = await verifyRows(rows, new PlainState(), { verifier, timeoutMs: 1_000 })
  assert.ok(found.answers.size > 0 && found.unanswered.size > 0)
  assert.equal(found.answers.size + found.unanswered.size, rows.length)
  assert.ok(found.answers.has(0) && found.unanswered.has(199))
})

test('without state there is nothing to read, so all of the band is unanswered', async () => {
  const rows = [0.1, 0.5].map((score, index) => rowAt(index, score))
  const verifier = verifierOf({ score: () => assert.fail('asked without state') })
  const found = await verifyRows(rows, null, { verifier, ...FOREVER })
  assert.deepEqual([...found.unanswered], [1])
  assert.equal(found.answers.size, 0)
})

test('a large net that gives no number for a row leaves that row unanswered', async () => {
  const verifier = verifierOf({ score: () => Promise.resolve(Float64Array.of(0.5, NaN)) })
  const rows = [rowAt(0, 0.9), rowAt(1, 0.8)]
  const found = await verifyRows(rows, new PlainState(), { verifier, ...FOREVER })
  assert.deepEqual([[...found.answers.keys()], [...found.unanswered]], [[0], [1]])
})

test('the sample is of rows outside of the band, chosen by the id alone, and of about its share', async () => {
  const verifier = verifierOf({ sampleShare: 0.1 })
  const rows = Array.from({ length: 2_000 }, (_, index) =>
    rowAt(index, index % 2 === 0 ? 0.1 : 0.5),
  )
  const found = await verifyRows(rows, new PlainState(), { verifier, ...FOREVER })
  assert.deepEqual(
    [...found.sampled.keys()],
    [...rows.keys()].filter((index) => index % 2 === 0 && isSampled(`tx-${index}`, 0.1)),
  )
  assert.ok(found.sampled.size > 50 && found.sampled.size < 150, `${found.sampled.size}`)
})
