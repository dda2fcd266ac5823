// Figures as people read them, for the table and the page.

import { DEFAULT_RATES } from '../../core/currency.ts'
import type { CardCount } from '../../core/backtest/tallies.ts'
import type { ShareInterval } from '../../core/scoring/wilson.ts'

/** Reference currency of all money in a report. */
export const CURRENCY = DEFAULT_RATES.reference
const MINOR_DIGITS = 2

/** `12345678` minor units as `123,456.78`. */
export function money(minor: bigint): string {
  const [sign, size] = minor < 0n ? ['-', -minor] : ['', minor]
  const digits = String(size).padStart(MINOR_DIGITS + 1, '0')
  const whole = digits.slice(0, -MINOR_DIGITS).replaceAll(/\B(?=(\d{3})+$)/g, ',')
  return `${sign}${whole}.${digits.slice(-MINOR_DIGITS)}`
}

/** `1234567` as `1,234,567`. */
export function count(value: number): string {
  return String(Math.round(value)).replaceAll(/\B(?=(\d{3})+$)/g, ',')
}

/** `0.1234` as `12.3%`; a hyphen for what is not known. */
export function percent(share: number | null): string {
  return share === null ? '-' : `${(100 * share).toFixed(1)}%`
}

/** `12.3% (8.1-17.9)`. */
export function interval({ share, low, high }: ShareInterval): string {
  if (share === null) return '-'
  return `${percent(share)} (${(100 * low).toFixed(1)}-${(100 * high).toFixed(1)})`
}

/** `1,234`, or `~1,234` where it is an estimate. */
export function cards({ cards: number, isExact }: CardCount): string {
  return `${isExact ? '' : '~'}${count(number)}`
}

/** A small number with one decimal. */
export function decimal(value: number): string {
  return value >= 100 ? count(value) : value.toFixed(1)
}

/** A UTC day, counted from 1970. */
export function dayText(day: number): string {
  return new Date(day * 86_400_000).toISOString().slice(0, 10)
}

export function timeText(timeMs: number): string {
  return new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ')
}
