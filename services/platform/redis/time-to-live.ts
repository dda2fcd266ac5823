// How long a value stays in Redis after it was last written whole; what is appended later that day does not change that.

import { DAY_MS, LATENESS_MS, REACH_MS, SECOND_MS } from '../../core/features/catalogue/time.ts'

/**
 * Values live as long as any feature can reach them, plus a tolerated stand-still of the stream, plus the day on which
 * more may be appended.
 */
const TIME_TO_LIVE_S = Math.ceil((REACH_MS + LATENESS_MS + 7 * DAY_MS + DAY_MS) / SECOND_MS)
/** Upward only, so that keys written together do not expire together. */
const TIME_TO_LIVE_JITTER_S = DAY_MS / SECOND_MS

export function timeToLiveS(): number {
  return TIME_TO_LIVE_S + Math.floor(Math.random() * TIME_TO_LIVE_JITTER_S)
}
