// Turns values into the bytes that are stored, and back.

import type { ByteWriter } from '../../core/features/bytes.ts'
import { CardHistory } from '../../core/features/card-history.ts'
import { EntityPart } from '../../core/features/entity-part.ts'
import { VALUE_LAYOUTS } from './value-layouts.ts'

/** Turns values into bytes of one layout, and bytes of any known layout into values. */
export class StateCodec {
  readonly #writer: ByteWriter

  /** `layout` must be one of VALUE_LAYOUTS. `writer` is scratch space. */
  constructor(layout: number, writer: ByteWriter) {
    const known = VALUE_LAYOUTS.some((one) => one.layout === layout)
    if (!known) throw new RangeError(`Layout ${layout} is unknown.`)
    this.#writer = writer
  }

  encode(value: CardHistory | EntityPart): Buffer {
    return value.encode(this.#writer)
  }

  /**
   * A card, without what is still to be decided: events from `nextOffset` on were written before a crash.
   * @throws SluiceError SLUICE_STATE_CORRUPT
   */
  decodeCard(bytes: Buffer | null): CardHistory {
    return CardHistory.decode(bytes)
  }

  /** @throws SluiceError SLUICE_STATE_CORRUPT */
  decodeEntity(bytes: Buffer | null): EntityPart {
    return EntityPart.decode(bytes)
  }
}

/** How much of a bounded cache a value takes, in events; an empty one takes some, too. */
export function weightOf(value: CardHistory | EntityPart): number {
  const more =
    value instanceof CardHistory
      ? value.buckets.length
      : value.crowdedHours.length + value.labels.length
  return VALUE_WEIGHT_MIN + value.timesMs.length + more
}

/** An object with its arrays takes about as much memory as this many events. */
const VALUE_WEIGHT_MIN = 16
