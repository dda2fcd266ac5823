// Events of an entity by their time, which rises: how many there are up to one, found from where it was found last.

import { ENTITY_STRIDE } from './entity-event.ts'

/**
 * How many of the first `count` rows are at or before this time. Looked for from `near` on, in steps that double, then by
 * bisection: ends of windows move little from one transaction to the next. Hot path.
 */
export function countTo(rows: Float64Array, count: number, timeMs: number, near: number): number {
  let low = Math.min(near, count)
  let high = low
  let step = 1
  if (low < count && (rows[low * ENTITY_STRIDE] ?? 0) <= timeMs) {
    while (high < count && (rows[high * ENTITY_STRIDE] ?? 0) <= timeMs) {
      low = high + 1
      high += step
      step *= 2
    }
    if (high > count) high = count
  } else {
    while (low > 0 && (rows[(low - 1) * ENTITY_STRIDE] ?? 0) > timeMs) {
      high = low - 1
      low -= step
      step *= 2
    }
    if (low < 0) low = 0
  }
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((rows[middle * ENTITY_STRIDE] ?? 0) <= timeMs) low = middle + 1
    else high = middle
  }
  return low
}
