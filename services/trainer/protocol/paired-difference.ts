// Tests whether one scorer is better than another on the same rows: the difference of average precision, with an
// interval from draws of whole cards, the same cards for both. The payments of one card are alike, so drawing single
// payments would make the interval too narrow.

import { drawCards, figuresOf, type Ranked } from '../metrics.ts'
import { gathered, quantileOf, randomOf, rankedRows } from '../statistics.ts'

/** Number of draws, share covered by the interval, and the seed of all randomness. */
export const DIFFERENCE_DRAWS = 1_000
const CONFIDENCE = 0.95
const SEED = 20_260_101

/** No score reaches it: figures at thresholds are not needed. */
const NO_THRESHOLDS = { flag: 2, block: 2 }

/** Rows of one week, scored twice; arrays are by row. */
export interface TwiceScored {
  readonly scores: Float64Array
  readonly others: Float64Array
  readonly truth: Uint8Array
  readonly cards: readonly number[]
}

/** Figures of mean average precision over the weeks. */
export interface PairedDifference {
  readonly precision: number
  readonly otherPrecision: number
  /** Quantiles of the difference between the two precisions, over the draws. */
  readonly low: number
  readonly median: number
  readonly high: number
  readonly draws: number
}

/** Computes the difference. The same rows give the same interval. */
export function pairedDifference(
  weeks: readonly TwiceScored[],
  draws = DIFFERENCE_DRAWS,
): PairedDifference {
  const next = randomOf(SEED)
  const prepared = weeks.map(({ scores, others, truth, cards }) => {
    const numbers = numbered(cards)
    const cardCount = new Set(numbers).size
    return {
      weights: new Uint16Array(cardCount),
      own: ranked(scores, truth, numbers, cardCount),
      other: ranked(others, truth, numbers, cardCount),
    }
  })
  const differences = new Float64Array(draws)
  for (let draw = 0; draw < draws; draw += 1) {
    let sum = 0
    for (const { weights, own, other } of prepared) {
      drawCards(weights, next)
      sum += precisionOf(own, weights) - precisionOf(other, weights)
    }
    differences[draw] = sum / Math.max(1, prepared.length)
  }
  differences.sort()
  const tail = (1 - CONFIDENCE) / 2
  const meanOf = (side: 'own' | 'other'): number =>
    prepared.reduce((sum, week) => {
      return sum + precisionOf(week[side], new Uint16Array(week.weights.length).fill(1))
    }, 0) / Math.max(1, prepared.length)
  return {
    precision: meanOf('own'),
    otherPrecision: meanOf('other'),
    low: quantileOf(differences, tail),
    median: quantileOf(differences, 0.5),
    high: quantileOf(differences, 1 - tail),
    draws,
  }
}

function precisionOf(rows: Ranked, weights: Uint16Array): number {
  return figuresOf(rows, weights, NO_THRESHOLDS).averagePrecision
}

/** Cards numbered from 0, by first appearance. */
function numbered(cards: readonly number[]): Uint32Array {
  const numbers = new Map<number, number>()
  return Uint32Array.from(cards, (card) => {
    const number = numbers.get(card) ?? numbers.size
    numbers.set(card, number)
    return number
  })
}

function ranked(
  scores: Float64Array,
  truth: Uint8Array,
  cards: Uint32Array,
  cardCount: number,
): Ranked {
  const order = rankedRows(scores)
  return {
    scores: gathered(scores, order),
    truth: gathered(truth, order),
    cards: gathered(cards, order),
    cardCount,
  }
}
