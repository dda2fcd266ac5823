// Tables of two weeks, two seeds: by hand where it can be counted, else by slow sums written anew.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  protocolFigures,
  type AssessedScores,
} from '../../../../services/trainer/protocol/protocol-figures.ts'
import { summarize, type ScoredWeek } from '../../../../services/trainer/protocol/summarize.ts'
import { randomOf } from '../../../../services/trainer/shuffle.ts'

const ROWS = 400
const ALERT_COST = 5
const DAY_MS = 86_400_000

/** One fraud in 20, which scores higher by `strength`, with chance. */
function scoresOf(seed: number, strength: number): AssessedScores {
  const next = randomOf(seed)
  const rows = Array.from({ length: ROWS }, (_, row) => row)
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

function weekOf(period: string, trainStart: string, seed: number): ScoredWeek {
  const target = [scoresOf(seed, 0.9), scoresOf(seed + 1, 0.8)]
  const draft = [scoresOf(seed + 2, 0.6), scoresOf(seed + 3, 0.5)]
  const ids = Array.from({ length: ROWS }, (_, row) => `${trainStart}/${row}`)
  return { period, trainStart, ids, target, draft, scored: meanOf(target) }
}

const WEEKS = [
  weekOf('validation', '2026-01-01', 10),
  weekOf('validation', '2026-01-08', 20),
  weekOf('report', '2026-02-01', 30),
  weekOf('report', '2026-02-08', 40),
]

function isNear(found: number | undefined, expected: number): void {
  assert.ok(Math.abs((found ?? NaN) - expected) < 1e-12, `${found ?? ''}, expected ${expected}`)
}

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
  assert.deepEqual([report.rows, report.frauds], [2 * ROWS, 40])
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

test('without validation weeks nothing is said of the share saved', () => {
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
    ['not told', 1],
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
