// The file of a rate table. A closed format: the reference currency, a header, and one rate per line.
//
//     # comment
//     reference,EUR
//     currency,from,rate
//     USD,2026-01-02,0.8532

import { minorDigitsOf } from '../currency.ts'
import { SluiceError } from '../errors.ts'
import { parseInstant } from './instant.ts'
import { createRateTable, type CurrencyRate, NO_RATE, type RateTable } from './rate-table.ts'

/** Limits of a table. The European Central Bank's whole history since 1999 is below them. */
export const RATES_LIMITS = { bytesMax: 16 * 2 ** 20, ratesMax: 400_000 } as const

/** Most faults that are collected of one file. */
const FAULTS_MAX = 20
const SHOWN_CHARACTERS_MAX = 40
const RATE = /^\d{1,12}(?:\.\d{1,18})?$/
/** 1999-01-01, the first day of the euro. */
const FROM_MS_MIN = 915_148_800_000
/** 2100-01-01. */
const FROM_MS_MAX = 4_102_444_800_000

/** A fault and the line that has it, from 1. */
export interface RatesFault {
  readonly line: number
  readonly message: string
}

/** A table, or the faults of its text in the order of their lines. */
export type ParsedRates =
  | { readonly ok: true; readonly table: RateTable }
  | { readonly ok: false; readonly faults: readonly RatesFault[] }

/** Reads the text of a table. Never throws. */
export function parseRates(text: string): ParsedRates {
  const faults: RatesFault[] = []
  if (Buffer.byteLength(text) > RATES_LIMITS.bytesMax) {
    return { ok: false, faults: [{ line: 1, message: tooLarge() }] }
  }
  const rows = new RatesRows(faults)
  for (const { line, text: row } of linesOf(text)) {
    rows.read(row, line)
    if (faults.length >= FAULTS_MAX) break
  }
  rows.end()
  return faults.length > 0
    ? { ok: false, faults }
    : { ok: true, table: createRateTable(rows.reference, rows.rates) }
}

/**
 * As `parseRates`. `place` names the file in the error.
 * @throws SluiceError SLUICE_RATES_INVALID with every fault and its line.
 */
export function readRates(text: string, place: string): RateTable {
  const parsed = parseRates(text)
  if (parsed.ok) return parsed.table
  throw ratesInvalid(place, parsed.faults)
}

/** The error for a table with faults. */
export function ratesInvalid(place: string, faults: readonly RatesFault[]): SluiceError {
  const lines = faults.map(({ line, message }) => `${place}:${line}: ${message}`)
  return new SluiceError(
    'SLUICE_RATES_INVALID',
    `The rate table ${place} is not used:\n${lines.join('\n')}\nCorrect it; "sluice rates check" shows every fault, and ` +
      'docs/money.md has the format.',
    { details: { place, faults } },
  )
}

/** The lines of a text that are neither empty nor comments, with their numbers. */
export function* linesOf(
  text: string,
): Generator<{ readonly line: number; readonly text: string }> {
  let line = 0
  for (const raw of text.replace(/^\uFEFF/, '').split('\n')) {
    line += 1
    const row = raw.trim()
    if (row !== '' && !row.startsWith('#')) yield { line, text: row }
  }
}

/** A decimal number above 0 as a table holds it. */
export function isRate(text: string): boolean {
  return RATE.test(text) && /[1-9]/.test(text)
}

/** Part of a line for a message about it. */
export function shown(text: string): string {
  return JSON.stringify(
    text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}...` : text,
  )
}

class RatesRows {
  readonly rates: CurrencyRate[] = []
  reference = ''
  readonly #faults: RatesFault[]
  readonly #seen = new Set<string>()
  #read = 0
  #last = 1

  constructor(faults: RatesFault[]) {
    this.#faults = faults
  }

  read(row: string, line: number): void {
    this.#last = line
    this.#read += 1
    const cells = row.split(',').map((cell) => cell.trim())
    if (this.#read === 1) this.#readReference(cells, line)
    else if (this.#read === 2) this.#readHeader(cells, line)
    else this.#readRate(cells, line)
  }

  end(): void {
    if (this.#read < 2) {
      this.#fault(
        this.#last,
        'the table ends before its header; it begins with "reference,EUR" and "currency,from,rate"',
      )
    }
  }

  #readReference([name, code = '', ...rest]: readonly string[], line: number): void {
    this.reference = code
    if (name !== 'reference' || rest.length > 0) {
      this.#fault(line, 'the first line must name the reference currency, such as "reference,EUR"')
    } else if (minorDigitsOf(code) === undefined) {
      this.#fault(line, `${shown(code)} is no currency of ISO 4217`)
    }
  }

  #readHeader(cells: readonly string[], line: number): void {
    if (cells.join(',') !== 'currency,from,rate') {
      this.#fault(line, 'the second line must be "currency,from,rate"')
    }
  }

  #readRate(cells: readonly string[], line: number): void {
    const [currency = '', from = '', rate = ''] = cells
    const fromMs = parseInstant(from)
    const key = `${currency},${fromMs}`
    if (cells.length !== 3) this.#fault(line, 'a line has three values: currency,from,rate')
    else if (minorDigitsOf(currency) === undefined) {
      this.#fault(line, `${shown(currency)} is no currency of ISO 4217`)
    } else if (currency === this.reference) {
      this.#fault(
        line,
        `${currency} is the reference currency, whose rate is always 1; remove the line`,
      )
    } else if (fromMs === null || fromMs < FROM_MS_MIN || fromMs >= FROM_MS_MAX) {
      this.#fault(
        line,
        `${shown(from)} is no day from 1999 to 2099, such as 2026-01-31 or 2026-01-31T16:00:00Z`,
      )
    } else if (!isRate(rate) && rate !== NO_RATE) {
      this.#fault(
        line,
        `${shown(rate)} is no rate: a decimal number above 0 with up to 12 digits before the point and 18 after it, or ${NO_RATE}`,
      )
    } else if (this.#seen.has(key)) {
      this.#fault(line, `${currency} has a second rate from ${from} on; keep one of them`)
    } else if (this.rates.length >= RATES_LIMITS.ratesMax) {
      this.#fault(line, tooLarge())
    } else {
      this.#seen.add(key)
      this.rates.push({ currency, fromMs, rate })
    }
  }

  #fault(line: number, message: string): void {
    this.#faults.push({ line, message })
  }
}

function tooLarge(): string {
  const { bytesMax, ratesMax } = RATES_LIMITS
  return `the table has more than ${ratesMax} rates or ${bytesMax / 2 ** 20} MiB; leave out old days`
}
