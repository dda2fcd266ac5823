// Goal: intervals are of the very figures that are stated. Method: with every card drawn once the figures are those of
// metrics.ts; and what an interval must do as cards grow in number.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  INTERVAL_FIGURES,
  figuresOf,
  intervalsOf,
  rank,
  type ScoredByCard,
} from '../../../services/trainer/intervals.ts'
import { measureScores } from '../../../services/trainer/metrics.ts'
import { randomOf } from '../../../services/trainer/shuffle.ts'

const THRESHOLDS = { flag: 0.5, block: 0.75 }

const anyScored: fc.Arbitrary<ScoredByCard> = fc
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

test('with every card drawn once, the figures are those that are stated', () => {
  fc.assert(
    fc.property(anyScored, (scored) => {
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
    fc.property(anyScored, (scored) => {
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

/** One payment a card, a tenth of them frauds with somewhat higher scores. */
function population(cards: number): ScoredByCard {
  const next = randomOf(7)
  const truth = Uint8Array.from({ length: cards }, (_, card) => (card % 10 === 0 ? 1 : 0))
  return {
    truth,
    scores: Float64Array.from(truth, (label) => 0.7 * next() + 0.3 * label),
    cards: Uint32Array.from(truth.keys()),
  }
}

test('intervals hold the figure, are the same each time, and are narrower with more cards', () => {
  const width = (cards: number): number => {
    const scored = population(cards)
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
  const one = population(400)
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
