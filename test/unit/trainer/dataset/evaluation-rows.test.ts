// Goal: shipped rows are read back bit for bit, and their figures match the period where it matters. Method: periods
// that fit and periods that do not.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SEQUENCE_LENGTH } from '../../../../services/core/features/engine/card-sequence.ts'
import { isSluiceError } from '../../../../services/core/errors.ts'
import {
  ROWS_BYTES_MAX,
  parseRows,
  shipRows,
  unpackRows,
} from '../../../../services/trainer/dataset/evaluation-rows.ts'
import type { ScoredPeriod } from '../../../../services/trainer/release.ts'
import { measureScores } from '../../../../services/trainer/metrics.ts'
import { randomOf } from '../../../../services/trainer/statistics.ts'

const FEATURES = Array.from({ length: 12 }, (_, index) => `feature_${index}`)
const THRESHOLDS = { flag: 0.6, block: 0.9 }

/** The period is the second half of a dataset. One row in 50 is a fraud. */
function periodOf(rowCount: number): ScoredPeriod {
  const next = randomOf(rowCount)
  const all = 2 * rowCount
  const rows = Float64Array.from({ length: all * FEATURES.length }, (_, at) =>
    at % 7 === 0 ? NaN : next() * 10 ** (at % 12) - (at % 3),
  )
  const truth = Uint8Array.from({ length: all }, (_, row) => (row % 50 === 0 ? 1 : 0))
  return {
    dataset: {
      rows,
      truth,
      // Two earlier payments each.
      sequences: Float64Array.from({ length: all * SEQUENCE_LENGTH }, (_, at) =>
        at % SEQUENCE_LENGTH < 4 ? 10 * (at % 97) : NaN,
      ),
      amountsMinor: Float64Array.from(truth, (_, row) => 100 + (row % 89)),
      eventTimesMs: Float64Array.from(truth, (_, row) => 1e12 + row * 1_000),
      cards: Uint32Array.from(truth, (_, row) => row % 100),
    },
    indices: Uint32Array.from({ length: rowCount }, (_, index) => rowCount + index),
    scores: Float64Array.from({ length: rowCount }, (_, index) =>
      Math.min(1, next() ** 6 + ((truth[rowCount + index] ?? 0) === 1 ? 0.5 * next() : 0)),
    ),
    verified: Uint8Array.from({ length: rowCount }, (_, index) => (index % 3 === 0 ? 1 : 0)),
  }
}

test('a period that fits is shipped completely, and read back bit for bit', () => {
  const period = periodOf(500)
  const shipped = shipRows(period, FEATURES)
  assert.equal(shipped.rowCount, 500)
  const { rows, truth, scores, weights, amountsMinor, sequences } = parseRows(
    unpackRows(shipped.bytes),
    FEATURES,
  )
  assert.deepEqual(rows, period.dataset.rows.slice(500 * FEATURES.length))
  assert.deepEqual(truth, period.dataset.truth.slice(500))
  assert.deepEqual(scores, period.scores)
  assert.deepEqual(amountsMinor, period.dataset.amountsMinor.slice(500))
  assert.ok(weights.every((weight) => weight === 1))
  for (let row = 0; row < 500; row += 1) {
    const from = (500 + row) * SEQUENCE_LENGTH
    const expected = period.dataset.sequences.slice(from, from + SEQUENCE_LENGTH)
    // Rows that the target was not asked about have no sequence.
    if (row % 3 !== 0) expected.fill(NaN)
    assert.deepEqual(sequences.slice(row * SEQUENCE_LENGTH, (row + 1) * SEQUENCE_LENGTH), expected)
  }
})

test('a period that is too large is thinned until it fits, the same each time, and represents all rows', () => {
  const period = periodOf(40_000)
  const shipped = shipRows(period, FEATURES)
  assert.ok(shipped.bytes.length <= ROWS_BYTES_MAX)
  assert.ok(shipped.rowCount < 40_000)
  assert.deepEqual(shipRows(period, FEATURES).bytes, shipped.bytes)
  assert.match(
    shipped.rule,
    /all \d+ frauds, all 1536 genuine rows.*one in \d+ of \d+ other genuine rows/,
  )
  const sum = shipped.weights.reduce((total, weight) => total + weight, 0)
  assert.ok(Math.abs(sum - 40_000) < 1e-6, `${sum}`)
})

test('figures of thinned rows match the period: exactly above the flag threshold, nearly below', () => {
  const period = periodOf(40_000)
  const shipped = measureScores(shipRows(period, FEATURES), THRESHOLDS)
  const whole = measureScores(
    { scores: period.scores, truth: period.dataset.truth.slice(40_000) },
    THRESHOLDS,
  )
  assert.ok(whole.block.alerts > 100 && whole.block.alerts < 1_536)
  for (const [found, expected, allowed] of [
    [shipped.block.alerts, whole.block.alerts, 0],
    [shipped.block.precision, whole.block.precision, 1e-12],
    [shipped.recallAtFalsePositives01Percent, whole.recallAtFalsePositives01Percent, 1e-12],
    [shipped.averagePrecision, whole.averagePrecision, 1e-3],
    [shipped.aucRoc, whole.aucRoc, 0.01],
  ] as const) {
    assert.ok(Math.abs(found - expected) <= allowed, `${found}, expected ${expected}`)
  }
})

test('a text that does not hold rows of these features is refused with its line', () => {
  const { text } = shipRows(periodOf(100), FEATURES)
  const lines = text.split('\n')
  const replaced = (line: number, change: (cells: string[]) => void): string => {
    const cells = (lines[line - 1] ?? '').split(',')
    change(cells)
    return lines.with(line - 1, cells.join(',')).join('\n')
  }
  const cases: readonly (readonly [string, RegExp])[] = [
    [replaced(1, (cells) => cells.splice(5, 1, 'other')), /other columns/],
    [replaced(3, (cells) => cells.pop()), /line 3 has 80 cells/],
    [replaced(4, (cells) => cells.splice(1, 1, '2')), /line 4 has no truth/],
    [replaced(4, (cells) => cells.splice(2, 1, '')), /line 4 has no weight/],
    [replaced(5, (cells) => cells.splice(6, 1, 'Infinity')), /line 5 column 7 is not a number/],
    [replaced(6, (cells) => cells.splice(16, 1, '')), /line 6 has no amount/],
    [replaced(7, (cells) => cells.splice(17, 1, 'x')), /line 7 column 18 is not a number/],
  ]
  for (const [broken, said] of cases) {
    assert.throws(
      () => parseRows(broken, FEATURES),
      (error) => isSluiceError(error, 'SLUICE_MODEL_CORRUPT') && said.test(error.message),
    )
  }
  assert.throws(
    () => unpackRows(Buffer.from(text)),
    (error) => isSluiceError(error, 'SLUICE_MODEL_CORRUPT'),
  )
})
