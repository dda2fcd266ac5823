// How much of a value is stored already: so that a change appends what is new, and the whole is written only once
// additions have become much. None of it is state: it can be forgotten at any time, and the value is written whole.

/** Additions may have this share of the first part, ... */
const ADDED_SHARE_MAX = 0.5
/** ... this many bytes at the least, so that a young value is not written whole each time, ... */
const ADDED_BYTES_FLOOR = 768
/** ... and this many at the most. */
export const ADDED_BYTES_MAX = 8 * 1_024

class StoredForm {
  /** Whether it is known what stands there. */
  #isKnown = false
  /** Day on which it was written whole. */
  #day = 0
  /** Of the last part, as a signed number: those are kept in the object itself. */
  #checksum = 0
  /** Of all parts, and how many they may be before the value is written whole again. */
  #bytes = 0
  #bytesMax = 0
  /** Events of the value that are not in it yet: those that came last. Any number while it is not known what stands there. */
  #newCount = 0

  get newCount(): number {
    return this.#newCount
  }

  get checksum(): number {
    return this.#checksum >>> 0
  }

  /** Length of what stands there. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Whether what is new may be appended to what stands there. On another day it may not: a store counts the time to live
   * of a value from when it was written whole. Hot path.
   */
  takesMore(day: number): boolean {
    return this.#isKnown && this.#day === day && this.#bytes < this.#bytesMax
  }

  /** One more event, which no stored part holds. Hot path. */
  noteNew(): void {
    this.#newCount += 1
  }

  /** The value was written whole. */
  begin(day: number, checksum: number, bytes: number): void {
    this.#isKnown = true
    this.#day = day
    this.#checksum = checksum | 0
    this.#bytes = bytes
    // A whole number, which is kept in the object itself.
    const added = Math.max(ADDED_BYTES_FLOOR, Math.floor(bytes * ADDED_SHARE_MAX))
    this.#bytesMax = bytes + Math.min(ADDED_BYTES_MAX, added)
    this.#newCount = 0
  }

  /** What was new was appended. Hot path. */
  add(checksum: number, bytes: number): void {
    this.#checksum = checksum | 0
    this.#bytes += bytes
    this.#newCount = 0
  }

  /** What is stored has changed otherwise than by an event at its end, or is not known. */
  forget(): void {
    this.#isKnown = false
  }
}

export class StoredCard extends StoredForm {
  /** References that are stored. */
  referenceCount = 0
}

export class StoredPart extends StoredForm {
  /** Time and offset of the event that was written last: the next is written against them. */
  lastTimeMs = 0
  lastOffset = 0
  /** Every stored event has an offset below this, and every other one this or a larger. */
  nextOffset = 0
}
