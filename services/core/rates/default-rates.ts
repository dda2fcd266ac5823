// The table that ships: round example numbers near the rates of 2024, for the demo, the simulator and tests. It is not
// market data; a stream of real payments needs a table of its own (docs/money.md).

import { createRateTable, type RateTable } from './rate-table.ts'

const YEAR_2000_MS = 946_684_800_000

const EXAMPLE_RATES: Readonly<Record<string, string>> = {
  USD: '0.92',
  GBP: '1.17',
  CHF: '1.04',
  SEK: '0.088',
  NOK: '0.086',
  DKK: '0.134',
  PLN: '0.23',
  CZK: '0.04',
  HUF: '0.0026',
  RON: '0.2',
  CAD: '0.68',
  AUD: '0.61',
  NZD: '0.56',
  SGD: '0.69',
  INR: '0.011',
  BRL: '0.17',
  MXN: '0.051',
  TRY: '0.029',
  ZAR: '0.05',
  CNY: '0.128',
  HKD: '0.118',
  JPY: '0.0061',
  KRW: '0.00068',
}

/** Example rates to the euro, the same at any time since 2000. */
export const DEFAULT_RATES: RateTable = createRateTable(
  'EUR',
  Object.entries(EXAMPLE_RATES).map(([currency, rate]) => ({
    currency,
    fromMs: YEAR_2000_MS,
    rate,
  })),
)
