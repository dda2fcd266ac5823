// Messages of a partition's last days, needed to recompute decisions that a late transaction changes. A page has
// PAGE_OFFSETS consecutive offsets. Stored with the cards, the messages would be rewritten each time a card is written
// whole.
//
// Stored form; envelope as in sealed.ts
//   message count; per message: offset within the page, length, bytes

import assert from 'node:assert/strict'
import { SluiceError } from '../../errors.ts'
import { ByteReader, varintLength, writeVarint } from './bytes.ts'
import { HEADER_BYTES, readValue, sealInPlace, type LayoutReaders } from './sealed.ts'

/** A late transaction reads one page per decision that it changes, so pages are small. */
export const PAGE_OFFSETS = 64

/** The layout that pages are written in. */
const LAYOUT = 1
/** Every layout of pages that this build reads; see LayoutReaders. */
const READERS: LayoutReaders<readonly StoredMessage[]> = new Map([[LAYOUT, readMessages]])
/** Position of the first message: after the header and the message count. */
const MESSAGES_AT = HEADER_BYTES + 1
/** Initial capacity, enough for a page of typical messages. */
const BYTES_AT_FIRST = 16 * 1024

/** Index of the page that holds this offset. */
export function pageOf(offset: number): number {
  return Math.floor(offset / PAGE_OFFSETS)
}

export class MessagePage {
  readonly index: number
  /** The stored form; `seal` fills in the header. */
  #bytes = Buffer.allocUnsafe(BYTES_AT_FIRST)
  #end = MESSAGES_AT
  #count = 0
  #lastPlace = -1
  /** Upper bound of the event times of the messages. */
  newestMs = -Infinity

  constructor(index: number) {
    this.index = index
  }

  /** Adds a message whose offset belongs to this page; an offset that is already present is ignored. Hot path. */
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

  /** A view that is valid until the next change; null if the page does not have the message. */
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

  /** Memory of the page, in bytes. */
  get memoryBytes(): number {
    return this.#bytes.length
  }

  /** The stored form, as a view that is valid until the next change. */
  seal(): Buffer {
    // At most PAGE_OFFSETS, hence a varint of one byte.
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
 * Reads a stored page without the messages from `nextOffset` on, which are not decided yet. The page stores no event
 * times, so the caller passes an upper bound of them as `newestMs`. @throws SluiceError SLUICE_STATE_CORRUPT
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
    `A page of messages has the number ${number}; the limit is ${most}.`,
  )
}
