// Rows for the fairness gate from a file of comma separated values: `fraud` (0 or 1), the columns of the rule, and either
// `score`, or every feature by its name, which the candidate then scores. With the columns of the payments before, named as
// in the evaluation rows of a model folder, a cascade scores them as a whole, else with its draft.

import { createReadStream } from 'node:fs'
import { createGunzip } from 'node:zlib'
import { pipeline } from 'node:stream'
import { CsvError, parse } from 'csv-parse'
import { SluiceError } from '../../core/errors.ts'
import { FEATURE_COUNT, FEATURE_NAMES } from '../../core/features/catalogue/feature-list.ts'
import { SEQUENCE_COLUMNS } from '../../trainer/index.ts'
import { CandidateRows, countScore, type GateSource, type RowPast } from './candidate-rows.ts'

const ROW_BYTES_MAX = 65_536
const [AMOUNT_COLUMN = ''] = SEQUENCE_COLUMNS

interface Columns {
  readonly fraud: number
  readonly groups: readonly number[]
  /** Null: the candidate scores the features. */
  readonly score: number | null
  readonly features: readonly number[]
  /** The amount, then the payments before; null without. */
  readonly past: readonly number[] | null
}

/** Where the scores came from: the file, the whole candidate, or the draft of a cascade. */
export type ScoredBy = 'file' | 'whole' | 'draft'

/** Counts every row. @throws SluiceError SLUICE_INPUT_INVALID naming file, line and column. */
export async function countFile(source: GateSource, file: string): Promise<ScoredBy> {
  let rows = new CandidateRows(source)
  let columns: Columns | null = null
  let line = 0
  for await (const cells of readRows(file)) {
    line += 1
    if (columns === null) {
      columns = columnsOf(cells, source, file)
      rows = new CandidateRows(source, columns.past !== null)
      continue
    }
    const where = `${file}, row ${line}`
    const values = columns.groups.map((at) => cells[at] ?? '')
    const isFraud = fraudOf(cells[columns.fraud], where)
    if (columns.score !== null) {
      countScore(source, numberOf(cells[columns.score], 'score', where), values, isFraud)
      continue
    }
    const row = new Float64Array(FEATURE_COUNT)
    for (const [feature, at] of columns.features.entries()) {
      const cell = cells[at] ?? ''
      row[feature] = cell === '' ? NaN : numberOf(cell, FEATURE_NAMES[feature] ?? '', where)
    }
    await rows.add(row, values, isFraud, pastOf(columns, cells, where))
  }
  await rows.flush()
  if (columns === null || columns.score !== null) return 'file'
  return source.candidate.verifier === null || columns.past !== null ? 'whole' : 'draft'
}

function pastOf({ past }: Columns, cells: readonly string[], where: string): RowPast | null {
  if (past === null) return null
  const [amountAt = 0, ...places] = past
  return {
    amountMinor: numberOf(cells[amountAt], AMOUNT_COLUMN, where),
    sequence: Float64Array.from(places, (at, index) => {
      const cell = cells[at] ?? ''
      return cell === '' ? NaN : numberOf(cell, SEQUENCE_COLUMNS[index + 1] ?? '', where)
    }),
  }
}

async function* readRows(file: string): AsyncGenerator<readonly string[]> {
  const parser = parse({ bom: true, skip_empty_lines: true, max_record_size: ROW_BYTES_MAX })
  const bytes = createReadStream(file)
  const done = (): void => undefined
  if (file.endsWith('.gz')) pipeline(bytes, createGunzip(), parser, done)
  else pipeline(bytes, parser, done)
  try {
    for await (const cells of parser) yield cells as readonly string[]
  } catch (error) {
    if (error instanceof SluiceError) throw error
    const problem = error instanceof Error ? error.message : String(error)
    const what = error instanceof CsvError ? 'is no CSV' : 'cannot be read'
    throw invalid(`${file} ${what}: ${problem}`, error)
  }
}

function columnsOf(header: readonly string[], { rule }: GateSource, file: string): Columns {
  const place = (name: string): number => {
    const at = header.indexOf(name)
    if (at < 0) throw invalid(`${file} has no column "${name}"; it has ${header.join(', ')}`)
    return at
  }
  const score = header.indexOf('score')
  return {
    fraud: place('fraud'),
    groups: rule.groups.map(({ column }) => place(column)),
    score: score < 0 ? null : score,
    features: score < 0 ? FEATURE_NAMES.map(place) : [],
    past: score < 0 && header.includes(AMOUNT_COLUMN) ? SEQUENCE_COLUMNS.map(place) : null,
  }
}

function fraudOf(cell: string | undefined, where: string): boolean {
  if (cell === '1' || cell === 'true') return true
  if (cell === '0' || cell === 'false') return false
  throw invalid(`${where}: fraud is "${cell ?? ''}", but must be 0 or 1`)
}

function numberOf(cell: string | undefined, column: string, where: string): number {
  const value = cell === undefined || cell.trim() === '' ? NaN : Number(cell)
  if (Number.isNaN(value))
    throw invalid(`${where}: ${column} is "${cell ?? ''}", but must be a number`)
  return value
}

function invalid(problem: string, cause?: unknown): SluiceError {
  return new SluiceError('SLUICE_INPUT_INVALID', `${problem}.`, { cause })
}
