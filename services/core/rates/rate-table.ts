// Exchange rates. Amounts of different currencies are never summed directly: features convert them to a reference
// currency. A conversion depends on the amount, the currency and the event time alone, so a table that only adds rates
// of later days converts everything before them as the table before it did.

import { createHash } from 'node:crypto'
import { minorDigitsOf } from '../currency.ts'
import { instantText } from './instant.ts'

/** From `fromMs` on, one unit of `currency` is worth `rate` units of the reference. */
export interface CurrencyRate {
  readonly currency: string
  readonly fromMs: number
  /** A positive decimal number, such as 0.92, or NO_RATE. */
  readonly rate: string
}

/** Dated rates of one reference currency. */
export interface RateTable {
  /** ISO 4217 code of the currency that amounts are converted to. */
  readonly reference: string
  /** SHA-256 of the table's text, hex. It names the table in decisions, manifests and the store. */
  readonly digest: string
  /** By currency, then by date. */
  readonly rates: readonly CurrencyRate[]
  /**
   * Hundredths of the reference currency's unit, whatever its own minor unit, rounded half up and at most
   * REFERENCE_MINOR_MAX; null when the table has no rate for the currency at that time.
   */
  toReferenceMinor(amountMinor: number, currency: string, timeMs: number): number | null
}

/** Largest converted amount; a larger one counts as this. Sums and squares of such amounts stay exact. */
export const REFERENCE_MINOR_MAX = 2_000_000_000_000

/** Decimals of amounts in the reference currency. */
const REFERENCE_DECIMALS = 2

/** Rates of one currency: from each time on, hundredths of the reference per minor unit. */
interface DatedFactors {
  readonly fromMs: readonly number[]
  readonly factors: readonly number[]
}

/** What becomes of a transaction whose currency has no rate: a dead letter, or a decision without its amount. */
export const MISSING_RATE_ANSWERS = ['dead_letter', 'without_amount'] as const
export type MissingRate = (typeof MISSING_RATE_ANSWERS)[number]

/** From its time on the currency has no rate. */
export const NO_RATE = 'none'

const HEADER = 'currency,from,rate'

/** Compiles a table. Rates may come in any order; of one currency and time there must be one. */
export function createRateTable(reference: string, rates: readonly CurrencyRate[]): RateTable {
  const sorted = rates
    .map((rate) => ({ ...rate, rate: plainDecimal(rate.rate) }))
    .toSorted((a, b) =>
      a.currency === b.currency ? a.fromMs - b.fromMs : a.currency < b.currency ? -1 : 1,
    )
  const byCurrency = new Map<string, { fromMs: number[]; factors: number[] }>()
  for (const { currency, fromMs, rate } of sorted) {
    const dated = byCurrency.get(currency) ?? { fromMs: [], factors: [] }
    dated.fromMs.push(fromMs)
    dated.factors.push(minorFactor(rate, currency))
    byCurrency.set(currency, dated)
  }
  const ownFactor = minorFactor('1', reference)
  return {
    reference,
    digest: createHash('sha256').update(textOf(reference, sorted)).digest('hex'),
    rates: sorted,
    toReferenceMinor(amountMinor, currency, timeMs) {
      if (currency === reference && ownFactor === 1) return amountMinor
      const dated = byCurrency.get(currency)
      const factor =
        currency === reference ? ownFactor : dated === undefined ? null : factorAt(dated, timeMs)
      if (factor === null) return null
      return Math.min(Math.floor(amountMinor * factor + 0.5), REFERENCE_MINOR_MAX)
    },
  }
}

/** The table as its file has it; the digest is that of this text. */
export function rateTableText({ reference, rates }: RateTable): string {
  return textOf(reference, rates)
}

/**
 * The event time from which two tables of one reference may convert differently; null when they never do.
 */
export function firstDifferenceMs(before: RateTable, after: RateTable): number | null {
  let firstMs: number | null = null
  const [old, next] = [datedOf(before), datedOf(after)]
  for (const currency of new Set([...old.keys(), ...next.keys()])) {
    const differsMs = differenceOf(old.get(currency) ?? [], next.get(currency) ?? [])
    if (differsMs !== null && (firstMs === null || differsMs < firstMs)) firstMs = differsMs
  }
  return firstMs
}

/** Hundredths of the reference for one minor unit: the decimal point of the rate is moved by text, so that the factor is rounded once. */
function minorFactor(rate: string, currency: string): number {
  if (rate === NO_RATE) return NaN
  const shift = REFERENCE_DECIMALS - (minorDigitsOf(currency) ?? REFERENCE_DECIMALS)
  return Number(`${rate}e${shift}`)
}

/** Live streams ask for the newest rate; a replay may ask for any. */
function factorAt({ fromMs, factors }: DatedFactors, timeMs: number): number | null {
  let low = 0
  let high = fromMs.length - 1
  if ((fromMs[high] ?? Infinity) <= timeMs) return known(factors[high])
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((fromMs[middle] ?? Infinity) <= timeMs) low = middle + 1
    else high = middle
  }
  return known(factors[low - 1])
}

function known(factor: number | undefined): number | null {
  return factor === undefined || Number.isNaN(factor) ? null : factor
}

/** One way to write a number: without zeros that mean nothing. */
function plainDecimal(rate: string): string {
  if (rate === NO_RATE) return rate
  const [whole = '', fraction = ''] = rate.split('.')
  const [digits, decimals] = [whole.replace(/^0+(?=\d)/, ''), fraction.replace(/0+$/, '')]
  return decimals === '' ? digits : `${digits}.${decimals}`
}

function textOf(reference: string, rates: readonly CurrencyRate[]): string {
  const lines = rates.map(
    ({ currency, fromMs, rate }) => `${currency},${instantText(fromMs)},${rate}`,
  )
  return [`reference,${reference}`, HEADER, ...lines, ''].join('\n')
}

function datedOf({ rates }: RateTable): ReadonlyMap<string, readonly CurrencyRate[]> {
  return Map.groupBy(rates, ({ currency }) => currency)
}

/** Both are in the order of their times. */
function differenceOf(old: readonly CurrencyRate[], next: readonly CurrencyRate[]): number | null {
  let [i, j] = [0, 0]
  let [oldRate, nextRate] = [NO_RATE, NO_RATE]
  while (i < old.length || j < next.length) {
    const timeMs = Math.min(old[i]?.fromMs ?? Infinity, next[j]?.fromMs ?? Infinity)
    if (old[i]?.fromMs === timeMs) oldRate = old[i++]?.rate ?? NO_RATE
    if (next[j]?.fromMs === timeMs) nextRate = next[j++]?.rate ?? NO_RATE
    if (oldRate !== nextRate) return timeMs
  }
  return null
}
