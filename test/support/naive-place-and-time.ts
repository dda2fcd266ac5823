// Distance and local time for the oracle of the features, computed differently from the code under test.

import type { Transaction } from '../../services/core/transaction.ts'
import { HOUR_MS, MINUTE_MS } from './naive-past.ts'

/** The local calendar, read off a date that is shifted by the transaction's own offset. */
export interface LocalTime {
  readonly weekday: number
  readonly hour: number
  readonly minuteOfDay: number
  readonly hoursOfDay: number
}

export function localTimeOf({ eventTimeMs, utcOffsetMinutes }: Transaction): LocalTime {
  const local = new Date(eventTimeMs + (utcOffsetMinutes ?? 0) * MINUTE_MS)
  const hour = local.getUTCHours()
  const millisecondOfHour =
    local.getUTCMinutes() * MINUTE_MS + local.getUTCSeconds() * 1_000 + local.getUTCMilliseconds()
  return {
    weekday: local.getUTCDay(),
    hour,
    minuteOfDay: hour * 60 + local.getUTCMinutes(),
    hoursOfDay: (hour * HOUR_MS + millisecondOfHour) / HOUR_MS,
  }
}

/** Whole minutes between two times of day, the shorter way round the clock. */
export function minutesApart(a: LocalTime, b: LocalTime): number {
  const apart = Math.abs(a.minuteOfDay - b.minuteOfDay)
  return Math.min(apart, 24 * 60 - apart)
}

/** Distance by the angle between two unit vectors: a different formula from the one under test. */
export function arcKm(
  latitudeA: number,
  longitudeA: number,
  latitudeB: number,
  longitudeB: number,
): number {
  const round = (degrees: number): number => Math.round(degrees * 1e4) / 1e4
  const vector = (latitude: number, longitude: number): [number, number, number] => {
    const phi = (round(latitude) * Math.PI) / 180
    const lambda = (round(longitude) * Math.PI) / 180
    return [Math.cos(phi) * Math.cos(lambda), Math.cos(phi) * Math.sin(lambda), Math.sin(phi)]
  }
  const a = vector(latitudeA, longitudeA)
  const b = vector(latitudeB, longitudeB)
  const cross = [
    a[1] * b[2] - a[2] * b[1],
    a[2] * b[0] - a[0] * b[2],
    a[0] * b[1] - a[1] * b[0],
  ] as const
  const dot = a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
  return 6_371.0088 * Math.atan2(Math.hypot(...cross), dot)
}
