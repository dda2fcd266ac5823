// What a batch needs of the lane's own values: those in memory, and the keys of the rest.

import type { CardHistory } from '../../core/features/card-history.ts'
import type { EntityPart } from '../../core/features/entity-part.ts'
import type { LaneCut } from '../../core/stream/lane-progress.ts'
import { entityName, type LaneKeys } from './keys.ts'
import type { MessagePages } from './message-pages.ts'
import type { StateCodec } from './state-codec.ts'
import type { KeptValues, ValueId } from './value-cache.ts'

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
  /** What is not in memory, by the key that it stands under. */
  readonly #missing = new Map<string, (value: Buffer | null, next: LaneCut) => void>()

  constructor(place: OwnPlace, { cards, entities, pages }: OwnWanted) {
    const { keys, generation, codec } = place
    const keyOf = (entity: number): string => keys.entity(generation, entityName(entity))
    this.#find(
      cards,
      this.cards,
      place.kept,
      (card) => keys.card(generation, card),
      (value, next) => codec.decodeCard(value, next.nextOffset),
    )
    this.#find(entities, this.parts, place.kept, keyOf, (value) => codec.decodeEntity(value))
    for (const page of pages) {
      this.#missing.set(keys.messages(generation, page), (value, { nextOffset }) => {
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

  /** Takes from memory what is there, and notes how the rest is read. */
  #find<Id extends ValueId, Value>(
    ids: readonly Id[],
    found: Map<Id, Value>,
    kept: KeptValues,
    keyOf: (id: Id) => string,
    decode: (value: Buffer | null, next: LaneCut) => Value,
  ): void {
    for (const id of ids) {
      const known = kept.get(id) as Value | undefined
      if (known !== undefined) found.set(id, known)
      else {
        this.#missing.set(keyOf(id), (value, next) => {
          found.set(id, decode(value, next))
        })
      }
    }
  }
}
