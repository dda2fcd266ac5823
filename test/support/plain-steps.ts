// Regular streams, for tests that add the irregularity themselves.

import { HOUR_MS, itemsOf, type Step, type StreamItem } from './feature-streams.ts'

/** One step of a regular stream, with the given fields changed. */
export function stepAt(given: Partial<Step>): Step {
  return {
    gapMs: 0,
    back: 0,
    lateMs: 0,
    card: 1,
    terminal: 1,
    merchant: 1,
    device: 1,
    network: 1,
    category: 1,
    country: 0,
    amountMinor: 1_000,
    currency: 'EUR',
    place: null,
    utcOffsetMinutes: null,
    channel: null,
    authorisation: null,
    repeatsId: 0,
    repeatsIntent: 0,
    labelDelaysMs: [],
    labelEarlyMs: 0,
    ...given,
  }
}

/** Six cards, an hour apart; every tenth is a fraud, known a week later. */
export function streamOf(length: number): readonly StreamItem[] {
  const steps = Array.from({ length }, (_, index) =>
    stepAt({
      gapMs: HOUR_MS,
      card: index % 6,
      terminal: 1 + (index % 2),
      amountMinor: 1_000 + index,
      labelDelaysMs: index % 10 === 0 ? [7 * 24 * HOUR_MS] : [],
    }),
  )
  return itemsOf(steps)
}
