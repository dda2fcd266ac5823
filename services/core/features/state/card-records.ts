// The messages that are kept with a card's newest events, so that their decisions can be recomputed. They are wanted
// only when a payment comes late, and written with every change of the card: so they are kept as they are stored, one
// after the other in one buffer, and taken apart only when they are asked for.
//
// Stored form, per message: place of its event among those not settled, length, bytes.

import { ByteReader, varintLength, writeVarint, type ByteWriter } from './bytes.ts'

/** Room that a card's first messages find. */
const BYTES_AT_FIRST = 512

const NO_BYTES = Buffer.alloc(0)

export interface KeptRecord {
  /** Among the events that are not settled, oldest first. */
  readonly place: number
  readonly record: Uint8Array
}

export class CardRecords {
  #bytes = NO_BYTES
  /** Where the first one begins, and where the next will. */
  #from = 0
  #end = 0
  #firstPlace = -1
  #count = 0
  /** Bytes that were ever added. */
  #added = 0

  get count(): number {
    return this.#count
  }

  /** Place of the oldest event with a message; -1 for none. */
  get firstPlace(): number {
    return this.#firstPlace
  }

  /** Adds the message of an event that comes after all others. The bytes are copied. Hot path. */
  append(place: number, record: Uint8Array): void {
    const { length } = record
    const needed = varintLength(place) + varintLength(length) + length
    if (this.#end + needed > this.#bytes.length) this.#makeRoom(needed)
    const bytes = this.#bytes
    const at = writeVarint(bytes, writeVarint(bytes, this.#end, place), length)
    bytes.set(record, at)
    this.#end += needed
    this.#added += needed
    if (this.#count === 0) this.#firstPlace = place
    this.#count += 1
  }

  /** A mark at the end, for `writeSince`; it holds as long as only `append` is called. */
  get mark(): number {
    return this.#added
  }

  /** Writes the stored form of the messages that came after a mark. Hot path. */
  writeSince(mark: number, target: ByteWriter): void {
    if (this.#added > mark) {
      target.bytes(this.#bytes.subarray(this.#end - this.#added + mark, this.#end))
    }
  }

  /** Takes the oldest one away. Hot path. */
  dropFirst(): void {
    if (this.#count === 0) return
    this.#count -= 1
    if (this.#count === 0) {
      this.clear()
      return
    }
    const reader = new ByteReader(this.#bytes, this.#from)
    reader.varint()
    reader.skip(reader.varint())
    this.#from = reader.position
    this.#firstPlace = reader.varint()
  }

  /** The first `settled` of the events that were not are settled now: their messages go, others have new places. */
  shift(settled: number): void {
    while (this.#count > 0 && this.#firstPlace < settled) this.dropFirst()
    if (settled === 0 || this.#count === 0) return
    // A smaller number takes no more room, so what was read is never overwritten before.
    const reader = new ByteReader(this.#bytes.subarray(0, this.#end), this.#from)
    let to = this.#from
    while (!reader.isAtEnd) {
      const place = reader.varint() - settled
      const length = reader.varint()
      const { position } = reader
      reader.skip(length)
      const at = writeVarint(this.#bytes, writeVarint(this.#bytes, to, place), length)
      if (at !== position) this.#bytes.copyWithin(at, position, position + length)
      to = at + length
    }
    this.#end = to
    this.#firstPlace -= settled
  }

  /** All of them, oldest event first, as views that hold until the next change. */
  list(): readonly KeptRecord[] {
    const reader = new ByteReader(this.#bytes.subarray(0, this.#end), this.#from)
    const all: KeptRecord[] = []
    while (!reader.isAtEnd) {
      const place = reader.varint()
      all.push({ place, record: reader.view(reader.varint()) })
    }
    return all
  }

  /** Puts these in place of all others; they are in order of their places, and may be views of the others. */
  replace(records: readonly KeptRecord[]): void {
    this.#bytes = Buffer.allocUnsafe(BYTES_AT_FIRST)
    this.clear()
    for (const { place, record } of records) this.append(place, record)
  }

  clear(): void {
    this.#from = 0
    this.#end = 0
    this.#firstPlace = -1
    this.#count = 0
  }

  /** Writes the stored form, without the number of messages. Hot path. */
  writeTo(target: ByteWriter): void {
    if (this.#count > 0) target.bytes(this.#bytes.subarray(this.#from, this.#end))
  }

  /** Room for this many more bytes, where messages that are gone leave none. */
  #makeRoom(needed: number): void {
    const live = this.#end - this.#from
    const room = live + needed
    if (2 * room <= this.#bytes.length) this.#bytes.copyWithin(0, this.#from, this.#end)
    else {
      const larger = Buffer.allocUnsafe(Math.max(BYTES_AT_FIRST, 2 * room))
      larger.set(this.#bytes.subarray(this.#from, this.#end))
      this.#bytes = larger
    }
    this.#from = 0
    this.#end = live
  }
}
