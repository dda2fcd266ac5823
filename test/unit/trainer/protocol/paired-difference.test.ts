// The interval of a difference: drawn cards against rows that are actually repeated, and the expectations for scorers
// that are equal, better, or better only because of one card.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isSluiceError } from '../../../../services/core/errors.ts'
import { averagePrecision } from '../../../../services/trainer/metrics.ts'
import { readOtherScores } from '../../../../services/trainer/protocol/csv-inputs.ts'
import {
  pairedDifference,
  type TwiceScored,
} from '../../../../services/trainer/protocol/paired-difference.ts'
import { randomOf } from '../../../../services/trainer/statistics.ts'

const SEED_OF_DRAWS = 20_260_101

function weekOf(seed: number, strength: number, otherStrength: number): TwiceScored {
  const next = randomOf(seed)
  const rows = Array.from({ length: 300 }, (_, row) => row)
  const truth = Uint8Array.from(rows, (row) => (row % 15 === 0 ? 1 : 0))
  // Twentieths, so that scores tie now and then.
  const scoresOf = (by: number): Float64Array =>
    Float64Array.from(rows, (row) => Math.round(20 * (next() + by * (truth[row] ?? 0))) / 40)
  return {
    truth,
    cards: rows.map((row) => 1_000 + (row % 40)),
    scores: scoresOf(strength),
    others: scoresOf(otherStrength),
  }
}

/** The same draws, with rows repeated as often as their card is drawn. */
function slowDifferences(weeks: readonly TwiceScored[], draws: number): readonly number[] {
  const next = randomOf(SEED_OF_DRAWS)
  return Array.from({ length: draws }, () => {
    const differences = weeks.map(({ scores, others, truth, cards }) => {
      const distinct = [...new Set(cards)]
      const drawn = distinct.map(() => distinct[Math.floor(next() * distinct.length)])
      const rows = drawn.flatMap((card) => [...cards.keys()].filter((row) => cards[row] === card))
      const precision = (of: Float64Array): number =>
        averagePrecision({
          scores: Float64Array.from(rows, (row) => of[row] ?? NaN),
          truth: Uint8Array.from(rows, (row) => truth[row] ?? 0),
        })
      return precision(scores) - precision(others)
    })
    return differences.reduce((sum, each) => sum + each, 0) / weeks.length
  })
}

test('the interval equals that of rows repeated as often as their card is drawn', () => {
  const weeks = [weekOf(1, 0.7, 0.5), weekOf(2, 0.7, 0.5)]
  const found = pairedDifference(weeks, 41)
  const sorted = [...slowDifferences(weeks, 41)].sort((a, b) => a - b)
  const near = (value: number, expected: number | undefined): void => {
    assert.ok(Math.abs(value - (expected ?? NaN)) < 1e-12, `${value}, expected ${expected ?? ''}`)
  }
  near(found.low, sorted[1])
  near(found.median, sorted[20])
  near(found.high, sorted[39])
  const mean = (side: 'scores' | 'others'): number =>
    weeks.reduce((sum, week) => {
      return sum + averagePrecision({ scores: week[side], truth: week.truth }) / weeks.length
    }, 0)
  near(found.precision, mean('scores'))
  near(found.otherPrecision, mean('others'))
})

test('equal scorers have no difference, a better one a positive difference in every draw', () => {
  const week = weekOf(3, 0.6, 0.6)
  const equal = pairedDifference([{ ...week, others: week.scores }], 50)
  assert.deepEqual([equal.low, equal.median, equal.high], [0, 0, 0])
  assert.ok(pairedDifference([weekOf(4, 2, 0)], 200).low > 0)
  assert.ok(pairedDifference([weekOf(4, 0, 2)], 200).high < 0)
})

test('scores of another model are found by transaction and training week, or refused by name', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-others-'))
  t.after(() => {
    rmSync(folder, { recursive: true })
  })
  const file = (text: string): string => {
    const path = join(folder, 'others.csv')
    writeFileSync(path, text)
    return path
  }
  const isInvalid = (said: RegExp) => (error: unknown) =>
    isSluiceError(error, 'SLUICE_INPUT_INVALID') && said.test(error.message)
  const byWeek =
    'period,train_start,transaction_id,score\na,2018-07-25,7,0.5\na,2018-08-01,7,0.25\n'
  const scores = await readOtherScores(file(byWeek))
  assert.deepEqual(
    [scores.scoreOf('2018-07-25', '7'), scores.scoreOf('2018-08-01', '7')],
    [0.5, 0.25],
  )
  assert.throws(() => scores.scoreOf('2018-08-08', '7'), isInvalid(/no score of transaction 7/))
  const once = await readOtherScores(file('transaction_id,score\n7,1e-3\n'))
  assert.equal(once.scoreOf('2018-07-25', '7'), 0.001)
  await assert.rejects(readOtherScores(file('id,score\n7,1\n')), isInvalid(/needs the columns/))
  await assert.rejects(readOtherScores(file('transaction_id,score\n7,\n')), isInvalid(/line 2/))
  const twice = 'transaction_id,score\n7,1\n7,1\n'
  await assert.rejects(readOtherScores(file(twice)), isInvalid(/line 3: a second score/))
})
