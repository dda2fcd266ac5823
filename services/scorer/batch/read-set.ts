// Computes which values of the state a micro-batch reads.

import { COLUMN, REFERENCE_COLUMNS } from '../../core/features/state/card-columns.ts'
import { REVISABLE_MAX } from '../../core/features/state/card-limits.ts'
import { ENTITY_KINDS, entityKeyOf } from '../../core/features/catalogue/feature-definition.ts'
import type { CardHistory } from '../../core/features/state/card-history.ts'
import type { CardLookup } from '../../core/features/engine/fold-state.ts'
import { revisableFromMs } from '../../core/features/engine/late-revisions.ts'
import { pageOf } from '../../core/features/state/message-page.ts'
import { hashOf } from '../../core/id-hash.ts'
import type { Label, Transaction } from '../../core/transaction.ts'
import type { LateNeeds, NeededMessage } from '../../platform/redis/partition-store-contract.ts'
import type { Taken } from '../intake/record-queue.ts'

export interface ReadSet {
  readonly cards: readonly string[]
  /** Keys made by `entityKeyOf`. */
  readonly entities: readonly number[]
}

type Batch = Pick<Taken, 'entries' | 'labels'>

/** Limits of one read for late transactions. */
export interface LateRoom {
  /** Entities and pages of messages together. An entity counts once, although it is read in every partition. */
  readonly valuesMax: number
  /** False when only messages are read. */
  readonly withEntities: boolean
}

export interface LateReadSet extends LateNeeds {
  /** Number of entries of the batch that these values cover: all, or as many as `valuesMax` allows. */
  readonly entryCount: number
}

/** Cards and entities that the batch changes or reads. */
export function readSetOf({ entries, labels }: Batch): ReadSet {
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

/** `readSetOf`, plus the cards of labels, whose outcomes are looked up. */
export function readFor(batch: Batch): ReadSet {
  const { cards, entities } = readSetOf(batch)
  if (batch.labels.length === 0) return { cards, entities }
  const all = new Set(cards)
  for (const entry of batch.labels) if (entry.kind === 'label') all.add(entry.label.card)
  return { cards: [...all], entities }
}

/**
 * Values that late transactions of the batch need in order to recompute decisions that they may change; nearly always
 * null. They are known only once the cards are read. `newestEventMs` is the newest event time before the batch. Entries
 * after the transaction that reaches `valuesMax` are left out. A single transaction asks for at most one page and one
 * entity of each kind for each of REVISABLE_MAX decisions.
 */
export function readByLate(
  batch: Batch,
  state: CardLookup,
  newestEventMs: number,
  { valuesMax, withEntities }: LateRoom,
): LateReadSet | null {
  const entities = new Set<number>()
  const messages = new Map<number, NeededMessage>()
  const pages = new Set<number>()
  const fromMs = revisableFromMs(newestEventMs)
  let entryCount = 0
  for (const entry of batch.entries) {
    if (entities.size + pages.size >= valuesMax) break
    entryCount += 1
    if (entry.kind === 'watermark') continue
    const { id, card, eventTimeMs } = entry.transaction
    const history = state.peekCard(card)
    if (history === null || eventTimeMs > history.newestMs) continue
    if (history.isTooLate(eventTimeMs) || isSentAgain(history, id, eventTimeMs)) continue
    const oldest = Math.max(0, history.count - REVISABLE_MAX, history.finalisedCount)
    for (let index = history.count - 1; index >= oldest; index -= 1) {
      const timeMs = history.at(index, COLUMN.time)
      if (timeMs < Math.max(eventTimeMs, fromMs)) break
      if (withEntities) addEntitiesOf(history, index, entities)
      const offset = history.at(index, COLUMN.offset)
      messages.set(offset, { offset, eventTimeMs: timeMs })
      pages.add(pageOf(offset))
    }
  }
  if (entities.size === 0 && messages.size === 0) return null
  return { entities: [...entities], messages: [...messages.values()], entryCount }
}

/** True when the transaction is a duplicate, and stays one whatever the card receives before its turn. */
function isSentAgain(history: CardHistory, id: string, eventTimeMs: number): boolean {
  const first = history.indexOfId(hashOf(id))
  return first >= 0 && history.at(first, COLUMN.time) === eventTimeMs
}

function addEntitiesOf(history: CardHistory, index: number, entities: Set<number>): void {
  for (const kind of ENTITY_KINDS) {
    const ref = history.references[history.at(index, REFERENCE_COLUMNS[kind])] ?? 0
    if (ref !== 0) entities.add(entityKeyOf(kind, ref))
  }
}

function addEntities(of: Transaction | Label, entities: Set<number>): void {
  for (const kind of ENTITY_KINDS) {
    const identifier = kind === 'network' ? of.ipNetwork : of[kind]
    if (identifier !== null) entities.add(entityKeyOf(kind, hashOf(identifier)))
  }
}
