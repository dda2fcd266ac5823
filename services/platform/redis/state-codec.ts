// Turns values into the bytes that are stored, and back.

import { ByteWriter } from '../../core/features/state/bytes.ts'
import { CardHistory } from '../../core/features/state/card-history.ts'
import { decodeCard, writeCard, writeCardAddition } from '../../core/features/state/card-codec.ts'
import {
  decodeEntityPart,
  writeEntityAddition,
  writeEntityPart,
} from '../../core/features/state/entity-codec.ts'
import type { EntityPart } from '../../core/features/state/entity-part.ts'
import type { MessagePage } from '../../core/features/state/message-page.ts'

/** Turns values into bytes, and back. What is encoded is kept, one value after the other, until it is taken. */
export class StateCodec {
  readonly #whole = new ByteWriter()
  readonly #added = new ByteWriter()

  /** The whole value. `day` is the present one: what was written whole on another takes no additions. Returns its length. */
  encode(value: CardHistory | EntityPart, day: number): number {
    const writer = this.#whole
    if (value instanceof CardHistory) writeCard(value, writer, day)
    else writeEntityPart(value, writer, day)
    const { length } = writer
    writer.keep()
    return length
  }

  /** A page of messages, which may not change until all is taken. Returns its length. */
  encodePage(page: MessagePage): number {
    const value = page.seal()
    this.#whole.keepElsewhere(value)
    return value.length
  }

  /** What has to be appended to what is stored. Returns its length; null when the whole has to be written. */
  encodeAddition(value: CardHistory | EntityPart, day: number): number | null {
    const writer = this.#added
    const length =
      value instanceof CardHistory
        ? writeCardAddition(value, writer, day)
        : writeEntityAddition(value, writer, day)
    if (length !== null && length > 0) writer.keep()
    return length
  }

  /** All that was encoded since the last time, whole values first. */
  take(): Buffer {
    return Buffer.concat([...this.#whole.takeKept(), ...this.#added.takeKept()])
  }

  /** What was encoded so far is not looked at any more: its room is used again. */
  recycle(): void {
    this.#whole.recycle()
    this.#added.recycle()
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
