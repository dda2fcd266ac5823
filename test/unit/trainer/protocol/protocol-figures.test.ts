// Figures of the handbook's protocol on cases that can be counted by hand.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  alertedRows,
  protocolFigures,
  savedShare,
  savingThreshold,
  type AssessedScores,
  summarize,
  type ScoredWeek,
} from '../../../../services/trainer/protocol/protocol-figures.ts'
import { randomOf } from '../../../../services/trainer/statistics.ts'

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

function isNear(found: number | undefined, expected: number): void {
  assert.ok(Math.abs((found ?? NaN) - expected) < 1e-12, `${found ?? ''}, expected ${expected}`)
}

test('400 rows with frauds at ranks 1, 3 and 101', () => {
  // Written from low to high, so that no figure may depend on the order of rows.
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
  // One in 1,000 of 397 genuine rows is less than one row.
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

test('a card counts once a day with its highest score, and not again once it was found', () => {
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
    // Day 2: 100 genuine cards score higher than card 4.
    ...Array.from({ length: 100 }, (_, index) => ({ ...row, day: 2, card: 10 + index })),
    { ...row, day: 2, card: 4, score: 0.4, isFraud: true },
  ]
  isNear(protocolFigures(weekOf(rows)).cardPrecision100, (1 / 100 + 1 / 100 + 0) / 3)
})

test('calibration error is the mean distance of score and share in ten bins', () => {
  // Bins of two rows: one of each pair is a fraud, and all scores are 0.5 except those of the lowest pair.
  const rows = Array.from({ length: 20 }, (_, index) => ({
    score: index < 2 ? 0.2 : 0.5,
    isFraud: index % 2 === 0,
    ...{ card: 0, day: 0, amount: 1 },
  }))
  isNear(protocolFigures(weekOf(rows)).calibrationError, 0.3 / 10)
})

const ROWS: fc.Arbitrary<readonly Row[]> = fc.array(
  fc.record({
    score: fc.integer({ min: 0, max: 12 }).map((score) => score / 12),
    isFraud: fc.boolean(),
    card: fc.nat(3),
    day: fc.nat(6),
    amount: fc.integer({ min: 0, max: 60 }),
  }),
  { minLength: 1, maxLength: 30 },
)

/** Value of the frauds found less the cost of alerts, counted row by row. */
function savedBy(rows: readonly Row[], threshold: number, alertCost: number): number {
  return rows
    .filter(({ score }) => score >= threshold)
    .reduce((sum, { isFraud, amount }) => sum + (isFraud ? amount : 0) - alertCost, 0)
}

test('no threshold saves more than the chosen one, over all weeks together', () => {
  const ALERT_COST = 5
  fc.assert(
    fc.property(fc.array(ROWS, { minLength: 1, maxLength: 3 }), (tables) => {
      const threshold = savingThreshold(tables.map(weekOf), ALERT_COST)
      const rows = tables.flat()
      const chosen = threshold === null ? 0 : savedBy(rows, threshold, ALERT_COST)
      for (let twelfths = 0; twelfths <= 13; twelfths += 1) {
        assert.ok(savedBy(rows, twelfths / 12, ALERT_COST) <= chosen)
      }
      for (const table of tables) {
        const value = table.reduce((sum, { isFraud, amount }) => sum + (isFraud ? amount : 0), 0)
        const saved = threshold === null ? 0 : savedBy(table, threshold, ALERT_COST)
        if (value > 0) isNear(savedShare(weekOf(table), threshold, ALERT_COST), saved / value)
      }
    }),
  )
})

test('the highest 0.5 % are alerted, the first ones among equal scores', () => {
  const row = { isFraud: false, card: 0, day: 0, amount: 1 }
  const rows = Array.from({ length: 600 }, (_, index) => ({
    ...row,
    score: index === 599 ? 0.9 : 0.5,
  }))
  assert.deepEqual(alertedRows(weekOf(rows).scores), [599, 0, 1])
})

test('figures equal slow sums over pairs and thresholds, whatever the rows', () => {
  fc.assert(
    fc.property(ROWS, (rows) => {
      const frauds = rows.filter(({ isFraud }) => isFraud)
      const genuine = rows.filter(({ isFraud }) => !isFraud)
      fc.pre(frauds.length > 0 && genuine.length > 0)
      const found = protocolFigures(weekOf(rows))
      let pairs = 0
      for (const fraud of frauds) {
        for (const other of genuine) {
          pairs += fraud.score > other.score ? 1 : fraud.score === other.score ? 0.5 : 0
        }
      }
      isNear(found.aucRoc, pairs / (frauds.length * genuine.length))
      // Average precision: each fraud counts with the precision of an alert threshold at its score.
      const precisions = frauds.map(({ score }) => {
        const alerts = rows.filter((row) => row.score >= score)
        return alerts.filter(({ isFraud }) => isFraud).length / alerts.length
      })
      isNear(found.averagePrecision, precisions.reduce((a, b) => a + b) / frauds.length)
      // With so few rows, one in 1,000 genuine rows is none: the frauds that score above all of them are found.
      const highest = Math.max(...genuine.map(({ score }) => score))
      const above = frauds.filter(({ score }) => score > highest)
      isNear(found.recallAtFalsePositives01Percent, above.length / frauds.length)
      const squares = rows.map(({ score, isFraud }) => (score - (isFraud ? 1 : 0)) ** 2)
      isNear(found.brier, squares.reduce((a, b) => a + b) / rows.length)
    }),
  )
})

// Tables of two weeks and two seeds: by hand where they can be counted, otherwise by slow sums written independently.

const WEEK_ROWS = 400
const ALERT_COST = 5

/** One fraud in 20, which scores higher by `strength`, plus noise. */
function scoresOf(seed: number, strength: number): AssessedScores {
  const next = randomOf(seed)
  const rows = Array.from({ length: WEEK_ROWS }, (_, row) => row)
  const isFraud = (row: number): boolean => row % 20 === 0
  return {
    scores: Float64Array.from(rows, (row) => (next() + (isFraud(row) ? strength : 0)) / 2),
    truth: Uint8Array.from(rows, (row) => (isFraud(row) ? 1 : 0)),
    cards: rows.map((row) => row % 50),
    eventTimesMs: rows.map((row) => (row % 7) * DAY_MS),
    amounts: rows.map((row) => (row % 9) + 20),
  }
}

function meanOf(weeks: readonly AssessedScores[]): AssessedScores {
  const [first] = weeks
  assert.ok(first !== undefined)
  const scores = first.scores.map(
    (_, row) => weeks.reduce((sum, week) => sum + (week.scores[row] ?? NaN), 0) / weeks.length,
  )
  return { ...first, scores }
}

function scoredWeek(period: string, trainStart: string, seed: number): ScoredWeek {
  const target = [scoresOf(seed, 0.9), scoresOf(seed + 1, 0.8)]
  const draft = [scoresOf(seed + 2, 0.6), scoresOf(seed + 3, 0.5)]
  const ids = Array.from({ length: WEEK_ROWS }, (_, row) => `${trainStart}/${row}`)
  return { period, trainStart, ids, target, draft, scored: meanOf(target) }
}

const WEEKS = [
  scoredWeek('validation', '2026-01-01', 10),
  scoredWeek('validation', '2026-01-08', 20),
  scoredWeek('report', '2026-02-01', 30),
  scoredWeek('report', '2026-02-08', 40),
]

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length
}

function deviation(values: readonly number[]): number {
  const middle = mean(values)
  return Math.sqrt(mean(values.map((value) => (value - middle) ** 2)))
}

test('means and deviations are over weeks, over weeks and seeds, and over the means of seeds', () => {
  const report = summarize(WEEKS, ALERT_COST, null).find(({ period }) => period === 'report')
  assert.ok(report !== undefined)
  const weeks = WEEKS.slice(2)
  assert.deepEqual(report.weeks, ['2026-02-01', '2026-02-08'])
  assert.deepEqual([report.rows, report.frauds], [2 * WEEK_ROWS, 40])
  const precision = (of: AssessedScores): number => protocolFigures(of).averagePrecision
  const ofMean = weeks.map(({ scored }) => precision(scored))
  isNear(report.scored.averagePrecision?.mean, mean(ofMean))
  isNear(report.scored.averagePrecision?.deviation, deviation(ofMean))
  for (const net of ['target', 'draft'] as const) {
    const all = weeks.flatMap((week) => week[net].map(precision))
    isNear(report[net].averagePrecision?.mean, mean(all))
    isNear(report[net].averagePrecision?.deviation, deviation(all))
    const bySeed = [0, 1].map((seed) =>
      mean(weeks.map((week) => precision(week[net][seed] ?? week.scored))),
    )
    isNear(report.seeds[net].averagePrecision?.mean, mean(bySeed))
    isNear(report.seeds[net].averagePrecision?.deviation, deviation(bySeed))
  }
})

test('the share saved takes its threshold from validation weeks alone, by seed', () => {
  const [, report] = summarize(WEEKS, ALERT_COST, null)
  assert.ok(report !== undefined)
  const saved = ({ scores, truth, amounts }: AssessedScores, threshold: number): number =>
    scores.reduce(
      (sum, score, row) =>
        score < threshold ? sum : sum + (truth[row] === 1 ? (amounts[row] ?? 0) : 0) - ALERT_COST,
      0,
    )
  const bestOn = (weeks: readonly AssessedScores[]): number => {
    const candidates = weeks.flatMap(({ scores }) => [...scores])
    const gain = (threshold: number): number =>
      weeks.reduce((sum, week) => sum + saved(week, threshold), 0)
    return candidates.reduce((best, each) => (gain(each) > gain(best) ? each : best))
  }
  const shareOf = (week: AssessedScores, threshold: number): number =>
    saved(week, threshold) /
    week.amounts.reduce((sum, of, row) => sum + (week.truth[row] === 1 ? of : 0), 0)
  for (const seed of [0, 1]) {
    const of = (week: ScoredWeek): AssessedScores => week.target[seed] ?? week.scored
    const threshold = bestOn(WEEKS.slice(0, 2).map(of))
    for (const [at, week] of WEEKS.slice(2).entries()) {
      isNear(report.byWeek[at]?.target[seed]?.savedShare ?? NaN, shareOf(of(week), threshold))
    }
  }
  const threshold = bestOn(WEEKS.slice(0, 2).map(({ scored }) => scored))
  const shares = WEEKS.slice(2).map(({ scored }) => shareOf(scored, threshold))
  isNear(report.scored.savedShare?.mean, mean(shares))
})

test('without validation weeks the share saved is null', () => {
  const [report] = summarize(WEEKS.slice(2), ALERT_COST, null)
  assert.equal(report?.scored.savedShare, null)
  assert.equal(report.byWeek[0]?.scored.savedShare, null)
  assert.ok(report.scored.averagePrecision !== null)
})

test('frauds found are counted by kind, among the highest 0.5 % of each week', () => {
  const scenarios = new Map(
    WEEKS.flatMap(({ ids }) => ids.map((id, row) => [id, row % 40 === 0 ? '1' : '2'] as const)),
  )
  scenarios.delete('2026-02-01/20')
  const report = summarize(WEEKS, ALERT_COST, scenarios).find(({ period }) => period === 'report')
  const found = (report?.scenarios ?? []).map(({ scenario, frauds }) => [scenario, frauds])
  assert.deepEqual(found, [
    ['1', 20],
    ['2', 19],
    ['unknown', 1],
  ])
  // 0.5 % of 400 rows are two alerts a week.
  const alerted = WEEKS.slice(2).flatMap(({ scored }) =>
    [...scored.scores.keys()]
      .sort((a, b) => (scored.scores[b] ?? 0) - (scored.scores[a] ?? 0))
      .slice(0, 2)
      .filter((row) => scored.truth[row] === 1),
  )
  const total = (report?.scenarios ?? []).reduce((sum, each) => sum + each.found, 0)
  assert.equal(total, alerted.length)
  assert.equal(summarize(WEEKS, ALERT_COST, null)[0]?.scenarios, null)
})
