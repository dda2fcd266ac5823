// Reads the CSV files that a protocol takes in addition to the history: the scores of another model, and the kind of
// each fraud.

import { SluiceError } from '../../core/errors.ts'
import { readCsvRows, listCsvFiles } from '../../platform/files/csv-files.ts'

/** Scores by training week and transaction. */
export interface OtherScores {
  /** Finds a score. @throws SluiceError SLUICE_INPUT_INVALID when the file does not have it. */
  scoreOf(trainStart: string, id: string): number
}

const ROWS_MAX = 8_000_000

/**
 * Reads a file with the columns transaction_id and score, and train_start where a transaction is scored once for each
 * training week.
 * @throws SluiceError SLUICE_INPUT_INVALID naming file and line.
 */
export async function readOtherScores(file: string): Promise<OtherScores> {
  const scores = new Map<string, number>()
  let columns: { readonly id: number; readonly score: number; readonly week: number } | null = null
  for await (const { line, cells } of readCsvRows(file, ',', null)) {
    if (columns === null) {
      columns = {
        id: cells.indexOf('transaction_id'),
        score: cells.indexOf('score'),
        week: cells.indexOf('train_start'),
      }
      if (columns.id < 0 || columns.score < 0) {
        throw invalid(`${file} needs the columns transaction_id and score`)
      }
      continue
    }
    const cell = cells[columns.score] ?? ''
    const score = cell.trim() === '' ? NaN : Number(cell)
    if (!Number.isFinite(score)) throw invalid(`${file}, line ${line}: "${cell}" is not a score`)
    const key = keyOf(columns.week < 0 ? '' : (cells[columns.week] ?? ''), cells[columns.id] ?? '')
    if (scores.has(key)) throw invalid(`${file}, line ${line}: a second score of the same row`)
    if (scores.size >= ROWS_MAX) throw invalid(`${file} has more than ${ROWS_MAX} rows`)
    scores.set(key, score)
  }
  const hasWeeks = columns !== null && columns.week >= 0
  return {
    scoreOf(trainStart, id) {
      const score = scores.get(keyOf(hasWeeks ? trainStart : '', id))
      if (score !== undefined) return score
      throw invalid(`${file} has no score of transaction ${id}, training week ${trainStart}`)
    },
  }
}

function keyOf(week: string, id: string): string {
  return `${week}/${id}`
}

function invalid(problem: string): SluiceError {
  return new SluiceError('SLUICE_INPUT_INVALID', `${problem}.`)
}

const ID_COLUMN = 'transaction_id'
const SCENARIO_COLUMN = 'tx_fraud_scenario'
const NONE = '0'

/**
 * Scenario by transaction id, frauds only, for an analysis of errors; null when the files lack the column. It is read
 * separately from the history, so it can become part of neither features nor nets.
 */
export async function readScenarios(
  paths: readonly string[],
  span: { readonly fromMs: number; readonly endMs: number },
): Promise<ReadonlyMap<string, string> | null> {
  const scenarios = new Map<string, string>()
  for (const file of await listCsvFiles(paths, span)) {
    let columns: readonly [id: number, scenario: number] | null = null
    for await (const { cells } of readCsvRows(file, ',', () => undefined)) {
      if (columns === null) {
        columns = [cells.indexOf(ID_COLUMN), cells.indexOf(SCENARIO_COLUMN)]
        if (columns.includes(-1)) return null
        continue
      }
      const [id, scenario] = [cells[columns[0]] ?? '', cells[columns[1]] ?? NONE]
      if (scenario !== NONE) scenarios.set(id, scenario)
    }
  }
  return scenarios
}
