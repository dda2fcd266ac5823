// Spans of time as people write them: in words, and as in a catalogue.

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

const LETTERS: readonly (readonly [ms: number, letter: string])[] = [
  [DAY_MS, 'd'],
  [HOUR_MS, 'h'],
  [MINUTE_MS, 'm'],
]

/** The span of a text such as "10m", "6h" or "30d", ms; NaN for another text. */
export function spanOfText(text: string): number {
  const unitMs = LETTERS.find(([, letter]) => text.endsWith(letter))?.[0] ?? NaN
  return Number(text.slice(0, -1)) * unitMs
}

/** A span of whole minutes as `spanOfText` reads it, such as "30d". */
export function spanText(spanMs: number): string {
  for (const [ms, letter] of LETTERS) if (spanMs % ms === 0) return `${spanMs / ms}${letter}`
  return `${spanMs / MINUTE_MS}m`
}
