// Goal: the figures follow their definitions. Method: small random cases full of ties, against the definitions
// written out.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  atThreshold,
  averagePrecision,
  measureScores,
  type Scored,
  INTERVAL_FIGURES,
  figuresOf,
  intervalsOf,
  rank,
  type ScoredByCard,
} from '../../../services/trainer/metrics.ts'
import { randomOf } from '../../../services/trainer/statistics.ts'

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

test('recall at a share of false positives counts the frauds above the last threshold within it', () => {
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

test('rows that represent others count with their weight', () => {
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

test('rows without a score are never ranked', () => {
  assert.throws(
    () => averagePrecision({ scores: Float64Array.of(0.5, NaN), truth: Uint8Array.of(0, 1) }),
    /without a score/,
  )
})

// Goal: intervals belong to the stated figures. Method: with every card drawn once the figures equal those of the
// metrics; and the behaviour of an interval as the number of cards grows.

const THRESHOLDS = { flag: 0.5, block: 0.75 }

const anyScoredByCard: fc.Arbitrary<ScoredByCard> = fc
  .array(
    fc.record({
      score: fc.integer({ min: 0, max: 8 }),
      isFraud: fc.boolean(),
      card: fc.integer({ min: 100, max: 104 }),
    }),
    { minLength: 2, maxLength: 60 },
  )
  .map((rows) => ({
    scores: Float64Array.from(rows, ({ score }) => score / 8),
    truth: Uint8Array.from(rows, ({ isFraud }) => (isFraud ? 1 : 0)),
    cards: Uint32Array.from(rows, ({ card }) => card),
  }))

test('with every card drawn once, the figures equal the stated ones', () => {
  fc.assert(
    fc.property(anyScoredByCard, (scored) => {
      const ranked = rank(scored)
      const figures = figuresOf(ranked, new Uint16Array(ranked.cardCount).fill(1), THRESHOLDS)
      const stated = measureScores(scored, THRESHOLDS)
      const expected = {
        averagePrecision: stated.averagePrecision,
        aucRoc: stated.aucRoc,
        recallAtFalsePositives01Percent: stated.recallAtFalsePositives01Percent,
        flagPrecision: stated.flag.precision,
        flagRecall: stated.flag.recall,
        blockPrecision: stated.block.precision,
        blockRecall: stated.block.recall,
      }
      for (const name of INTERVAL_FIGURES) {
        assert.ok(Math.abs(figures[name] - expected[name]) < 1e-12, name)
      }
    }),
  )
})

test('a card drawn twice counts like a history in which it pays twice', () => {
  fc.assert(
    fc.property(anyScoredByCard, (scored) => {
      const ranked = rank(scored)
      const weights = new Uint16Array(ranked.cardCount).fill(1)
      weights[0] = 2
      const isFirst = (row: number): boolean => ranked.cards[row] === 0
      const rows = [...ranked.scores.keys()].flatMap((row) => (isFirst(row) ? [row, row] : [row]))
      const doubled = {
        scores: Float64Array.from(rows, (row) => ranked.scores[row] ?? 0),
        truth: Uint8Array.from(rows, (row) => ranked.truth[row] ?? 0),
      }
      const { averagePrecision } = figuresOf(ranked, weights, THRESHOLDS)
      const stated = measureScores(doubled, THRESHOLDS).averagePrecision
      assert.ok(Math.abs(averagePrecision - stated) < 1e-12)
    }),
  )
})

/** One payment per card, a tenth of them frauds with somewhat higher scores. */
function trainingDistribution(cards: number): ScoredByCard {
  const next = randomOf(7)
  const truth = Uint8Array.from({ length: cards }, (_, card) => (card % 10 === 0 ? 1 : 0))
  return {
    truth,
    scores: Float64Array.from(truth, (label) => 0.7 * next() + 0.3 * label),
    cards: Uint32Array.from(truth.keys()),
  }
}

test('intervals contain the figure, are reproducible, and are narrower with more cards', () => {
  const width = (cards: number): number => {
    const scored = trainingDistribution(cards)
    const intervals = intervalsOf(scored, THRESHOLDS, 200)
    assert.deepEqual(intervalsOf(scored, THRESHOLDS, 200), intervals)
    const { low, high } = intervals.averagePrecision
    const { averagePrecision } = measureScores(scored, THRESHOLDS)
    assert.ok(low < averagePrecision && averagePrecision < high)
    return high - low
  }
  assert.ok(width(4_000) < 0.6 * width(400))
})

test('payments of the same card do not make an interval narrower', () => {
  const one = trainingDistribution(400)
  const many = {
    scores: Float64Array.from({ length: 4_000 }, (_, row) => one.scores[row % 400] ?? 0),
    truth: Uint8Array.from({ length: 4_000 }, (_, row) => one.truth[row % 400] ?? 0),
    cards: Uint32Array.from({ length: 4_000 }, (_, row) => row % 400),
  }
  assert.deepEqual(
    intervalsOf(many, THRESHOLDS, 100).flagPrecision,
    intervalsOf(one, THRESHOLDS, 100).flagPrecision,
  )
})
