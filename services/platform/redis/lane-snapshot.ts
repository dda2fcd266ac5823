// The values that one micro-batch folds into. It remembers which were asked for: those are written back.

import type { CardHistory } from '../../core/features/card-history.ts'
import { EntityPart } from '../../core/features/entity-part.ts'
import type { ReadablePart } from '../../core/features/lane-fold.ts'
import type { LaneProgress } from '../../core/stream/lane-progress.ts'
import type { LaneSnapshot } from './lane-store-contract.ts'

const NO_PARTS: readonly ReadablePart[] = []

export interface SnapshotContent {
  readonly progress: readonly (LaneProgress | null)[]
  /** By card. */
  readonly cards: ReadonlyMap<string, CardHistory>
  /** By terminal, the part of this lane. */
  readonly own: ReadonlyMap<string, EntityPart>
  /** By terminal, the parts of other lanes. */
  readonly others: ReadonlyMap<string, readonly ReadablePart[]>
  readonly hasUnreadable: boolean
}

/** Everything is decoded already: what cannot be read was found before the batch changed anything. */
export class Snapshot implements LaneSnapshot {
  readonly progress: readonly (LaneProgress | null)[]
  readonly hasUnreadable: boolean
  /** Handed out to be changed. */
  readonly changedCards = new Map<string, CardHistory>()
  readonly changedTerminals = new Map<string, EntityPart>()
  readonly #content: SnapshotContent

  constructor(content: SnapshotContent) {
    this.#content = content
    this.progress = content.progress
    this.hasUnreadable = content.hasUnreadable
  }

  card(card: string): CardHistory {
    const history = this.#content.cards.get(card)
    if (history === undefined) throw new RangeError('The card was not read for this batch.')
    this.changedCards.set(card, history)
    return history
  }

  peekCard(card: string): CardHistory | null {
    const history = this.#content.cards.get(card)
    return history === undefined || isEmpty(history) ? null : history
  }

  ownTerminal(terminal: string): EntityPart {
    const part = this.#content.own.get(terminal)
    if (part === undefined) throw new RangeError('The terminal was not read for this batch.')
    this.changedTerminals.set(terminal, part)
    return part
  }

  otherTerminals(terminal: string): readonly ReadablePart[] {
    return this.#content.others.get(terminal) ?? NO_PARTS
  }
}

function isEmpty(history: CardHistory): boolean {
  return history.eventCount === 0 && history.buckets.length === 0
}
