// When people pay: a daily and weekly rhythm in local time, as an inhomogeneous Poisson process drawn by
// thinning (draw from the busiest rate, keep a draw as often as its hour is busy).

import type { Chance } from './chance.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 86_400_000
/** 1970-01-01 was a Thursday; days count from Sunday = 0. */
const EPOCH_WEEKDAY = 4
const DRAWS_MAX = 200
const GAP_MS_MIN = 2_000

// Percent of the busiest hour, from local midnight on.
const WORKDAY = [
  6, 3, 2, 1, 2, 5, 18, 42, 58, 55, 58, 70, 88, 80, 62, 60, 70, 88, 100, 92, 74, 52, 32, 15,
]
const WEEKEND = [
  14, 9, 5, 3, 2, 3, 8, 20, 42, 66, 86, 98, 100, 92, 86, 82, 80, 78, 80, 82, 74, 60, 44, 26,
]

/** Mean of a week's hours, as a share of the busiest hour. */
const MEAN_SHARE = (sum(WORKDAY) * 5 + sum(WEEKEND) * 2) / (7 * 24 * 100)

/** Hour of the day, 0 to 23, in local time. */
export function localHour(timeMs: number, utcOffsetMinutes: number): number {
  return Math.floor((timeMs + utcOffsetMinutes * 60_000) / HOUR_MS) % 24
}

/** How busy this moment is, in percent of the busiest. */
function busyPercent(timeMs: number, utcOffsetMinutes: number): number {
  const localMs = timeMs + utcOffsetMinutes * 60_000
  const weekday = (Math.floor(localMs / DAY_MS) + EPOCH_WEEKDAY) % 7
  const hour = Math.floor(localMs / HOUR_MS) % 24
  return (weekday === 0 || weekday === 6 ? WEEKEND[hour] : WORKDAY[hour]) ?? 0
}

/** The next time after `afterMs` at which somebody who pays every `meanGapMs` on average pays. */
export function nextPaymentMs(
  afterMs: number,
  meanGapMs: number,
  utcOffsetMinutes: number,
  chance: Chance,
): number {
  const busiestGapMs = meanGapMs * MEAN_SHARE
  let timeMs = afterMs + GAP_MS_MIN
  for (let draw = 0; draw < DRAWS_MAX; draw += 1) {
    timeMs += Math.floor(chance.exponential() * busiestGapMs)
    if (chance.below(100) < busyPercent(timeMs, utcOffsetMinutes)) break
  }
  return timeMs
}

/** Local midnight at or before the time, as a time in UTC. */
export function localMidnightMs(timeMs: number, utcOffsetMinutes: number): number {
  const offsetMs = utcOffsetMinutes * 60_000
  return Math.floor((timeMs + offsetMs) / DAY_MS) * DAY_MS - offsetMs
}

function sum(percents: readonly number[]): number {
  return percents.reduce((total, percent) => total + percent, 0)
}
