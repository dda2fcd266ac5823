// The values that one micro-batch folds into. It remembers which were asked for: those are written back.

import type { CardHistory } from '../../core/features/card-history.ts'
import type { Cut, EntityPart } from '../../core/features/entity-part.ts'
import { entityKeyOf, type EntityKind } from '../../core/features/feature-definition.ts'
import type { ReadablePart } from '../../core/features/fold-state.ts'
import type { LaneProgress } from '../../core/stream/lane-progress.ts'
import type { LaneSnapshot } from './lane-store-contract.ts'
import type { MessagePages } from './message-pages.ts'

const NO_PARTS: readonly ReadablePart[] = []

export interface SnapshotContent {
  readonly progress: readonly (LaneProgress | null)[]
  /** By card. */
  readonly cards: Map<string, CardHistory>
  /** By entity key, the part of this lane. */
  readonly own: Map<number, EntityPart>
  /** By entity key, the parts of other lanes; null where one of them cannot be read. */
  readonly others: Map<number, readonly ReadablePart[] | null>
  readonly messages: MessagePages
}

/** Everything is decoded already: what cannot be read was found before the batch changed anything. */
export class Snapshot implements LaneSnapshot {
  readonly progress: readonly (LaneProgress | null)[]
  readonly messages: MessagePages
  entityHorizonMs = -Infinity
  /** Handed out to be changed. */
  readonly changedCards = new Map<string, CardHistory>()
  readonly changedEntities = new Map<number, EntityPart>()
  readonly #content: SnapshotContent

  constructor(content: SnapshotContent) {
    this.#content = content
    this.progress = content.progress
    this.messages = content.messages
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

  ownEntity(kind: EntityKind, ref: number): EntityPart {
    const key = entityKeyOf(kind, ref)
    const part = this.#content.own.get(key)
    if (part === undefined) throw new RangeError('The entity was not read for this batch.')
    this.changedEntities.set(key, part)
    return part
  }

  /** Null also for an entity that was not read: what is not known is never "no activity". */
  otherEntities(kind: EntityKind, ref: number): readonly ReadablePart[] | null {
    const key = entityKeyOf(kind, ref)
    if (!this.#content.own.has(key)) return null
    const parts = this.#content.others.get(key)
    return parts === undefined ? NO_PARTS : parts
  }

  /** Adds the entities read here to a snapshot that was read before for the same batch, within that one's cut. */
  giveTo(first: Snapshot): void {
    for (const [key, part] of this.#content.own) first.#content.own.set(key, part)
    for (const [key, parts] of this.#content.others) {
      const within = parts?.flatMap(({ part }, lane) => {
        const cut = this.#cutOf(first, parts[lane]?.cut)
        return cut === null ? [] : [{ part, cut }]
      })
      first.#content.others.set(key, within ?? null)
    }
  }

  /** The cut that the first snapshot had of the lane whose progress is `cut` by now. */
  #cutOf(first: Snapshot, cut: Cut | undefined): Cut | null {
    const lane = this.progress.findIndex((progress) => progress === cut)
    return first.progress[lane] ?? null
  }
}

function isEmpty(history: CardHistory): boolean {
  return history.count === 0 && history.buckets.length === 0
}
