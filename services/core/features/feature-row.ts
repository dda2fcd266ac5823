// From what was read of card and terminal to one row of numbers, in the order of FEATURES. NaN is absent.

import type { Transaction } from '../transaction.ts'
import type { CardHistory } from './card-history.ts'
import { WINDOW_1D, WINDOW_1H, WINDOW_30D, WINDOW_7D, type CardReading } from './card-reading.ts'
import type { EntityWindow } from './entity-part.ts'
import { FEATURE_COUNT } from './feature-list.ts'
import { distanceKm } from './geo.ts'
import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './time.ts'

const NIGHT_LAST_HOUR = 6
const PLACE_SCALE = 10_000

/** Longest speed reported: two places at the same moment give this, not infinity. */
const SPEED_KMH_MAX = 100_000

/** Terminal windows of 1, 7 and 30 days, or null when the transaction names no terminal. */
export type TerminalReading = readonly [EntityWindow, EntityWindow, EntityWindow] | null

/** Writes the FEATURE_COUNT values of one transaction at `position`. Hot path. */
export function writeFeatureRow(
  transaction: Transaction,
  amountMinor: number,
  history: CardHistory,
  card: CardReading,
  terminal: TerminalReading,
  row: Float64Array,
  position: number,
): void {
  const localMs = transaction.eventTimeMs + (transaction.utcOffsetMinutes ?? 0) * MINUTE_MS
  const day = Math.floor(localMs / DAY_MS)
  const hourOfDay = (localMs - day * DAY_MS) / HOUR_MS
  // 1970-01-01 was a Thursday, three days after a Monday.
  const weekday = (day + 3) % 7
  let at = position
  row[at++] = amountMinor / 100
  row[at++] = weekday >= 5 ? 1 : 0
  row[at++] = Math.floor(hourOfDay) <= NIGHT_LAST_HOUR ? 1 : 0
  row[at++] = hourOfDay
  const own = card.isRetry ? 0 : 1
  for (const window of [WINDOW_1D, WINDOW_7D, WINDOW_30D]) {
    row[at++] = (card.counts[window] ?? 0) + own
  }
  for (const window of [WINDOW_1D, WINDOW_7D, WINDOW_30D]) {
    const count = (card.counts[window] ?? 0) + own
    const sumMinor = (card.sumsMinor[window] ?? 0) + own * amountMinor
    row[at++] = count === 0 ? NaN : sumMinor / count / 100
  }
  for (let window = 0; window < 3; window += 1) row[at++] = terminal?.[window]?.count ?? NaN
  for (let window = 0; window < 3; window += 1) {
    const reading = terminal?.[window]
    row[at++] =
      reading === undefined
        ? NaN
        : reading.count === 0
          ? 0
          : Math.min(1, reading.frauds / reading.count)
  }
  row[at++] = (card.counts[WINDOW_1H] ?? 0) + own
  row[at++] = (card.attempts[WINDOW_1H] ?? 0) + 1
  const priorCount = card.counts[WINDOW_30D] ?? 0
  const priorSumMinor = card.sumsMinor[WINDOW_30D] ?? 0
  row[at++] = priorSumMinor === 0 ? NaN : amountMinor / (priorSumMinor / priorCount)
  row[at++] =
    card.lastIndex < 0
      ? NaN
      : (transaction.eventTimeMs - (history.timesMs[card.lastIndex] ?? 0)) / SECOND_MS
  row[at++] =
    transaction.device === null || !card.hasDeviceHistory ? NaN : card.isDeviceKnown ? 0 : 1
  row[at++] = speedKmh(transaction, history, card.lastPlaceIndex)
  if (at - position !== FEATURE_COUNT) throw new Error('The feature row and FEATURES disagree.')
}

function speedKmh(transaction: Transaction, history: CardHistory, lastPlaceIndex: number): number {
  const { latitude, longitude, eventTimeMs } = transaction
  if (latitude === null || longitude === null || lastPlaceIndex < 0) return NaN
  const distance = distanceKm(
    (history.latitudesE4[lastPlaceIndex] ?? 0) / PLACE_SCALE,
    (history.longitudesE4[lastPlaceIndex] ?? 0) / PLACE_SCALE,
    toE4(latitude) / PLACE_SCALE,
    toE4(longitude) / PLACE_SCALE,
  )
  if (distance === 0) return 0
  const hours = (eventTimeMs - (history.timesMs[lastPlaceIndex] ?? 0)) / HOUR_MS
  return hours <= 0 ? SPEED_KMH_MAX : Math.min(SPEED_KMH_MAX, distance / hours)
}

/** Degrees as the stored integer, 1e-4 degrees (about 11 m). */
export function toE4(degrees: number): number {
  return Math.round(degrees * PLACE_SCALE)
}
