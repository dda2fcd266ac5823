import { ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import { Chance } from '../../../../tools/simulator/chance.ts'
import { localHour, localMidnightMs, nextPaymentMs } from '../../../../tools/simulator/genuine.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const MONDAY_MS = Date.UTC(2026, 0, 5)

function payments(utcOffsetMinutes: number, meanGapMs: number, count: number): readonly number[] {
  const chance = new Chance(5, 5)
  let timeMs = MONDAY_MS
  return Array.from({ length: count }, () => {
    timeMs = nextPaymentMs(timeMs, meanGapMs, utcOffsetMinutes, chance)
    return timeMs
  })
}

test('over weeks, payments are as far apart on average as asked for', () => {
  const times = payments(60, 2 * HOUR_MS, 20_000)
  const meanGapMs = ((times.at(-1) ?? 0) - MONDAY_MS) / times.length
  ok(Math.abs(meanGapMs / (2 * HOUR_MS) - 1) < 0.03, `${meanGapMs}`)
})

test('people pay by day in their own time zone, and hardly at night', () => {
  for (const utcOffsetMinutes of [-480, 0, 120]) {
    const hours = payments(utcOffsetMinutes, HOUR_MS, 10_000).map((timeMs) =>
      localHour(timeMs, utcOffsetMinutes),
    )
    const atNight = hours.filter((hour) => hour < 6).length
    ok(atNight < 0.05 * hours.length, `${atNight} of ${hours.length} at night`)
  }
})

test('local midnight is the start of the day in local time', () => {
  const noonMs = MONDAY_MS + 12 * HOUR_MS
  strictEqual(localMidnightMs(noonMs, 0), MONDAY_MS)
  strictEqual(localMidnightMs(noonMs, 60), MONDAY_MS - HOUR_MS)
  strictEqual(localMidnightMs(MONDAY_MS + HOUR_MS, -300), MONDAY_MS - DAY_MS + 5 * HOUR_MS)
})
