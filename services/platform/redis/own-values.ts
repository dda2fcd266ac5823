// What a batch needs of the partition's own values: those in memory, and the keys of the rest.

import type { CardHistory } from '../../core/features/state/card-history.ts'
import type { EntityPart } from '../../core/features/state/entity-part.ts'
import type { Frontier } from '../../core/stream/partition-progress.ts'
import { entityName, type PartitionKeys } from './keys.ts'
import type { MessagePages } from './message-pages.ts'
import type { StateCodec } from './state-codec.ts'
import type { KeptValue, KeptValues, ValueId } from './value-cache.ts'

/** Where a partition keeps its values. */
export interface OwnPlace {
  readonly codec: StateCodec
  readonly keys: PartitionKeys
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

/** Values that a batch has at hand, each at a place of its own. */
export class HeldValues<Id extends ValueId, Value extends CardHistory | EntityPart> {
  readonly #ids: Id[] = []
  /** Undefined until what is missing was taken in. */
  readonly #values: (Value | undefined)[] = []
  /** Where they are kept in memory. */
  readonly #kept: (KeptValue | undefined)[] = []
  readonly #isChanged: boolean[] = []
  readonly #indexes = new Map<Id, number>()
  readonly #changed: number[] = []

  /** `ids` without doubles. */
  constructor(ids: readonly Id[], kept: KeptValues) {
    for (const id of ids) {
      const known = kept.find(id)
      this.add(id, known?.value as Value | undefined, known)
    }
  }

  get size(): number {
    return this.#ids.length
  }

  /** Where those are that were handed out to be changed. */
  get changed(): readonly number[] {
    return this.#changed
  }

  add(id: Id, value: Value | undefined, kept: KeptValue | undefined): void {
    this.#indexes.set(id, this.#ids.length)
    this.#ids.push(id)
    this.#values.push(value)
    this.#kept.push(kept)
    this.#isChanged.push(false)
  }

  /** -1 for what was not asked for. Hot path. */
  indexOf(id: Id): number {
    return this.#indexes.get(id) ?? -1
  }

  /** Undefined at -1. Hot path. */
  valueAt(index: number): Value | undefined {
    return index < 0 ? undefined : this.#values[index]
  }

  /** @throws RangeError where there is nothing. */
  idAt(index: number): Id {
    const id = this.#ids[index]
    if (id === undefined) throw new RangeError(`Nothing is held at ${index}.`)
    return id
  }

  keptAt(index: number): KeptValue | undefined {
    return this.#kept[index]
  }

  put(index: number, value: Value): void {
    this.#values[index] = value
  }

  /** Notes that it is handed out to be changed. Hot path. */
  noteChanged(index: number): void {
    if (this.#isChanged[index] === true) return
    this.#isChanged[index] = true
    this.#changed.push(index)
  }

  /** Keeps what was handed out to be changed in memory. */
  keepChanged(kept: KeptValues): void {
    for (const index of this.#changed) {
      const value = this.#values[index]
      if (value !== undefined)
        kept.put(this.idAt(index), value, value.memoryBytes, this.#kept[index])
    }
  }
}

export class OwnValues {
  readonly cards: HeldValues<string, CardHistory>
  readonly parts: HeldValues<number, EntityPart>
  /** What is not in memory, by the key that it stands under. */
  readonly #missing = new Map<string, (value: Buffer | null, next: Frontier) => void>()

  constructor(place: OwnPlace, { cards, entities, pages }: OwnWanted) {
    const { keys, generation, codec, kept } = place
    this.cards = new HeldValues(cards, kept)
    this.parts = new HeldValues(entities, kept)
    this.#miss(
      this.cards,
      (card) => keys.card(generation, card),
      (value, next) => codec.decodeCard(value, next.nextOffset),
    )
    this.#miss(
      this.parts,
      (entity) => keys.entity(generation, entityName(entity)),
      (value) => codec.decodeEntity(value),
    )
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
  take(values: readonly (Buffer | null)[], next: Frontier): void {
    let index = 0
    for (const take of this.#missing.values()) {
      take(values[index] ?? null, next)
      index += 1
    }
  }

  /** Notes how those are read that are not in memory. */
  #miss<Id extends ValueId, Value extends CardHistory | EntityPart>(
    held: HeldValues<Id, Value>,
    keyOf: (id: Id) => string,
    decode: (value: Buffer | null, next: Frontier) => Value,
  ): void {
    for (let index = 0; index < held.size; index += 1) {
      if (held.valueAt(index) !== undefined) continue
      this.#missing.set(keyOf(held.idAt(index)), (value, next) => {
        held.put(index, decode(value, next))
      })
    }
  }
}
