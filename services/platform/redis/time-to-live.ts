// Time to live of a value in Redis, counted from its last whole write; additions later that day do not extend it.

import { DAY_MS, LATENESS_MS, REACH_MS, SECOND_MS } from '../../core/features/catalogue/time.ts'

/**
 * As long as any feature can reach the value, plus 7 days of a tolerated standstill of the stream, plus the day on
 * which additions are possible.
 */
const TIME_TO_LIVE_S = Math.ceil((REACH_MS + LATENESS_MS + 7 * DAY_MS + DAY_MS) / SECOND_MS)
/** Only added, so that keys written together do not expire together. */
const TIME_TO_LIVE_JITTER_S = DAY_MS / SECOND_MS

export function timeToLiveS(): number {
  return TIME_TO_LIVE_S + Math.floor(Math.random() * TIME_TO_LIVE_JITTER_S)
}
