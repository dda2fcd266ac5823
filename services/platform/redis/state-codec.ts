// Turns values into the bytes that are stored, and back.

import type { ByteWriter } from '../../core/features/bytes.ts'
import { CardHistory } from '../../core/features/card-history.ts'
import { decodeCard } from '../../core/features/card-decoding.ts'
import { encodeCard, encodeCardAddition } from '../../core/features/card-layouts.ts'
import {
  decodeEntityPart,
  encodeEntityAddition,
  encodeEntityPart,
  entityLayoutBeside,
  type EntityLayout,
} from '../../core/features/entity-layouts.ts'
import type { EntityPart } from '../../core/features/entity-part.ts'
import { valueLayout, type ValueLayout } from './value-layouts.ts'

/** Turns values into bytes of one layout, and bytes of any known layout into values. */
export class StateCodec {
  readonly #layout: ValueLayout
  readonly #entityLayout: EntityLayout
  readonly #writer: ByteWriter

  /** `layout` must be one of VALUE_LAYOUTS. `writer` is scratch space. */
  constructor(layout: number, writer: ByteWriter) {
    this.#layout = valueLayout(layout)
    this.#entityLayout = entityLayoutBeside(this.#layout)
    this.#writer = writer
  }

  /** `day` is the present one: what was written whole on another takes no additions. */
  encode(value: CardHistory | EntityPart, day: number): Buffer {
    return value instanceof CardHistory
      ? encodeCard(value, this.#layout, this.#writer, day)
      : encodeEntityPart(value, this.#writer, this.#entityLayout, day)
  }

  /** What has to be appended to what is stored, if anything; null when the whole has to be written. */
  encodeAddition(value: CardHistory | EntityPart, day: number): Buffer | null {
    return value instanceof CardHistory
      ? encodeCardAddition(value, this.#layout, this.#writer, day)
      : encodeEntityAddition(value, this.#writer, this.#entityLayout, day)
  }

  /** Redis has all values that were encoded so far: their room is used again. */
  recycle(): void {
    this.#writer.recycle()
  }

  /**
   * A card, without what is still to be decided: events from `nextOffset` on were written before a crash.
   * @throws SluiceError SLUICE_STATE_CORRUPT
   */
  decodeCard(bytes: Buffer | null, nextOffset: number): CardHistory {
    const history = decodeCard(bytes)
    history.forgetFrom(nextOffset)
    return history
  }

  /** @throws SluiceError SLUICE_STATE_CORRUPT */
  decodeEntity(bytes: Buffer | null): EntityPart {
    return decodeEntityPart(bytes)
  }
}

/** How much of a bounded cache a value takes, in events; an empty one takes some, too. */
export function weightOf(value: CardHistory | EntityPart): number {
  const more =
    value instanceof CardHistory
      ? value.buckets.length
      : value.crowdedHours.length + value.labels.length
  return VALUE_WEIGHT_MIN + value.count + more
}

/** An object with its arrays takes about as much memory as this many events. */
const VALUE_WEIGHT_MIN = 16
