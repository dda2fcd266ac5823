// A disturbed stream: some transactions are late, some are sent twice.

import type { ProducedEvent } from '../../services/producer/index.ts'

/** Every ninth transaction comes after later ones, and every fiftieth comes twice. */
export function disturbed(events: readonly ProducedEvent[]): readonly ProducedEvent[] {
  const placed: { readonly event: ProducedEvent; readonly at: number }[] = []
  for (const [index, event] of events.entries()) {
    const isLate = event.kind === 'transaction' && index % 9 === 0
    const at = isLate ? index + 40 + (index % 30) : index
    placed.push({ event, at })
    if (event.kind === 'transaction' && index % 50 === 0) placed.push({ event, at: at + 100 })
  }
  return placed.toSorted((a, b) => a.at - b.at).map(({ event }) => event)
}
