// Goal: the figures are what their definitions say. Method: small random cases full of ties, against the
// definitions written out.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { atThreshold, averagePrecision, measureScores } from '../../../services/trainer/metrics.ts'
import type { Scored } from '../../../services/trainer/metrics.ts'

const anyScored: fc.Arbitrary<Scored> = fc
  .array(fc.record({ score: fc.integer({ min: 0, max: 8 }), isFraud: fc.boolean() }), {
    minLength: 2,
    maxLength: 40,
  })
  .filter((rows) => new Set(rows.map(({ isFraud }) => isFraud)).size === 2)
  .map((rows) => ({
    scores: Float64Array.from(rows, ({ score }) => score / 8),
    truth: Uint8Array.from(rows, ({ isFraud }) => (isFraud ? 1 : 0)),
  }))

function split({ scores, truth }: Scored): { frauds: number[]; genuine: number[] } {
  const pick = (label: number): number[] => [...scores].filter((_, row) => truth[row] === label)
  return { frauds: pick(1), genuine: pick(0) }
}

function close(found: number, expected: number): void {
  assert.ok(Math.abs(found - expected) < 1e-12, `${found}, expected ${expected}`)
}

test('average precision is the mean, over frauds, of the precision at their score', () => {
  fc.assert(
    fc.property(anyScored, (scored) => {
      const { frauds, genuine } = split(scored)
      let sum = 0
      for (const fraud of frauds) {
        const found = frauds.filter((score) => score >= fraud).length
        sum += found / (found + genuine.filter((score) => score >= fraud).length)
      }
      close(averagePrecision(scored), sum / frauds.length)
    }),
  )
})

test('the area under the ROC curve is the share of pairs in the right order, ties counting half', () => {
  fc.assert(
    fc.property(anyScored, (scored) => {
      const { frauds, genuine } = split(scored)
      let right = 0
      for (const fraud of frauds) {
        for (const other of genuine) right += fraud > other ? 1 : fraud === other ? 0.5 : 0
      }
      const { aucRoc } = measureScores(scored, { flag: 0.5, block: 0.9 })
      close(aucRoc, right / (frauds.length * genuine.length))
    }),
  )
})

test('recall at a share of false positives counts what lies above the last threshold that keeps it', () => {
  const genuine = Float64Array.from({ length: 2_000 }, (_, row) => row / 4_000)
  const scores = Float64Array.of(0.9, 0.499, 0.498, ...genuine)
  const truth = Uint8Array.of(1, 1, 1, ...genuine.map(() => 0))
  // 0.1 % of 2,000 are two: 0.49975 and 0.4995, both above 0.499. A third, 0.49925, is one too many.
  const { recallAtFalsePositives01Percent } = measureScores(
    { scores, truth },
    { flag: 1, block: 1 },
  )
  close(recallAtFalsePositives01Percent, 1 / 3)
})

test('alerts, precision and recall at a threshold count scores at or above it', () => {
  const scored = { scores: Float64Array.of(0.9, 0.5, 0.5, 0.1), truth: Uint8Array.of(1, 0, 1, 1) }
  assert.deepEqual(atThreshold(scored, 0.5), {
    alerts: 3,
    alertShare: 0.75,
    precision: 2 / 3,
    recall: 2 / 3,
  })
  assert.deepEqual(atThreshold(scored, 0.95), {
    alerts: 0,
    alertShare: 0,
    precision: 0,
    recall: 0,
  })
})

test('rows that stand for others count as often as their weight says', () => {
  const scores = Float64Array.of(0.9, 0.5, 0.1)
  const truth = Uint8Array.of(1, 0, 0)
  const weights = Float64Array.of(1, 1, 3)
  const thresholds = { flag: 0.1, block: 0.6 }
  assert.deepEqual(
    measureScores({ scores, truth, weights }, thresholds),
    measureScores(
      { scores: Float64Array.of(0.9, 0.5, 0.1, 0.1, 0.1), truth: Uint8Array.of(1, 0, 0, 0, 0) },
      thresholds,
    ),
  )
})

test('what was not scored is never given a rank', () => {
  assert.throws(
    () => averagePrecision({ scores: Float64Array.of(0.5, NaN), truth: Uint8Array.of(0, 1) }),
    /not scored/,
  )
})
