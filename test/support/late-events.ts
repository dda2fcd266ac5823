// A stream with late transactions.

import type { ProducedEvent } from '../../services/producer/index.ts'

/** Every seventh transaction is delayed by this many events, or up to twice as many. */
export function withLate(events: readonly ProducedEvent[], by = 50): readonly ProducedEvent[] {
  const placed = events.map((event, index) => ({ event, at: index }))
  for (const [index, each] of placed.entries()) {
    if (each.event.kind === 'transaction' && index % 7 === 0) each.at += by + (index % by)
  }
  return placed.toSorted((a, b) => a.at - b.at).map(({ event }) => event)
}
