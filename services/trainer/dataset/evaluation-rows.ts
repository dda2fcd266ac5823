// Evaluation data of a model folder: rows of the test period as a compressed CSV file, from which anyone can
// recompute the scores and the figures. A row holds the event time, the truth, a weight, the trainer's score, every
// feature, the amount and, where the target of a cascade was asked, the earlier payments of the card that it read. An
// empty cell is an absent value. Numbers are written so that the same bits are read back.
//
// A period that is too large is thinned. Frauds and the genuine rows with the highest scores determine the figures,
// so they are retained; of the many other genuine rows every n-th is shipped.

import { gunzipSync, gzipSync } from 'node:zlib'
import { SEQUENCE_EVENTS, SEQUENCE_LENGTH } from '../../core/features/engine/card-sequence.ts'
import { corrupt } from '../../core/scoring/field-reader.ts'
import type { VerifiableRows } from '../../core/scoring/scoring-model.ts'
import type { ScoredPeriod } from '../release.ts'
import { valueAt } from '../statistics.ts'

export const ROWS_FILE = 'evaluation/test-rows.csv.gz'

/** Limits of the file: compressed when written, text when read. The whole folder stays below two megabytes. */
export const ROWS_BYTES_MAX = 640_000
const TEXT_BYTES_MAX = 64 * 1024 * 1024

/** Number of genuine rows, those with the highest scores, that form a stratum of their own. */
const TOP_ROWS = 1_536

/** Rows per stratum at the start; fewer when the file would be too large. */
const PART_ROWS_MAX = 4_096

/** Factor by which the largest stratum is thinned when the file is too large. */
const THINNING = 1.25

const LEADING_COLUMNS = ['event_time_ms', 'is_fraud', 'weight', 'score'] as const

/** Columns after the features: the amount and the earlier payments as writeSequence writes them, newest first. */
export const SEQUENCE_COLUMNS = [
  'amount_minor',
  ...Array.from({ length: SEQUENCE_EVENTS }, (_, index) => [
    `earlier_${index + 1}_amount_minor`,
    `earlier_${index + 1}_age_ms`,
    `earlier_${index + 1}_time_of_day_ms`,
    `earlier_${index + 1}_category`,
  ]).flat(),
]

/** Rows that are shipped or were read back. Sequences are NaN throughout where the target was not asked. */
export interface EvaluationRows extends VerifiableRows {
  readonly rowCount: number
  readonly truth: Uint8Array
  readonly weights: Float64Array
  readonly scores: Float64Array
}

/** A sample that fits, with the rule by which it was drawn. */
export interface ShippedRows extends EvaluationRows {
  readonly text: string
  readonly bytes: Buffer
  readonly rule: string
}

/** Rows of one stratum, of which every n-th is shipped. */
interface Stratum {
  readonly name: string
  /** Positions in the period, by event time. */
  readonly positions: readonly number[]
  every: number
}

/** Takes all rows if they fit; otherwise thins the largest stratum until they do. */
export function shipRows(period: ScoredPeriod, features: readonly string[]): ShippedRows {
  const strata = strataOf(period)
  for (;;) {
    const chosen = strata.flatMap(({ positions, every }) => {
      const taken = positions.filter((_, index) => index % every === 0)
      return taken.map((position) => ({ position, weight: positions.length / taken.length }))
    })
    const text = csvOf(
      period,
      chosen.toSorted((a, b) => a.position - b.position),
      features,
    )
    const bytes = gzipSync(text, { level: 9 })
    if (bytes.length <= ROWS_BYTES_MAX || chosen.length <= strata.length) {
      return { ...parseRows(text, features), text, bytes, rule: ruleOf(strata) }
    }
    thinLargest(strata)
  }
}

function strataOf({ dataset, indices, scores }: ScoredPeriod): readonly Stratum[] {
  const all = Array.from(indices.keys())
  const isFraud = (position: number): boolean => dataset.truth[valueAt(indices, position)] === 1
  const genuine = all.filter((position) => !isFraud(position))
  const byScore = genuine.toSorted((a, b) => valueAt(scores, b) - valueAt(scores, a))
  const top = new Set(byScore.slice(0, TOP_ROWS))
  const part = (name: string, positions: readonly number[]): Stratum => ({
    name,
    positions,
    every: Math.max(1, Math.ceil(positions.length / PART_ROWS_MAX)),
  })
  return [
    part('frauds', all.filter(isFraud)),
    part(
      'genuine rows with the highest scores',
      genuine.filter((position) => top.has(position)),
    ),
    part(
      'other genuine rows',
      genuine.filter((position) => !top.has(position)),
    ),
  ]
}

function thinLargest(strata: readonly Stratum[]): void {
  const sizeOf = ({ positions, every }: Stratum): number => positions.length / every
  const [largest] = strata.toSorted((a, b) => sizeOf(b) - sizeOf(a))
  if (largest !== undefined) largest.every = Math.ceil(largest.every * THINNING)
}

function ruleOf(strata: readonly Stratum[]): string {
  return strata
    .map(({ name, positions: { length }, every }) =>
      every === 1 ? `all ${length} ${name}` : `one in ${every} of ${length} ${name}`,
    )
    .join(', ')
}

function columnsOf(features: readonly string[]): readonly string[] {
  return [...LEADING_COLUMNS, ...features, ...SEQUENCE_COLUMNS]
}

function csvOf(
  { dataset, indices, scores, verified }: ScoredPeriod,
  chosen: readonly { readonly position: number; readonly weight: number }[],
  features: readonly string[],
): string {
  const lines = [columnsOf(features).join(',')]
  for (const { position, weight } of chosen) {
    const row = valueAt(indices, position)
    const from = row * features.length
    const values = dataset.rows.subarray(from, from + features.length)
    const truth = valueAt(dataset.truth, row)
    const leading = [valueAt(dataset.eventTimesMs, row), truth, weight, valueAt(scores, position)]
    const start = row * SEQUENCE_LENGTH
    const sequence = dataset.sequences
      .slice(start, start + SEQUENCE_LENGTH)
      .map((value) => (verified[position] === 1 ? value : NaN))
    const amountMinor = valueAt(dataset.amountsMinor, row)
    lines.push([...leading, ...values, amountMinor, ...sequence].map(cell).join(','))
  }
  return `${lines.join('\n')}\n`
}

/** The shortest text that is read back as the same number; empty for an absent value. */
function cell(value: number): string {
  return Number.isNaN(value) ? '' : String(value)
}

/** Unpacks the file. @throws SluiceError SLUICE_MODEL_CORRUPT when it is not gzip or larger than allowed. */
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
  const columns = columnsOf(features)
  if (header !== columns.join(',')) {
    throw corrupt(`${ROWS_FILE} has other columns than the model's features`)
  }
  const rows = new Float64Array(lines.length * features.length)
  const truth = new Uint8Array(lines.length)
  const weights = new Float64Array(lines.length)
  const scores = new Float64Array(lines.length)
  const amountsMinor = new Float64Array(lines.length)
  const sequences = new Float64Array(lines.length * SEQUENCE_LENGTH)
  for (const [index, line] of lines.entries()) {
    const cells = line.split(',')
    const where = `${ROWS_FILE} line ${index + 2}`
    if (cells.length !== columns.length) {
      throw corrupt(`${where} has ${cells.length} cells`)
    }
    const numberAt = (at: number): number => {
      const value = cells[at] === '' ? NaN : Number(cells[at])
      if (cells[at] !== '' && !Number.isFinite(value)) {
        throw corrupt(`${where} column ${at + 1} is not a number`)
      }
      return value
    }
    const isFraud = numberAt(1)
    if (isFraud !== 0 && isFraud !== 1) throw corrupt(`${where} has no truth`)
    truth[index] = isFraud
    weights[index] = numberAt(2)
    if (!(numberAt(2) >= 1)) throw corrupt(`${where} has no weight`)
    scores[index] = numberAt(3)
    for (let feature = 0; feature < features.length; feature += 1) {
      rows[index * features.length + feature] = numberAt(LEADING_COLUMNS.length + feature)
    }
    const amountAt = LEADING_COLUMNS.length + features.length
    amountsMinor[index] = numberAt(amountAt)
    if (Number.isNaN(numberAt(amountAt))) throw corrupt(`${where} has no amount`)
    for (let at = 0; at < SEQUENCE_LENGTH; at += 1) {
      sequences[index * SEQUENCE_LENGTH + at] = numberAt(amountAt + 1 + at)
    }
  }
  return { rowCount: lines.length, rows, sequences, amountsMinor, truth, weights, scores }
}
