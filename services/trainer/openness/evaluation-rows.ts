// Evaluation data of a model folder: rows of the test period as a compressed CSV file, from which anybody computes the
// scores and the figures again. A row has event time, truth, the score that the trainer saw, and every feature; an
// empty cell is an absent value. Numbers are written so that the same bits are read back.

import { gunzipSync, gzipSync } from 'node:zlib'
import { corrupt } from '../../core/scoring/field-reader.ts'
import type { ClassWeights } from '../metrics.ts'
import type { ScoredPeriod } from './release.ts'

export const ROWS_FILE = 'evaluation/test-rows.csv.gz'

/** Limits of the file: compressed on writing, text on reading. */
export const ROWS_BYTES_MAX = 900_000
const TEXT_BYTES_MAX = 64 * 1024 * 1024

/** Rows of one class to begin with; fewer when the file would be too large. */
const CLASS_ROWS_MAX = 8_192

const LEADING_COLUMNS = ['event_time_ms', 'is_fraud', 'score'] as const

/** Rows that are shipped, or were read back. */
export interface EvaluationRows {
  readonly rowCount: number
  /** Raw feature values; NaN is absent. */
  readonly rows: Float64Array
  readonly truth: Uint8Array
  readonly scores: Float64Array
}

/** A sample that fits, with how it was drawn. */
export interface ShippedRows extends EvaluationRows {
  readonly text: string
  readonly bytes: Buffer
  /** Every so many-th row of each class was taken. */
  readonly every: ClassWeights
  /** For how many rows of its class each shipped row stands. */
  readonly weights: ClassWeights
}

/** Takes all rows if they fit, else every n-th of each class by event time, with as many frauds as possible. */
export function shipRows(period: ScoredPeriod, features: readonly string[]): ShippedRows {
  const { truth } = period.dataset
  const positions = (label: number): readonly number[] =>
    Array.from(period.indices.keys()).filter(
      (position) => truth[period.indices[position] ?? 0] === label,
    )
  const frauds = positions(1)
  const genuine = positions(0)
  const every = {
    fraud: Math.max(1, Math.ceil(frauds.length / CLASS_ROWS_MAX)),
    genuine: Math.max(1, Math.ceil(genuine.length / CLASS_ROWS_MAX)),
  }
  for (;;) {
    const chosenFrauds = frauds.filter((_, index) => index % every.fraud === 0)
    const chosenGenuine = genuine.filter((_, index) => index % every.genuine === 0)
    const chosen = [...chosenFrauds, ...chosenGenuine].sort((a, b) => a - b)
    const text = csvOf(period, chosen, features)
    const bytes = gzipSync(text, { level: 9 })
    if (bytes.length <= ROWS_BYTES_MAX || chosen.length <= 2) {
      const weights = {
        fraud: frauds.length / Math.max(1, chosenFrauds.length),
        genuine: genuine.length / Math.max(1, chosenGenuine.length),
      }
      return { ...parseRows(text, features), text, bytes, every: { ...every }, weights }
    }
    // Genuine rows are many and say little each, so they are thinned first.
    if (chosenGenuine.length > chosenFrauds.length) every.genuine += 1
    else every.fraud += 1
  }
}

function csvOf(
  { dataset, indices, scores }: ScoredPeriod,
  positions: readonly number[],
  features: readonly string[],
): string {
  const lines = [[...LEADING_COLUMNS, ...features].join(',')]
  for (const position of positions) {
    const row = indices[position] ?? 0
    const from = row * features.length
    const values = Array.from(dataset.rows.subarray(from, from + features.length), cell)
    const leading = [dataset.eventTimesMs[row], dataset.truth[row], scores[position]]
    lines.push([...leading.map((value) => cell(value ?? NaN)), ...values].join(','))
  }
  return `${lines.join('\n')}\n`
}

/** The shortest text that is read back as the same number; nothing for an absent one. */
function cell(value: number): string {
  return Number.isNaN(value) ? '' : String(value)
}

/** Unpacks the file. @throws SluiceError SLUICE_MODEL_CORRUPT when it is no gzip or larger than allowed. */
export function unpackRows(bytes: Uint8Array): string {
  try {
    return gunzipSync(bytes, { maxOutputLength: TEXT_BYTES_MAX }).toString('utf8')
  } catch (error) {
    throw corrupt(`${ROWS_FILE} cannot be unpacked`, error)
  }
}

/** Reads the rows back. @throws SluiceError SLUICE_MODEL_CORRUPT naming line and column. */
export function parseRows(text: string, features: readonly string[]): EvaluationRows {
  const [header = '', ...lines] = text.trimEnd().split('\n')
  if (header !== [...LEADING_COLUMNS, ...features].join(',')) {
    throw corrupt(`${ROWS_FILE} has other columns than the model's features`)
  }
  const rows = new Float64Array(lines.length * features.length)
  const truth = new Uint8Array(lines.length)
  const scores = new Float64Array(lines.length)
  for (const [index, line] of lines.entries()) {
    const cells = line.split(',')
    const where = `${ROWS_FILE} line ${index + 2}`
    if (cells.length !== LEADING_COLUMNS.length + features.length) {
      throw corrupt(`${where} has ${cells.length} cells`)
    }
    const numberAt = (at: number): number => {
      const value = cells[at] === '' ? NaN : Number(cells[at])
      if (cells[at] !== '' && !Number.isFinite(value)) {
        throw corrupt(`${where} column ${at + 1} is no number`)
      }
      return value
    }
    const isFraud = numberAt(1)
    if (isFraud !== 0 && isFraud !== 1) throw corrupt(`${where} has no truth`)
    truth[index] = isFraud
    scores[index] = numberAt(2)
    for (let feature = 0; feature < features.length; feature += 1) {
      rows[index * features.length + feature] = numberAt(LEADING_COLUMNS.length + feature)
    }
  }
  return { rowCount: lines.length, rows, truth, scores }
}
