// Maps columns of imported files to fields: names, units, time formats, translated words, and constants.

import { SluiceError } from '../errors.ts'
import {
  checkFields,
  type ColumnMapping,
  type FieldConstants,
  type ReplayField,
} from '../files/column-mapping.ts'
import type { AmountUnit } from '../files/row-reader.ts'

/** Format of times; `auto` recognises the format of each value. */
export const TIME_FORMATS = ['auto', 'epoch_s', 'epoch_ms'] as const
export type TimeFormat = (typeof TIME_FORMATS)[number]

export interface ImportMapping {
  readonly columns: ColumnMapping
  readonly constants: FieldConstants
  readonly amountUnit: AmountUnit
  readonly timeFormat: TimeFormat
  /** By field, the translation of a word of the file. */
  readonly words: Readonly<Partial<Record<ReplayField, Readonly<Record<string, string>>>>>
}

export const NO_MAPPING: ImportMapping = {
  columns: {},
  constants: {},
  amountUnit: 'major',
  timeFormat: 'auto',
  words: {},
}

type Fields = Readonly<Record<string, unknown>>

/**
 * Checks the content of a mapping file; `what` names the file in errors.
 * @throws SluiceError SLUICE_USAGE naming the first fault.
 */
export function parseImportMapping(what: string, value: unknown): ImportMapping {
  const top = fieldsOf(what, value, ['columns', 'constants'])
  const constants = fieldsOf(`${what}: constants`, top['constants'] ?? {}, null)
  const columns: [string, unknown][] = []
  const words: [string, Readonly<Record<string, string>>][] = []
  let amountUnit: AmountUnit = 'major'
  let timeFormat: TimeFormat = 'auto'
  for (const [field, given] of Object.entries(
    fieldsOf(`${what}: columns`, top['columns'] ?? {}, null),
  )) {
    if (typeof given === 'string') {
      columns.push([field, given])
      continue
    }
    const name = `${what}: columns.${field}`
    const more = fieldsOf(name, given, ['column', 'unit', 'format', 'words'])
    columns.push([field, more['column']])
    if (more['unit'] !== undefined) {
      if (field !== 'amount') throw usage(`${name}: only amount has a unit`)
      amountUnit = wordOf(`${name}.unit`, more['unit'], ['major', 'minor'] as const)
    }
    if (more['format'] !== undefined) {
      if (field !== 'eventTime') throw usage(`${name}: only eventTime has a format`)
      timeFormat = wordOf(`${name}.format`, more['format'], TIME_FORMATS)
    }
    if (more['words'] !== undefined) words.push([field, wordsOf(`${name}.words`, more['words'])])
  }
  return {
    columns: checkFields(`${what}: columns`, columns),
    // YAML reads 978 as a number; a constant is the text that a cell would contain.
    constants: checkFields(
      `${what}: constants`,
      Object.entries(constants).map(([field, given]) => [field, scalarText(given)]),
    ),
    amountUnit,
    timeFormat,
    words: Object.fromEntries(words),
  }
}

/** The conversion of a cell of the file into one that the row reader understands; null when none is needed. */
export function cellReader(
  { timeFormat, words }: ImportMapping,
  field: ReplayField,
): ((cell: string) => string) | null {
  const ours = words[field]
  // A word without translation passes unchanged; the row reader refuses it when it is unknown.
  if (ours !== undefined) return (cell) => ours[cell] ?? cell
  if (field !== 'eventTime' || timeFormat === 'auto') return null
  return timeFormat === 'epoch_s' ? secondsToMs : (cell) => cell.replace(/\.\d+$/, '')
}

/** Works on the text, since a float cannot represent every millisecond of a time in seconds. */
function secondsToMs(cell: string): string {
  const match = /^(\d{1,10})(?:\.(\d+))?$/.exec(cell)
  if (match === null) return cell
  return `${match[1] ?? ''}${(match[2] ?? '').padEnd(3, '0').slice(0, 3)}`
}

function fieldsOf(what: string, value: unknown, known: readonly string[] | null): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw usage(`${what} must be an object with names and values`)
  }
  const other = known === null ? [] : Object.keys(value).filter((name) => !known.includes(name))
  if (other.length > 0) {
    throw usage(`${what} has "${other[0] ?? ''}", which is not one of ${(known ?? []).join(', ')}`)
  }
  return value as Fields
}

function wordsOf(what: string, value: unknown): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(fieldsOf(what, value, null)).map(([theirs, ours]) => {
      const text = scalarText(ours)
      if (text === null) throw usage(`${what}: "${theirs}" must be translated to a word`)
      return [theirs, text]
    }),
  )
}

function wordOf<Word extends string>(what: string, value: unknown, words: readonly Word[]): Word {
  const found = words.find((word) => word === value)
  if (found === undefined) throw usage(`${what} must be one of ${words.join(', ')}`)
  return found
}

function scalarText(value: unknown): string | null {
  if (typeof value === 'string') return value
  return typeof value === 'number' || typeof value === 'boolean' ? String(value) : null
}

function usage(problem: string): SluiceError {
  return new SluiceError('SLUICE_USAGE', `${problem}. See docs/lake.md for an example.`)
}
