// State in a normal form that all states of the same log share, as plain values that can be compared.

import { COLUMN, STRIDE } from '../../services/core/features/state/card-columns.ts'
import { type CardHistory } from '../../services/core/features/state/card-history.ts'
import { ENTITY_STRIDE } from '../../services/core/features/state/entity-event.ts'
import { type EntityPart } from '../../services/core/features/state/entity-part.ts'

const REFERENCES: readonly number[] = [
  COLUMN.merchant,
  COLUMN.terminal,
  COLUMN.device,
  COLUMN.network,
  COLUMN.category,
]

/** A card's events with their references resolved, since the list of references has no fixed order. */
export function normalCard(card: CardHistory): Readonly<Record<string, unknown>> {
  card.normalise()
  const events: number[][] = []
  for (let index = 0; index < card.count; index += 1) {
    const row = Array.from({ length: STRIDE }, (_, column) => card.at(index, column))
    for (const column of REFERENCES) row[column] = card.references[row[column] ?? 0] ?? NaN
    events.push(row)
  }
  const { finalisedCount, buckets } = card
  const causes = [...card.causes].toSorted(([a], [b]) => a - b)
  return { events, finalisedCount, buckets, causes }
}

/** Null for an aggregate without content. */
export function normalPart(part: EntityPart): unknown {
  part.normalise()
  const { count, hourlyBuckets, labels } = part
  if (count + hourlyBuckets.length + labels.length === 0) return null
  const events = Array.from(part.data.subarray(0, count * ENTITY_STRIDE))
  return { events, hourlyBuckets, labels }
}
