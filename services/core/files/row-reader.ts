// One row of a file to one transaction and what its label column says. Everything that depends on the
// mapping alone is decided once per file; the same checks as for messages hold afterwards.

import { AUTHORISATIONS, CHANNELS, ENTRY_MODES } from '../transaction.ts'
import type { Transaction } from '../transaction.ts'
import { validateTransaction } from '../wire/validate-transaction.ts'
import { parseAmount, parseMinorAmount } from './amount.ts'
import { BadRow } from './bad-row.ts'
import type { BadRowReason } from './bad-row.ts'
import type { ColumnMapping, FieldConstants, ReplayField } from './column-mapping.ts'
import { parseEventTimeMs, parseUtcOffsetMinutes } from './event-time.ts'

/** What a row holds. */
export interface ReplayRow {
  readonly transaction: Transaction
  /** Null when the row is not labelled. */
  readonly verdict: 'fraud' | 'genuine' | null
}

/** Whether amounts of a file are `12.34` or `1234`. */
export type AmountUnit = 'major' | 'minor'

/** Reads the cells of one row. @throws BadRow when a cell cannot be read. */
export type ReadRow = (cells: readonly string[], rowId: string) => ReplayRow

const FRAUD_WORDS = new Set(['1', 'true', 'fraud', 'yes', 'y'])
const GENUINE_WORDS = new Set(['0', 'false', 'genuine', 'no', 'n'])
const UNLABELLED_WORDS = new Set(['', '2', '-1', 'unknown', 'unlabelled', 'unlabeled', 'null'])
const NUMBER = /^-?\d{1,4}(?:\.\d{1,20})?$/

/** Where the transaction's checks name a field otherwise than the mapping does. */
const FIELD_OF_CHECK: Readonly<Record<string, ReplayField>> = {
  eventTimeMs: 'eventTime',
  amountMinor: 'amount',
}

/** The default of `currency`, when neither a column nor a constant gives one. */
export const DEFAULT_CURRENCY = 'EUR'

/** Makes the reader for files with this header. Rows without an id column get `rowId` as id. */
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
    }
  }
}

function eventTimeMsOf(text: string, column: string): number {
  const timeMs = parseEventTimeMs(text)
  if (timeMs !== null) return timeMs
  const problem =
    'is no time from 2000 to 2100: give ISO 8601, or seconds or milliseconds since 1970'
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
  throw new BadRow('bad_number', column, text, 'is no offset such as +02:00 or minutes such as 120')
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
  throw new BadRow('unknown_word', column, text, `is none of ${words.join(', ')}`)
}

function verdictOf(text: string | null, column: string): ReplayRow['verdict'] {
  const lower = (text ?? '').toLowerCase()
  if (FRAUD_WORDS.has(lower)) return 'fraud'
  if (GENUINE_WORDS.has(lower)) return 'genuine'
  if (UNLABELLED_WORDS.has(lower)) return null
  const problem = 'is no label: use 1 or fraud, 0 or genuine, 2 or nothing for unlabelled'
  throw new BadRow('unknown_word', column, text, problem)
}

function refusedField(
  refused: { readonly reason: string; readonly field: string | null },
  transaction: Transaction,
  columnOf: ColumnOf,
): BadRow {
  const name = refused.field ?? 'id'
  const value = String(transaction[name as keyof Transaction] ?? '')
  const column = columnOf(FIELD_OF_CHECK[name] ?? (name as ReplayField))
  const reason: BadRowReason =
    refused.reason === 'card_number_suspected' ? 'card_number_suspected' : 'out_of_range'
  const problem =
    reason === 'card_number_suspected'
      ? 'looks like a card number: send a token instead'
      : `is not accepted for ${name}`
  return new BadRow(reason, column, value, problem)
}
