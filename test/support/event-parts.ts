// Splits a stream into parts that a test sends one after the other. So undecided messages remain whenever a test needs
// them, however fast the scorer is and however slow the test.

import type { ProducedEvent } from '../../services/producer/index.ts'

/** About equal parts, each of which ends after a watermark, so that it can be decided completely. */
export function partsOf(
  events: readonly ProducedEvent[],
  count: number,
): readonly (readonly ProducedEvent[])[] {
  const isEnd = (event: ProducedEvent): boolean =>
    event.kind === 'watermark' && event.topic === 'transactions'
  const frontiers = [0]
  for (let part = 1; part < count; part += 1) {
    const least = Math.max(frontiers.at(-1) ?? 0, Math.ceil((events.length * part) / count))
    const end = events.findIndex((event, index) => index >= least && isEnd(event))
    if (end === -1) throw new Error(`The stream has too few watermarks for ${count} parts.`)
    frontiers.push(end + 1)
  }
  return frontiers.map((frontier, index) => events.slice(frontier, frontiers[index + 1]))
}
