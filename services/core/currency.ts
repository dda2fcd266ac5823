// Amounts of different currencies are never summed directly: features convert them to a reference currency by a dated
// rate table.

import { createHash } from 'node:crypto'

/** From `fromMs` on, one minor unit of `currency` is worth `minorRate` minor units of the reference. */
export interface CurrencyRate {
  readonly currency: string
  readonly fromMs: number
  readonly minorRate: number
}

/** Rates by currency. `digest` names the table in manifests and decisions. */
export interface RateTable {
  readonly reference: string
  readonly digest: string
  /** Minor units of the reference currency, rounded half up; null when the table has no rate for it. */
  toReferenceMinor(amountMinor: number, currency: string, timeMs: number): number | null
}

const NO_RATES: readonly CurrencyRate[] = []

/** Compiles a table; entries of one currency may come in any order of dates. */
export function createRateTable(reference: string, rates: readonly CurrencyRate[]): RateTable {
  const byCurrency = new Map<string, CurrencyRate[]>()
  for (const rate of rates) {
    const list = byCurrency.get(rate.currency) ?? []
    list.push(rate)
    byCurrency.set(rate.currency, list)
  }
  for (const list of byCurrency.values()) list.sort((a, b) => b.fromMs - a.fromMs)
  return {
    reference,
    digest: createHash('sha256')
      .update(JSON.stringify([reference, rates]))
      .digest('hex'),
    toReferenceMinor(amountMinor, currency, timeMs) {
      if (currency === reference) return amountMinor
      for (const { fromMs, minorRate } of byCurrency.get(currency) ?? NO_RATES) {
        if (fromMs <= timeMs) return Math.floor(amountMinor * minorRate + 0.5)
      }
      return null
    },
  }
}

const YEAR_2000_MS = 946_684_800_000

/**
 * The table that ships: round numbers near the rates of 2024, for demos and tests, not market data. Yen and won have no
 * minor digits, so one of their units corresponds to one of our minor units.
 */
export const DEFAULT_RATES: RateTable = createRateTable(
  'EUR',
  (
    [
      ['USD', 0.92],
      ['GBP', 1.17],
      ['CHF', 1.04],
      ['SEK', 0.088],
      ['NOK', 0.086],
      ['DKK', 0.134],
      ['PLN', 0.23],
      ['CZK', 0.04],
      ['HUF', 0.0026],
      ['RON', 0.2],
      ['CAD', 0.68],
      ['AUD', 0.61],
      ['NZD', 0.56],
      ['SGD', 0.69],
      ['INR', 0.011],
      ['BRL', 0.17],
      ['MXN', 0.051],
      ['TRY', 0.029],
      ['ZAR', 0.05],
      ['CNY', 0.128],
      ['HKD', 0.118],
      ['JPY', 0.61],
      ['KRW', 0.068],
    ] as const
  ).map(([currency, minorRate]) => ({ currency, fromMs: YEAR_2000_MS, minorRate })),
)
