// The messages that are kept with a card's newest events, so that their decisions can be recomputed. They are wanted
// only when a payment comes late, and written with every change of the card: so they are kept as they are stored, one
// after the other in one buffer, and taken apart only when they are asked for.
//
// Stored form, per message: place of its event among those not settled, length, bytes.

import { ByteReader, ByteWriter } from './bytes.ts'

/** A card's first messages find room in this. */
const BYTES_AT_FIRST = 512

/** Bytes of messages that are gone, at the front, before the rest is moved there. */
const GONE_BYTES_MAX = 1_024

export interface KeptRecord {
  /** Among the events that are not settled, oldest first. */
  readonly place: number
  readonly record: Uint8Array
}

export class CardRecords {
  /** Null while there are none. */
  #writer: ByteWriter | null = null
  /** Where the first one begins. */
  #from = 0
  #firstPlace = -1
  #count = 0

  get count(): number {
    return this.#count
  }

  /** Place of the oldest event with a message; -1 for none. */
  get firstPlace(): number {
    return this.#firstPlace
  }

  /** Adds the message of an event that comes after all others. The bytes are copied. Hot path. */
  append(place: number, record: Uint8Array): void {
    this.#writer ??= new ByteWriter(BYTES_AT_FIRST)
    const writer = this.#writer
    writer.varint(place)
    writer.varint(record.length)
    writer.bytes(record)
    if (this.#count === 0) this.#firstPlace = place
    this.#count += 1
  }

  /** Takes the oldest one away. Hot path. */
  dropFirst(): void {
    const writer = this.#writer
    if (writer === null) return
    this.#count -= 1
    if (this.#count === 0) {
      this.clear()
      return
    }
    const reader = new ByteReader(writer.view(0), this.#from)
    reader.varint()
    reader.skip(reader.varint())
    this.#from = reader.position
    this.#firstPlace = reader.varint()
    if (this.#from < GONE_BYTES_MAX) return
    const rest = Buffer.from(writer.view(this.#from))
    writer.reset()
    writer.bytes(rest)
    this.#from = 0
  }

  /** All of them, oldest event first, as views that hold until the next change. */
  list(): readonly KeptRecord[] {
    const writer = this.#writer
    if (writer === null) return []
    const reader = new ByteReader(writer.view(0), this.#from)
    const all: KeptRecord[] = []
    while (!reader.isAtEnd) {
      const place = reader.varint()
      all.push({ place, record: reader.view(reader.varint()) })
    }
    return all
  }

  /** Puts these in place of all others; they are in order of their places. */
  replace(records: readonly KeptRecord[]): void {
    const copies = records.map(({ place, record }) => ({ place, record: Uint8Array.from(record) }))
    this.clear()
    for (const { place, record } of copies) this.append(place, record)
  }

  clear(): void {
    this.#writer?.reset()
    this.#from = 0
    this.#firstPlace = -1
    this.#count = 0
  }

  /** Writes the stored form, without the number of messages. Hot path. */
  writeTo(target: ByteWriter): void {
    const writer = this.#writer
    if (writer !== null && this.#count > 0) target.bytes(writer.view(this.#from))
  }
}
