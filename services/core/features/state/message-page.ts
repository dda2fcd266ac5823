// The messages of a partition's last days, so that decisions which a late transaction changes can be computed again: pages of
// PAGE_OFFSETS consecutive offsets each. With the cards they would be copied into each card, and written again whenever
// that is written whole.
//
// Stored form, envelope in sealed.ts
//   message count; per message: offset within the page, length, bytes

import assert from 'node:assert/strict'
import { SluiceError } from '../../errors.ts'
import { ByteReader, varintLength, writeVarint } from './bytes.ts'
import { HEADER_BYTES, readValue, sealInPlace, type LayoutReaders } from './sealed.ts'

/** A late transaction reads a page for each decision that it changes, so they are small. */
export const PAGE_OFFSETS = 64

/** The layout that pages are written in. */
const LAYOUT = 1
/** Every layout of pages that this build reads; see LayoutReaders. */
const READERS: LayoutReaders<readonly StoredMessage[]> = new Map([[LAYOUT, readMessages]])
/** After the header, and how many there are. */
const MESSAGES_AT = HEADER_BYTES + 1
/** Room for a page of usual messages. */
const BYTES_AT_FIRST = 16 * 1024

/** The page that holds this offset. */
export function pageOf(offset: number): number {
  return Math.floor(offset / PAGE_OFFSETS)
}

export class MessagePage {
  readonly index: number
  /** In its stored form, but for the header. */
  #bytes = Buffer.allocUnsafe(BYTES_AT_FIRST)
  #end = MESSAGES_AT
  #count = 0
  #lastPlace = -1
  /** No message is of a later event time. */
  newestMs = -Infinity

  constructor(index: number) {
    this.index = index
  }

  /** Adds a message whose offset is of this page; one that is held already is left as it is. Hot path. */
  keep(offset: number, eventTimeMs: number, message: Uint8Array): void {
    const place = offset - this.index * PAGE_OFFSETS
    if (place <= this.#lastPlace) return
    const { length } = message
    const end = this.#end + varintLength(place) + varintLength(length) + length
    if (end > this.#bytes.length) this.#makeRoom(end)
    const bytes = this.#bytes
    bytes.set(message, writeVarint(bytes, writeVarint(bytes, this.#end, place), length))
    this.#end = end
    this.#count += 1
    this.#lastPlace = place
    if (eventTimeMs > this.newestMs) this.newestMs = eventTimeMs
  }

  /** A view that holds until the next change; null when the page does not hold it. */
  find(offset: number): Uint8Array | null {
    const wanted = offset - this.index * PAGE_OFFSETS
    const reader = new ByteReader(this.#bytes.subarray(0, this.#end), MESSAGES_AT)
    while (!reader.isAtEnd) {
      const place = reader.varint()
      const message = reader.view(reader.varint())
      if (place === wanted) return message
    }
    return null
  }

  /** Bytes that the page takes in memory. */
  get memoryBytes(): number {
    return this.#bytes.length
  }

  /** The stored form, as a view that holds until the next change. */
  seal(): Buffer {
    // At most PAGE_OFFSETS, so that it is a varint of one byte.
    this.#bytes[HEADER_BYTES] = this.#count
    const value = this.#bytes.subarray(0, this.#end)
    sealInPlace(value, LAYOUT)
    return value
  }

  #makeRoom(needed: number): void {
    const larger = Buffer.allocUnsafe(2 * needed)
    larger.set(this.#bytes.subarray(0, this.#end))
    this.#bytes = larger
  }
}

interface StoredMessage {
  /** Offset within the page. */
  readonly place: number
  readonly message: Uint8Array
}

/**
 * Reads a stored page, without the messages from `nextOffset` on, which are still to be decided. Event times do not stand
 * in it: `newestMs` is what none of them is later than. @throws SluiceError SLUICE_STATE_CORRUPT
 */
export function decodePage(
  index: number,
  value: Buffer,
  nextOffset: number,
  newestMs: number,
): MessagePage {
  const page = new MessagePage(index)
  for (const { place, message } of readValue(value, READERS)) {
    const offset = index * PAGE_OFFSETS + place
    if (offset < nextOffset) page.keep(offset, newestMs, message)
  }
  return page
}

function readMessages([reader, ...more]: readonly ByteReader[]): readonly StoredMessage[] {
  assert(reader !== undefined)
  const messages: StoredMessage[] = []
  for (let left = bounded(reader, PAGE_OFFSETS); left > 0; left -= 1) {
    const place = bounded(reader, PAGE_OFFSETS - 1)
    messages.push({ place, message: reader.view(reader.varint()) })
  }
  if (reader.isAtEnd && more.length === 0) return messages
  throw new SluiceError('SLUICE_STATE_CORRUPT', 'A page of messages has bytes after its content.')
}

function bounded(reader: ByteReader, most: number): number {
  const number = reader.varint()
  if (number <= most) return number
  throw new SluiceError(
    'SLUICE_STATE_CORRUPT',
    `A page of messages has the number ${number} where ${most} is the most.`,
  )
}
