// Segments of alerts as label values. Countries and categories come from outside, so each must look like one,
// and only so many different ones get a series of their own.

import { CHANNELS } from '../../core/transaction.ts'

/** Different values of one segment that get a series; further ones are counted as `other`. */
export const SEGMENT_VALUES_MAX = 64

export const SEGMENTS = ['country', 'channel', 'category'] as const
export type Segment = (typeof SEGMENTS)[number]

/** Where an alert belongs; null where the transaction does not say. */
export type AlertSegments = Readonly<Record<Segment, string | null>>

const SHAPES: Readonly<Record<Segment, RegExp>> = {
  country: /^[A-Z]{2}$/,
  channel: new RegExp(`^(?:${CHANNELS.join('|')})$`),
  category: /^\d{4}$/,
}

/** Turns what transactions say into label values: `none` where they say nothing, `other` beyond the limits. */
export class SegmentValues {
  readonly #seen: Readonly<Record<Segment, Set<string>>> = {
    country: new Set(),
    channel: new Set(),
    category: new Set(),
  }

  valueOf(segment: Segment, value: string | null): string {
    if (value === null) return 'none'
    const seen = this.#seen[segment]
    if (seen.has(value)) return value
    if (seen.size >= SEGMENT_VALUES_MAX || !SHAPES[segment].test(value)) return 'other'
    seen.add(value)
    return value
  }
}
