// Converts one row of a file into a transaction and the verdict of its label column. Everything that depends only on the
// mapping is decided once per file; the result passes the same checks as a message.

import { minorDigitsOf } from '../currency.ts'
import { SluiceError } from '../errors.ts'
import {
  AUTHORISATIONS,
  CHANNELS,
  ENTRY_MODES,
  type Label,
  type Transaction,
} from '../transaction.ts'
import { validateTransaction } from '../wire/validation.ts'
import type { ColumnMapping, FieldConstants, ReplayField } from './column-mapping.ts'
import { parseEventTimeMs, parseUtcOffsetMinutes } from './event-time.ts'

/** The content of one row. */
export interface ReplayRow {
  readonly transaction: Transaction
  /** Null when the row is not labelled. */
  readonly verdict: 'fraud' | 'genuine' | null
}

/** Unit in which a file writes amounts: `12.34` or `1234`. */
export type AmountUnit = 'major' | 'minor'

/** Reads the cells of one row. @throws BadRow when a cell cannot be read. */
export type ReadRow = (cells: readonly string[], rowId: string) => ReplayRow

const FRAUD_WORDS = new Set(['1', 'true', 'fraud', 'yes', 'y'])
const GENUINE_WORDS = new Set(['0', 'false', 'genuine', 'no', 'n'])
const UNLABELLED_WORDS = new Set(['', '2', '-1', 'unknown', 'unlabelled', 'unlabeled', 'null'])
const NUMBER = /^-?\d{1,4}(?:\.\d{1,20})?$/

/** Fields that the transaction's checks name differently from the mapping. */
const FIELD_OF_CHECK: Readonly<Record<string, ReplayField>> = {
  eventTimeMs: 'eventTime',
  amountMinor: 'amount',
}

/** Currency of a row when neither a column nor a constant gives one. */
export const DEFAULT_CURRENCY = 'EUR'

/** Compiles the reader for files with this header. Rows without an id column get `rowId` as their id. */
export function compileRowReader(
  header: readonly string[],
  mapping: ColumnMapping,
  constants: FieldConstants,
  amountUnit: AmountUnit = 'major',
): ReadRow {
  const cellOf = (field: ReplayField): ((cells: readonly string[]) => string | null) => {
    const constant = constants[field]
    if (constant !== undefined) return () => constant
    const column = mapping[field]
    if (column === undefined) return () => null
    const index = header.indexOf(column)
    return (cells) => {
      const cell = (cells[index] ?? '').trim()
      return cell === '' ? null : cell
    }
  }
  const columnOf = (field: ReplayField): string => mapping[field] ?? `${field} (constant)`
  const read = compileFields(cellOf, columnOf, amountUnit)
  const labelOf = cellOf('label')
  return (cells, rowId) => {
    if (cells.length !== header.length) {
      const problem = `the row has ${cells.length} cells, the header ${header.length}`
      throw new BadRow('column_count', null, null, problem)
    }
    const transaction = read(cells, rowId)
    const checked = validateTransaction(transaction)
    if (!checked.ok) throw refusedField(checked, transaction, columnOf)
    return { transaction, verdict: verdictOf(labelOf(cells), columnOf('label')) }
  }
}

type CellOf = (field: ReplayField) => (cells: readonly string[]) => string | null
type ColumnOf = (field: ReplayField) => string

function compileFields(
  cellOf: CellOf,
  columnOf: ColumnOf,
  amountUnit: AmountUnit,
): (cells: readonly string[], rowId: string) => Transaction {
  const required = (field: ReplayField): ((cells: readonly string[]) => string) => {
    const cell = cellOf(field)
    return (cells) => {
      const value = cell(cells)
      if (value === null) {
        throw new BadRow('missing_value', columnOf(field), null, `${field} is empty`)
      }
      return value
    }
  }
  const number = (field: ReplayField): ((cells: readonly string[]) => number | null) => {
    const cell = cellOf(field)
    return (cells) => {
      const value = cell(cells)
      if (value === null) return null
      if (!NUMBER.test(value)) {
        throw new BadRow('bad_number', columnOf(field), value, 'is not a decimal number')
      }
      return Number(value)
    }
  }
  const word = <Word extends string>(
    field: ReplayField,
    words: readonly Word[],
  ): ((cells: readonly string[]) => Word | null) => {
    const cell = cellOf(field)
    return (cells) => wordOf(cell(cells), words, columnOf(field))
  }
  const [idOf, currencyOf] = [cellOf('id'), cellOf('currency')]
  const [cardOf, timeOf, amountOf] = [required('card'), required('eventTime'), required('amount')]
  const [merchantOf, categoryOf] = [cellOf('merchant'), cellOf('merchantCategory')]
  const [terminalOf, countryOf] = [cellOf('terminal'), cellOf('country')]
  const [latitudeOf, longitudeOf] = [number('latitude'), number('longitude')]
  const [deviceOf, networkOf] = [cellOf('device'), cellOf('ipNetwork')]
  const [offsetOf, intentOf] = [cellOf('utcOffsetMinutes'), cellOf('intentId')]
  const channelOf = word('channel', CHANNELS)
  const entryModeOf = word('entryMode', ENTRY_MODES)
  const authorisationOf = word('authorisation', AUTHORISATIONS)
  return (cells, rowId) => {
    const currency = (currencyOf(cells) ?? DEFAULT_CURRENCY).toUpperCase()
    return {
      id: idOf(cells) ?? rowId,
      card: cardOf(cells),
      eventTimeMs: eventTimeMsOf(timeOf(cells), columnOf('eventTime')),
      amountMinor: amountMinorOf(amountOf(cells), currency, columnOf('amount'), amountUnit),
      currency,
      merchant: merchantOf(cells),
      merchantCategory: categoryOf(cells),
      terminal: terminalOf(cells),
      country: countryOf(cells)?.toUpperCase() ?? null,
      latitude: latitudeOf(cells),
      longitude: longitudeOf(cells),
      utcOffsetMinutes: utcOffsetMinutesOf(offsetOf(cells), columnOf('utcOffsetMinutes')),
      device: deviceOf(cells),
      ipNetwork: networkOf(cells),
      channel: channelOf(cells),
      entryMode: entryModeOf(cells),
      authorisation: authorisationOf(cells),
      intentId: intentOf(cells),
      attributes: null,
    }
  }
}

function eventTimeMsOf(text: string, column: string): number {
  const timeMs = parseEventTimeMs(text)
  if (timeMs !== null) return timeMs
  const problem =
    'is not a time from 2000 to 2100; use ISO 8601, or seconds or milliseconds since 1970'
  throw new BadRow('bad_time', column, text, problem)
}

function amountMinorOf(text: string, currency: string, column: string, unit: AmountUnit): number {
  const parsed = unit === 'minor' ? parseMinorAmount(text) : parseAmount(text, currency)
  if (parsed.ok) return parsed.amountMinor
  throw new BadRow('bad_amount', column, text, parsed.problem)
}

function utcOffsetMinutesOf(text: string | null, column: string): number | null {
  if (text === null) return null
  const minutes = parseUtcOffsetMinutes(text)
  if (minutes !== null) return minutes
  throw new BadRow(
    'bad_number',
    column,
    text,
    'is neither an offset such as +02:00 nor minutes such as 120',
  )
}

function wordOf<Word extends string>(
  text: string | null,
  words: readonly Word[],
  column: string,
): Word | null {
  if (text === null) return null
  const lower = text.toLowerCase()
  const found = words.find((word) => word === lower)
  if (found !== undefined) return found
  throw new BadRow('unknown_word', column, text, `is not one of ${words.join(', ')}`)
}

function verdictOf(text: string | null, column: string): ReplayRow['verdict'] {
  const lower = (text ?? '').toLowerCase()
  if (FRAUD_WORDS.has(lower)) return 'fraud'
  if (GENUINE_WORDS.has(lower)) return 'genuine'
  if (UNLABELLED_WORDS.has(lower)) return null
  const problem = 'is not a label; use 1 or fraud, 0 or genuine, and 2 or nothing for unlabelled'
  throw new BadRow('unknown_word', column, text, problem)
}

function refusedField(
  refused: { readonly reason: string; readonly field: string | null },
  transaction: Transaction,
  columnOf: ColumnOf,
): BadRow {
  const name = refused.field ?? 'id'
  const value = transaction[name as keyof Transaction] ?? ''
  const column = columnOf(FIELD_OF_CHECK[name] ?? (name as ReplayField))
  const reason: BadRowReason =
    refused.reason === 'card_number_suspected' ? 'card_number_suspected' : 'out_of_range'
  const problem =
    reason === 'card_number_suspected'
      ? 'looks like a card number: send a token instead'
      : `is not accepted for ${name}`
  return new BadRow(reason, column, typeof value === 'object' ? name : String(value), problem)
}

// Bad rows: a closed list of reasons, and the error that names file, line and column.

/** Reasons for which a row is refused; also the key under which skipped rows are counted. Closed list. */
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

/** Skipped rows by reason; reasons that never occurred are absent. */
export type SkippedRows = Readonly<Partial<Record<BadRowReason, number>>>

const VALUE_CHARACTERS_MAX = 40

/** A refused row. It never leaves the code that reads files: callers count it or throw `badRowError`. */
export class BadRow extends Error {
  readonly reason: BadRowReason
  readonly column: string | null

  /** `problem` follows the value in the message: `"12.345" has more than 2 decimals`. */
  constructor(reason: BadRowReason, column: string | null, value: string | null, problem: string) {
    super(value === null ? problem : `${shown(reason, value)} ${problem}`)
    this.name = 'BadRow'
    this.reason = reason
    this.column = column
  }
}

/** The error for a refused row: file, line, column, value, remedy. */
export function badRowError(file: string, line: number, row: BadRow): SluiceError {
  const where = row.column === null ? '' : `, column ${row.column}`
  return new SluiceError(
    'SLUICE_INPUT_INVALID',
    `${file} line ${line}${where}: ${row.message}. Correct it, or skip such rows with ` +
      `--skip-bad${row.reason === 'out_of_order' ? ' or order them with --sort' : ''}.`,
    { details: { file, line, column: row.column, reason: row.reason } },
  )
}

function shown(reason: BadRowReason, value: string): string {
  // A possible card number is never repeated, not even in the error about it (P8).
  const safe = reason === 'card_number_suspected' ? value.replaceAll(/\d/g, '*') : value
  return JSON.stringify(
    safe.length > VALUE_CHARACTERS_MAX ? `${safe.slice(0, VALUE_CHARACTERS_MAX)}...` : safe,
  )
}

/** The label of a row, known a fixed time after the transaction. */
export function labelOfRow(
  transaction: Transaction,
  verdict: Label['verdict'],
  labelDelayMs: number,
): Label {
  return {
    transactionId: transaction.id,
    card: transaction.card,
    eventTimeMs: transaction.eventTimeMs,
    knownAtMs: transaction.eventTimeMs + labelDelayMs,
    verdict,
    source: 'replay',
    merchant: transaction.merchant,
    terminal: transaction.terminal,
    device: transaction.device,
    ipNetwork: transaction.ipNetwork,
  }
}

// Decimal amounts to minor units, on the text alone: an amount is never a float.

/** More digits than the largest amount accepted in a message has. */
const WHOLE_DIGITS_MAX = 12
/** Numbers of so many digits are below 2^53, so their conversion is exact. */
const DIGITS_MAX = 15
const DECIMAL_AMOUNT = /^(\d+)(?:\.(\d+))?$/

/** An amount in minor units, or the problem with the text. */
export type AmountParse =
  | { readonly ok: true; readonly amountMinor: number }
  | { readonly ok: false; readonly problem: string }

/** Reads `1230`, or `1230.0` as float columns write it, as that many minor units. */
export function parseMinorAmount(text: string): AmountParse {
  const whole = /^(\d{1,15})(?:\.0+)?$/.exec(text)?.[1]
  if (whole === undefined) {
    return { ok: false, problem: 'is not a number of minor units such as 1234' }
  }
  return { ok: true, amountMinor: Number(whole) }
}

/** Reads `12.3` as 1230 minor units of a currency with two decimals. Exact. */
export function parseAmount(text: string, currency: string): AmountParse {
  const match = DECIMAL_AMOUNT.exec(text)
  if (match === null) {
    return { ok: false, problem: 'is not an amount such as 12.34 (no sign, no separators)' }
  }
  const whole = match[1] ?? ''
  const fraction = match[2] ?? ''
  const decimals = minorDigitsOf(currency)
  if (decimals === undefined) {
    return { ok: false, problem: `is in ${currency}, which is no currency of ISO 4217` }
  }
  if (fraction.length > decimals) {
    return { ok: false, problem: `has more than the ${decimals} decimals of ${currency}` }
  }
  const wholeMax = Math.min(WHOLE_DIGITS_MAX, DIGITS_MAX - decimals)
  if (whole.length > wholeMax) {
    return { ok: false, problem: `has more than ${wholeMax} digits before the point` }
  }
  return { ok: true, amountMinor: Number(whole + fraction.padEnd(decimals, '0')) }
}
