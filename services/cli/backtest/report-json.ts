// The report for programs: times in ISO 8601, money in minor units.

import { CURRENCY, dayText } from './report-words.ts'
import type { BacktestReport, ReportedPolicy } from './run-backtest.ts'

const FORMAT = 1
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

/** A value that JSON has. Money beyond 2^53 is text, since a number would not be exact. */
export function reportJson(report: BacktestReport): unknown {
  const { facts, asOfMs, maturityMs, costs, costsFrom, breakerResetMs, live, policies, ...rest } =
    report
  const { firstMs, lastMs, days, ...counts } = facts
  return plain({
    format: FORMAT,
    ...rest,
    currency: CURRENCY,
    isBeforeBreaker: breakerResetMs === null,
    breakerResetHours: breakerResetMs === null ? null : breakerResetMs / HOUR_MS,
    firstTime: isoOrNull(firstMs),
    lastTime: isoOrNull(lastMs),
    labelsAsOf: isoOrNull(asOfMs),
    labelMaturityDays: maturityMs / DAY_MS,
    costs: { ...costs, from: costsFrom },
    facts: { ...counts, matureShare: counts.mature / counts.rows, days: named(days) },
    live: policyJson(live),
    policies: policies.map(policyJson),
  })
}

function policyJson<Policy extends ReportedPolicy>({ days, load, ...rest }: Policy) {
  const maxDay = load.maxDay === null ? null : dayText(load.maxDay)
  return { ...rest, load: { ...load, maxDay }, days: named(days) }
}

function named<Day extends { readonly day: number }>(days: readonly Day[]) {
  return days.map(({ day, ...counts }) => ({ day: dayText(day), ...counts }))
}

function isoOrNull(timeMs: number | null): string | null {
  return timeMs === null ? null : new Date(timeMs).toISOString()
}

function plain(value: unknown): unknown {
  if (typeof value === 'bigint') {
    return Number.isSafeInteger(Number(value)) ? Number(value) : String(value)
  }
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, held]) => [name, plain(held)]))
}
