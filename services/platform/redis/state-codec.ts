// Encodes values into their stored form, and decodes them.

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

/** Encodes and decodes values. Encoded values are collected, one after the other, until `take`. */
export class StateCodec {
  readonly #whole = new ByteWriter()
  readonly #added = new ByteWriter()

  /**
   * Encodes a value whole. `day` is today: no additions are made to a value that was written whole on another day.
   * Returns the length.
   */
  encode(value: CardHistory | EntityPart, day: number): number {
    const writer = this.#whole
    if (value instanceof CardHistory) writeCard(value, writer, day)
    else writeEntityPart(value, writer, day)
    const { length } = writer
    writer.keep()
    return length
  }

  /** Encodes a page of messages, which must not change until `take`. Returns the length. */
  encodePage(page: MessagePage): number {
    const value = page.seal()
    this.#whole.keepElsewhere(value)
    return value.length
  }

  /** Encodes the addition to the stored value. Returns its length; null means that the whole value must be encoded. */
  encodeAddition(value: CardHistory | EntityPart, day: number): number | null {
    const writer = this.#added
    const length =
      value instanceof CardHistory
        ? writeCardAddition(value, writer, day)
        : writeEntityAddition(value, writer, day)
    if (length !== null && length > 0) writer.keep()
    return length
  }

  /** Returns everything encoded since the last call, whole values first. */
  take(): Buffer {
    return Buffer.concat([...this.#whole.takeKept(), ...this.#added.takeKept()])
  }

  /** Reuses the buffers; no value taken before may be read any more. */
  recycle(): void {
    this.#whole.recycle()
    this.#added.recycle()
  }

  /**
   * Decodes a card without events from `nextOffset` on, which were written before a crash and are decided again.
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
