// State of one partition in memory that is never compacted, encoded or shared.

import { CardHistory } from '../../services/core/features/state/card-history.ts'
import { EntityPart } from '../../services/core/features/state/entity-part.ts'
import {
  entityKeyOf,
  type EntityKind,
} from '../../services/core/features/catalogue/feature-definition.ts'
import type {
  CardLookup,
  PartitionMessages,
  PartitionState,
} from '../../services/core/features/engine/fold-state.ts'

/** All messages of a partition. */
export class PlainMessages implements PartitionMessages {
  readonly byOffset = new Map<number, Uint8Array>()

  keep(offset: number, _: number, message: Uint8Array): void {
    this.byOffset.set(offset, Uint8Array.from(message))
  }

  find(offset: number): Uint8Array | null {
    return this.byOffset.get(offset) ?? null
  }
}

export class PlainState implements PartitionState, CardLookup {
  readonly entityHorizonMs = -Infinity
  readonly messages = new PlainMessages()
  readonly #cards = new Map<string, CardHistory>()
  readonly #entities = new Map<number, EntityPart>()

  card(card: string): CardHistory {
    const history = this.#cards.get(card) ?? new CardHistory()
    this.#cards.set(card, history)
    return history
  }

  peekCard(card: string): CardHistory | null {
    return this.#cards.get(card) ?? null
  }

  ownEntity(kind: EntityKind, ref: number): EntityPart {
    const key = entityKeyOf(kind, ref)
    const part = this.#entities.get(key) ?? new EntityPart()
    this.#entities.set(key, part)
    return part
  }

  /** There are no other partitions. */
  readonly otherEntities: PartitionState['otherEntities'] = () => []
}
