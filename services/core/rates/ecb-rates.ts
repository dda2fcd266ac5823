// Rates from the European Central Bank's CSV of daily or historical reference rates: one line for each day, newest
// first, one column for each currency, quoted in units of the currency for one euro, N/A where there is none.

import { minorDigitsOf } from '../currency.ts'
import { parseInstant } from './instant.ts'
import { createRateTable, type CurrencyRate, NO_RATE } from './rate-table.ts'
import {
  isRate,
  linesOf,
  type ParsedRates,
  RATES_LIMITS,
  type RatesFault,
  shown,
} from './rates-file.ts'

const DAY_MS = 86_400_000
const EURO = 'EUR'
const NONE: readonly string[] = ['N/A', '']
/** Digits of a rate that is computed from two quotes: far more than the six of a quote. */
const RATE_DIGITS = 12
const DECIMALS_MAX = 18
const FAULTS_MAX = 20
/** A currency keeps its last quote for so long, over holidays and weekends; after that it has no rate. */
const QUOTE_MS_MAX = 14 * DAY_MS

export interface EcbOptions {
  /** Currency that amounts are converted to; all rates are crossed through the euro. */
  readonly reference: string
  /** Days before this time are left out; the rate in force then is kept. */
  readonly sinceMs: number
}

/** True for the text of such a file: its first line begins with the column Date. */
export function isEcbCsv(text: string): boolean {
  return /^\uFEFF?Date\s*,/.test(text)
}

/**
 * Reads the file. Rates are published in the afternoon of their day, so each applies from the next midnight UTC on: no
 * payment is converted by a rate that was not known yet. A rate that equals the one before it is left out. Never throws.
 */
export function parseEcbRates(text: string, { reference, sinceMs }: EcbOptions): ParsedRates {
  const faults: RatesFault[] = []
  const days = new Map<number, EcbDay>()
  let columns: readonly string[] | null = null
  for (const { line, text: row } of linesOf(text)) {
    const cells = row
      .replace(/,\s*$/, '')
      .split(',')
      .map((cell) => cell.trim())
    if (columns === null) columns = columnsOf(cells, reference, line, faults)
    else readDay(cells, columns, line, { days, faults })
    if (faults.length >= FAULTS_MAX) break
  }
  if (columns === null)
    faults.push({ line: 1, message: 'the file is empty; its first line must be "Date,USD,..."' })
  if (faults.length > 0) return { ok: false, faults }
  const sorted = [...days.values()].toSorted((a, b) => a.fromMs - b.fromMs)
  const rates = crossed(sorted, reference, sinceMs)
  if (rates.length > RATES_LIMITS.ratesMax) {
    return {
      ok: false,
      faults: [
        {
          line: 1,
          message: `the file gives more than ${RATES_LIMITS.ratesMax} rates; import fewer days with --since`,
        },
      ],
    }
  }
  return { ok: true, table: createRateTable(reference, rates) }
}

/** Quotes of one day, by currency, the euro included. */
interface EcbDay {
  readonly fromMs: number
  readonly quotes: ReadonlyMap<string, string>
}

function columnsOf(
  [date, ...currencies]: readonly string[],
  reference: string,
  line: number,
  faults: RatesFault[],
): readonly string[] {
  if (date !== 'Date') {
    faults.push({
      line,
      message: 'the first line must be "Date" and the codes of currencies, such as "Date,USD,JPY"',
    })
  }
  for (const currency of currencies) {
    if (minorDigitsOf(currency) === undefined) {
      faults.push({ line, message: `${shown(currency)} is no currency of ISO 4217` })
    }
  }
  if (reference !== EURO && !currencies.includes(reference)) {
    faults.push({
      line,
      message: `there is no column ${reference}, which is to be the reference currency`,
    })
  }
  return currencies
}

function readDay(
  [date = '', ...cells]: readonly string[],
  columns: readonly string[],
  line: number,
  { days, faults }: { readonly days: Map<number, EcbDay>; readonly faults: RatesFault[] },
): void {
  const dayMs = parseInstant(date)
  if (dayMs === null) {
    faults.push({ line, message: `${shown(date)} is no day, such as 2026-01-31` })
    return
  }
  if (cells.length > columns.length) {
    faults.push({
      line,
      message: `the line has ${cells.length} rates, but the first line names ${columns.length} currencies`,
    })
    return
  }
  const quotes = new Map([[EURO, '1']])
  for (const [index, quote] of cells.entries()) {
    const currency = columns[index] ?? ''
    if (NONE.includes(quote)) continue
    if (isRate(quote)) quotes.set(currency, quote)
    else
      faults.push({
        line,
        message: `${shown(quote)} in column ${currency} is neither a rate nor N/A`,
      })
  }
  if (days.has(dayMs)) faults.push({ line, message: `the day ${date} is in the file twice` })
  days.set(dayMs, { fromMs: dayMs + DAY_MS, quotes })
}

/** Rates to the reference, day by day, without repetitions. A currency that is quoted no more has no rate soon after. */
function crossed(
  days: readonly EcbDay[],
  reference: string,
  sinceMs: number,
): readonly CurrencyRate[] {
  const inForce = new Map<string, CurrencyRate>()
  const quotedMs = new Map<string, number>()
  const earlier = new Map<string, CurrencyRate>()
  const later: CurrencyRate[] = []
  const add = (rate: CurrencyRate): void => {
    if (inForce.get(rate.currency)?.rate === rate.rate) return
    inForce.set(rate.currency, rate)
    if (rate.fromMs < sinceMs) earlier.set(rate.currency, rate)
    else later.push(rate)
  }
  for (const { fromMs, quotes } of days) {
    const base = quotes.get(reference)
    if (base === undefined) continue
    for (const [currency, quote] of quotes) {
      if (currency === reference) continue
      quotedMs.set(currency, fromMs)
      add({ currency, fromMs, rate: dividedBy(base, quote) })
    }
  }
  const lastMs = days.at(-1)?.fromMs ?? 0
  for (const [currency, atMs] of quotedMs) {
    if (atMs + QUOTE_MS_MAX < lastMs) add({ currency, fromMs: atMs + QUOTE_MS_MAX, rate: NO_RATE })
  }
  return [...[...earlier.values()].filter(({ rate }) => rate !== NO_RATE), ...later]
}

/** The quotient with 12 digits, as a decimal number without an exponent. */
function dividedBy(base: string, quote: string): string {
  const ratio = Number(base) / Number(quote)
  const decimals = RATE_DIGITS - 1 - Math.floor(Math.log10(ratio))
  return ratio.toFixed(Math.min(DECIMALS_MAX, Math.max(0, decimals)))
}
