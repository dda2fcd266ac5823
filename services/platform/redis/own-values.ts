// What a batch needs of the lane's own values: those in memory, and the keys of the rest.

import type { CardHistory } from '../../core/features/card-history.ts'
import type { EntityPart } from '../../core/features/entity-part.ts'
import type { LaneCut } from '../../core/stream/lane-progress.ts'
import { entityName, type LaneKeys } from './keys.ts'
import type { MessagePages } from './message-pages.ts'
import type { StateCodec } from './state-codec.ts'
import type { KeptValues } from './value-cache.ts'

/** Where a lane keeps its values. */
export interface OwnPlace {
  readonly codec: StateCodec
  readonly keys: LaneKeys
  readonly generation: number
  /** Cards by name, own parts of entities by key. */
  readonly kept: KeptValues
  readonly messages: MessagePages
}

/** What a batch asks for. */
export interface OwnWanted {
  readonly cards: readonly string[]
  /** By `entityKeyOf`. */
  readonly entities: readonly number[]
  /** Pages of messages, none of which is in memory. */
  readonly pages: readonly number[]
}

export class OwnValues {
  /** By card, and by entity key; complete once what is missing was taken in. */
  readonly cards = new Map<string, CardHistory>()
  readonly parts = new Map<number, EntityPart>()
  readonly #place: OwnPlace
  /** What is not in memory, by the key that it stands under. */
  readonly #missing = new Map<string, (value: Buffer | null, next: LaneCut) => void>()

  constructor(place: OwnPlace, { cards, entities, pages }: OwnWanted) {
    this.#place = place
    for (const card of cards) this.#findCard(card)
    for (const entity of entities) this.#findEntity(entity)
    for (const page of pages) {
      this.#missing.set(place.keys.messages(place.generation, page), (value, { nextOffset }) => {
        place.messages.take(page, value, nextOffset)
      })
    }
  }

  /** Keys to read. */
  get missing(): readonly string[] {
    return [...this.#missing.keys()]
  }

  /**
   * Takes in what stands under the missing keys. Offsets from `next` on are still to be decided.
   * @throws SluiceError SLUICE_STATE_CORRUPT
   */
  take(values: readonly (Buffer | null)[], next: LaneCut): void {
    let index = 0
    for (const take of this.#missing.values()) {
      take(values[index] ?? null, next)
      index += 1
    }
  }

  #findCard(card: string): void {
    const { kept, keys, generation, codec } = this.#place
    const history = kept.get(card) as CardHistory | undefined
    if (history !== undefined) {
      this.cards.set(card, history)
      return
    }
    this.#missing.set(keys.card(generation, card), (value, { nextOffset }) => {
      this.cards.set(card, codec.decodeCard(value, nextOffset))
    })
  }

  #findEntity(entity: number): void {
    const { kept, keys, generation, codec } = this.#place
    const part = kept.get(entity) as EntityPart | undefined
    if (part !== undefined) {
      this.parts.set(entity, part)
      return
    }
    this.#missing.set(keys.entity(generation, entityName(entity)), (value) => {
      this.parts.set(entity, codec.decodeEntity(value))
    })
  }
}
