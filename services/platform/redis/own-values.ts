// The partition's own values for a batch: those in memory, and the keys of the others.

import type { CardHistory } from '../../core/features/state/card-history.ts'
import type { EntityPart } from '../../core/features/state/entity-part.ts'
import type { Frontier } from '../../core/stream/partition-progress.ts'
import { entityName, type PartitionKeys } from './keys.ts'
import type { MessagePages } from './message-pages.ts'
import type { StateCodec } from './state-codec.ts'
import type { CachedValue, CachedValues, ValueId } from './value-cache.ts'

/** Location of a partition's values. */
export interface ValueLocation {
  readonly codec: StateCodec
  readonly keys: PartitionKeys
  readonly generation: number
  /** Cards by name, own partial aggregates of entities by key. */
  readonly kept: CachedValues
  readonly messages: MessagePages
}

/** Values that a batch needs. */
export interface OwnWanted {
  readonly cards: readonly string[]
  /** By `entityKeyOf`. */
  readonly entities: readonly number[]
  /** Pages of messages, none of which is in memory. */
  readonly pages: readonly number[]
}

/** Pinned values of a batch, each at an index of its own. */
export class PinnedValues<Id extends ValueId, Value extends CardHistory | EntityPart> {
  readonly #ids: Id[] = []
  /** Undefined until the missing values have been read. */
  readonly #values: (Value | undefined)[] = []
  /** Entries of the values in the cache. */
  readonly #kept: (CachedValue | undefined)[] = []
  readonly #isChanged: boolean[] = []
  readonly #indexes = new Map<Id, number>()
  readonly #changed: number[] = []

  /** `ids` must be distinct. */
  constructor(ids: readonly Id[], kept: CachedValues) {
    for (const id of ids) {
      const known = kept.find(id)
      this.add(id, known?.value as Value | undefined, known)
    }
  }

  get size(): number {
    return this.#ids.length
  }

  /** Indexes of the values that were handed out to be changed. */
  get changed(): readonly number[] {
    return this.#changed
  }

  add(id: Id, value: Value | undefined, kept: CachedValue | undefined): void {
    this.#indexes.set(id, this.#ids.length)
    this.#ids.push(id)
    this.#values.push(value)
    this.#kept.push(kept)
    this.#isChanged.push(false)
  }

  /** -1 if the batch did not request it. Hot path. */
  indexOf(id: Id): number {
    return this.#indexes.get(id) ?? -1
  }

  /** Undefined for -1. Hot path. */
  valueAt(index: number): Value | undefined {
    return index < 0 ? undefined : this.#values[index]
  }

  /** @throws RangeError if the index has no value. */
  idAt(index: number): Id {
    const id = this.#ids[index]
    if (id === undefined) throw new RangeError(`The batch has no value ${index}.`)
    return id
  }

  keptAt(index: number): CachedValue | undefined {
    return this.#kept[index]
  }

  put(index: number, value: Value): void {
    this.#values[index] = value
  }

  /** Marks a value as changed, since it is handed out to be changed. Hot path. */
  noteChanged(index: number): void {
    if (this.#isChanged[index] === true) return
    this.#isChanged[index] = true
    this.#changed.push(index)
  }

  /** Caches the changed values. */
  cacheChanged(kept: CachedValues): void {
    for (const index of this.#changed) {
      const value = this.#values[index]
      if (value !== undefined)
        kept.put(this.idAt(index), value, value.memoryBytes, this.#kept[index])
    }
  }
}

export class OwnValues {
  readonly cards: PinnedValues<string, CardHistory>
  readonly parts: PinnedValues<number, EntityPart>
  /** Readers of the values that are not in memory, by key. */
  readonly #missing = new Map<string, (value: Buffer | null, next: Frontier) => void>()

  constructor(place: ValueLocation, { cards, entities, pages }: OwnWanted) {
    const { keys, generation, codec, kept } = place
    this.cards = new PinnedValues(cards, kept)
    this.parts = new PinnedValues(entities, kept)
    this.#readLater(
      this.cards,
      (card) => keys.card(generation, card),
      (value, next) => codec.decodeCard(value, next.nextOffset),
    )
    this.#readLater(
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
   * Accepts the values of the missing keys. Offsets from `next` on are not decided yet.
   * @throws SluiceError SLUICE_STATE_CORRUPT
   */
  take(values: readonly (Buffer | null)[], next: Frontier): void {
    let index = 0
    for (const take of this.#missing.values()) {
      take(values[index] ?? null, next)
      index += 1
    }
  }

  /** Registers readers for the values that are not in memory. */
  #readLater<Id extends ValueId, Value extends CardHistory | EntityPart>(
    pinned: PinnedValues<Id, Value>,
    keyOf: (id: Id) => string,
    decode: (value: Buffer | null, next: Frontier) => Value,
  ): void {
    for (let index = 0; index < pinned.size; index += 1) {
      if (pinned.valueAt(index) !== undefined) continue
      this.#missing.set(keyOf(pinned.idAt(index)), (value, next) => {
        pinned.put(index, decode(value, next))
      })
    }
  }
}
