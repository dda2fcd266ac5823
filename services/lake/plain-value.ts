// Values of DuckDB as JSON has them: times in ISO 8601, integers as numbers where a number holds them exactly.

import type { DuckDBValue } from '@duckdb/node-api'
import type { DuckDb } from '../platform/lake/duckdb.ts'

export type PlainValue =
  string | number | boolean | null | readonly PlainValue[] | { readonly [name: string]: PlainValue }

const MICROS_PER_MS = 1_000n

/** Makes the conversion; what JSON has no word for becomes text. */
export function plainValues(api: DuckDb): (value: DuckDBValue) => PlainValue {
  const { DuckDBDecimalValue, DuckDBListValue, DuckDBStructValue } = api
  const { DuckDBTimestampTZValue, DuckDBTimestampValue } = api
  const plain = (value: DuckDBValue): PlainValue => {
    if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
    if (typeof value === 'number') return Number.isFinite(value) ? value : String(value)
    if (typeof value === 'bigint') return integerOf(value)
    if (value instanceof DuckDBTimestampTZValue || value instanceof DuckDBTimestampValue) {
      const ms = Number(value.micros / MICROS_PER_MS)
      return Number.isNaN(new Date(ms).getTime()) ? value.toString() : new Date(ms).toISOString()
    }
    if (value instanceof DuckDBDecimalValue) return value.toDouble()
    if (value instanceof DuckDBListValue) return value.items.map(plain)
    if (value instanceof DuckDBStructValue) {
      const entries = Object.entries(value.entries)
      return Object.fromEntries(entries.map(([name, entry]) => [name, plain(entry)]))
    }
    return String(value)
  }
  return plain
}

function integerOf(value: bigint): number | string {
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value.toString()
}
