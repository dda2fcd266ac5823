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
  decodeCard(bytes: Buffer | null, nextOffset: number): CardHistory {
    return withoutUndecided(CardHistory.decode(bytes), nextOffset)
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

/** The history itself, unless it holds such an event, which is rare: only the first batch after a crash meets any. */
function withoutUndecided(history: CardHistory, nextOffset: number): CardHistory {
  if (history.offsets.every((offset) => offset < nextOffset)) return history
  const decided = new CardHistory()
  decided.buckets.push(...history.buckets)
  for (const [index, offset] of history.offsets.entries()) {
    if (offset >= nextOffset) continue
    decided.insert({
      timeMs: history.timesMs[index] ?? 0,
      offset,
      amountMinor: history.amountsMinor[index] ?? 0,
      idRef: history.idRefs[index] ?? 0,
      intentRef: history.intentRefs[index] ?? 0,
      deviceRef: history.deviceRefs[index] ?? 0,
      latitudeE4: history.latitudesE4[index] ?? 0,
      longitudeE4: history.longitudesE4[index] ?? 0,
      hasPlace: history.hasPlaceAt(index),
      isRetry: history.isRetryAt(index),
    })
    decided.setOutcome(offset, history.outcomeAt(index))
  }
  return decided
}
