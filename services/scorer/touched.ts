// Which values of the state a micro-batch needs.

import { COLUMN, REFERENCE_COLUMNS } from '../core/features/card-columns.ts'
import { REVISABLE_MAX } from '../core/features/card-limits.ts'
import { ENTITY_KINDS, entityKeyOf } from '../core/features/feature-definition.ts'
import type { CardLookup } from '../core/features/fold-state.ts'
import { referenceOf } from '../core/reference.ts'
import type { Label, Transaction } from '../core/transaction.ts'
import type { Taken } from './lane-inbox.ts'

export interface Touched {
  readonly cards: readonly string[]
  /** By `entityKeyOf`. */
  readonly entities: readonly number[]
}

type Batch = Pick<Taken, 'entries' | 'labels'>

/** Cards and entities that folding the batch changes or reads. */
export function touchedBy({ entries, labels }: Batch): Touched {
  const cards = new Set<string>()
  const entities = new Set<number>()
  for (const entry of entries) {
    if (entry.kind === 'watermark') continue
    cards.add(entry.transaction.card)
    addEntities(entry.transaction, entities)
  }
  for (const entry of labels) if (entry.kind === 'label') addEntities(entry.label, entities)
  return { cards: [...cards], entities: [...entities] }
}

/** `touchedBy`, and the cards of labels as well: what was decided for them is looked up. */
export function readFor(batch: Batch): Touched {
  const { cards, entities } = touchedBy(batch)
  if (batch.labels.length === 0) return { cards, entities }
  const all = new Set(cards)
  for (const entry of batch.labels) if (entry.kind === 'label') all.add(entry.label.card)
  return { cards: [...all], entities }
}

/**
 * Entities of decided transactions that a late one of the batch may have looked at again; empty nearly always. They are
 * known only once the cards are.
 */
export function touchedByLate(batch: Batch, state: CardLookup): readonly number[] {
  const entities = new Set<number>()
  for (const entry of batch.entries) {
    if (entry.kind === 'watermark') continue
    const { card, eventTimeMs } = entry.transaction
    const history = state.peekCard(card)
    if (history === null || eventTimeMs > history.newestMs) continue
    const oldest = Math.max(0, history.count - REVISABLE_MAX)
    for (let index = history.count - 1; index >= oldest; index -= 1) {
      if (history.at(index, COLUMN.time) < eventTimeMs) break
      for (const kind of ENTITY_KINDS) {
        const ref = history.references[history.at(index, REFERENCE_COLUMNS[kind])] ?? 0
        if (ref !== 0) entities.add(entityKeyOf(kind, ref))
      }
    }
  }
  return [...entities]
}

function addEntities(of: Transaction | Label, entities: Set<number>): void {
  for (const kind of ENTITY_KINDS) {
    const identifier = kind === 'network' ? of.ipNetwork : of[kind]
    if (identifier !== null) entities.add(entityKeyOf(kind, referenceOf(identifier)))
  }
}
