// Figures of the handbook's protocol on cases that can be counted by hand.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  protocolFigures,
  type AssessedScores,
} from '../../../../services/trainer/protocol/protocol-figures.ts'

const DAY_MS = 86_400_000

interface Row {
  readonly score: number
  readonly isFraud: boolean
  readonly card: number
  readonly day: number
  readonly amount: number
}

function weekOf(rows: readonly Row[]): AssessedScores {
  return {
    scores: Float64Array.from(rows, ({ score }) => score),
    truth: Uint8Array.from(rows, ({ isFraud }) => (isFraud ? 1 : 0)),
    cards: rows.map(({ card }) => card),
    eventTimesMs: rows.map(({ day }, index) => day * DAY_MS + index),
    amounts: rows.map(({ amount }) => amount),
  }
}

function isNear(found: number, expected: number): void {
  assert.ok(Math.abs(found - expected) < 1e-12, `${found}, expected ${expected}`)
}

test('400 rows with frauds at ranks 1, 3 and 101', () => {
  // Written from low to high, so that no figure may rest on the order of rows.
  const rows = Array.from({ length: 400 }, (_, index) => {
    const rank = 400 - index
    return {
      score: 1 - rank / 400,
      isFraud: [1, 3, 101].includes(rank),
      card: rank,
      day: 0,
      amount: rank === 1 ? 30 : rank === 3 ? 60 : 110,
    }
  })
  const figures = protocolFigures(weekOf(rows))
  isNear(figures.averagePrecision, (1 / 1 + 2 / 3 + 3 / 101) / 3)
  // 0.5 % of 400 are two alerts; the first is a fraud of 30 out of 200.
  isNear(figures.recallAtAlerts05Percent, 1 / 3)
  isNear(figures.valueAtAlerts05Percent, 30 / 200)
  // One in 1,000 of 397 genuine rows is less than one.
  isNear(figures.recallAtFalsePositives01Percent, 1 / 3)
  // Pairs of a fraud and a genuine row in the right order: 397, 396 and 299 genuine rows are below.
  isNear(figures.aucRoc, (397 + 396 + 299) / (3 * 397))
  let squares = 0
  for (const { score, isFraud } of rows) squares += isFraud ? (1 - score) ** 2 : score ** 2
  isNear(figures.brier, squares / 400)
  // Cards of ranks 1 and 3 are among the 100 highest, that of rank 101 is not.
  isNear(figures.cardPrecision100, 2 / 100)
})

test('equal scores are one step: half a pair for the area', () => {
  const row = { card: 0, day: 0, amount: 1 }
  const { aucRoc, averagePrecision } = protocolFigures(
    weekOf([
      { ...row, score: 0.5, isFraud: true },
      { ...row, score: 0.5, isFraud: false },
      { ...row, score: 0.2, isFraud: false },
    ]),
  )
  isNear(aucRoc, (0.5 + 1) / 2)
  isNear(averagePrecision, 1 / 2)
})

test('a card counts once a day with its highest score, and once found it is not counted again', () => {
  const row = { amount: 1, score: 0.5, isFraud: false }
  const rows: readonly Row[] = [
    // Day 0: card 1 is defrauded in the payment of its lower score; card 2 is genuine.
    { ...row, day: 0, card: 1, score: 0.9 },
    { ...row, day: 0, card: 1, score: 0.1, isFraud: true },
    { ...row, day: 0, card: 2, score: 0.8 },
    // Day 1: card 1 again, and card 3; 100 genuine cards score less.
    { ...row, day: 1, card: 1, score: 0.9, isFraud: true },
    { ...row, day: 1, card: 3, score: 0.7, isFraud: true },
    ...Array.from({ length: 100 }, (_, index) => ({ ...row, day: 1, card: 10 + index })),
    // Day 2: 100 genuine cards score more than card 4.
    ...Array.from({ length: 100 }, (_, index) => ({ ...row, day: 2, card: 10 + index })),
    { ...row, day: 2, card: 4, score: 0.4, isFraud: true },
  ]
  isNear(protocolFigures(weekOf(rows)).cardPrecision100, (1 / 100 + 1 / 100 + 0) / 3)
})

test('calibration error is the mean distance of score and share in ten bins', () => {
  // Bins of two rows: of each pair one is a fraud, all scores are 0.5 but those of the lowest pair.
  const rows = Array.from({ length: 20 }, (_, index) => ({
    score: index < 2 ? 0.2 : 0.5,
    isFraud: index % 2 === 0,
    ...{ card: 0, day: 0, amount: 1 },
  }))
  isNear(protocolFigures(weekOf(rows)).calibrationError, 0.3 / 10)
})
