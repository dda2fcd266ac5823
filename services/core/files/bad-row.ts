// What can be wrong with one row of a file: a closed list of reasons, and the error that names all of it.

import { SluiceError } from '../errors.ts'

/** Why a row cannot be sent; also the key under which skipped rows are counted. Closed list. */
export type BadRowReason =
  | 'not_csv'
  | 'column_count'
  | 'missing_value'
  | 'bad_time'
  | 'bad_amount'
  | 'bad_number'
  | 'unknown_word'
  | 'out_of_range'
  | 'card_number_suspected'
  | 'out_of_order'

/** Rows left out, by reason; reasons that never occurred are absent. */
export type SkippedRows = Readonly<Partial<Record<BadRowReason, number>>>

const VALUE_CHARACTERS_MAX = 40

/** A row that cannot be sent. Thrown between the row reader and the replay, and never beyond. */
export class BadRow extends Error {
  readonly reason: BadRowReason
  readonly column: string | null

  /** `problem` goes on after the value: `"12.345" has more than 2 decimals`. */
  constructor(reason: BadRowReason, column: string | null, value: string | null, problem: string) {
    super(value === null ? problem : `${shown(reason, value)} ${problem}`)
    this.name = 'BadRow'
    this.reason = reason
    this.column = column
  }
}

/** The error for a row that is not skipped: file, line, column, value, remedy. */
export function badRowError(file: string, line: number, row: BadRow): SluiceError {
  const where = row.column === null ? '' : `, column ${row.column}`
  return new SluiceError(
    'SLUICE_INPUT_INVALID',
    `${file} line ${line}${where}: ${row.message}. Correct it, or leave such rows out with ` +
      `--skip-bad${row.reason === 'out_of_order' ? ' or order them with --sort' : ''}.`,
    { details: { file, line, column: row.column, reason: row.reason } },
  )
}

function shown(reason: BadRowReason, value: string): string {
  // What may be a card number is never repeated, not even to say that it is one.
  const safe = reason === 'card_number_suspected' ? value.replaceAll(/\d/g, '*') : value
  return JSON.stringify(
    safe.length > VALUE_CHARACTERS_MAX ? `${safe.slice(0, VALUE_CHARACTERS_MAX)}...` : safe,
  )
}
