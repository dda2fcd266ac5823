// A span of time in words, for descriptions of windows.

import { DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS } from './time.ts'

const UNITS: readonly (readonly [ms: number, one: string, many: string])[] = [
  [DAY_MS, 'day', 'days'],
  [HOUR_MS, 'hour', 'hours'],
  [MINUTE_MS, 'minute', 'minutes'],
  [SECOND_MS, 'second', 'seconds'],
]

/** The span in the largest unit of which it is a whole number, such as "30 days". */
export function spanWords(spanMs: number): string {
  for (const [ms, one, many] of UNITS) {
    if (spanMs % ms !== 0 || spanMs === 0) continue
    const count = spanMs / ms
    return `${count} ${count === 1 ? one : many}`
  }
  return `${spanMs} ms`
}
