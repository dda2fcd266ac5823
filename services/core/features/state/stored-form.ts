// Tracks how much of a value is already stored. A change then appends only what is new, and the value is written whole
// once its additions are large. None of this is state: it can be discarded at any time, and the value is then written
// whole.

/** Maximum size of the additions as a share of the first part, ... */
const ADDED_SHARE_MAX = 0.5
/** ... but at least this many bytes, so that a small value is not written whole each time, ... */
const ADDED_BYTES_FLOOR = 768
/** ... and at most this many. */
export const ADDED_BYTES_MAX = 8 * 1_024

class StoredForm {
  /** Whether the stored value is known. */
  #isKnown = false
  /** Day on which the value was written whole. */
  #day = 0
  /** Checksum of the last part as a signed number, which the engine stores inside the object. */
  #checksum = 0
  /** Size of all parts, and the size from which the value is written whole again. */
  #bytes = 0
  #bytesMax = 0
  /** Number of events not stored yet, always the last ones. Undefined while the stored value is unknown. */
  #newCount = 0

  get newCount(): number {
    return this.#newCount
  }

  get checksum(): number {
    return this.#checksum >>> 0
  }

  /** Length of the stored value, in bytes. */
  get bytes(): number {
    return this.#bytes
  }

  /**
   * Whether new events may be appended to the stored value. Not on another day: the store counts a value's time to live
   * from the day it was written whole. Hot path.
   */
  canAppend(day: number): boolean {
    return this.#isKnown && this.#day === day && this.#bytes < this.#bytesMax
  }

  /** Counts one more event that no stored part has. Hot path. */
  noteNew(): void {
    this.#newCount += 1
  }

  /** Records that the value was written whole. */
  begin(day: number, checksum: number, bytes: number): void {
    this.#isKnown = true
    this.#day = day
    this.#checksum = checksum | 0
    this.#bytes = bytes
    // Rounded to an integer, which the engine stores inside the object.
    const added = Math.max(ADDED_BYTES_FLOOR, Math.floor(bytes * ADDED_SHARE_MAX))
    this.#bytesMax = bytes + Math.min(ADDED_BYTES_MAX, added)
    this.#newCount = 0
  }

  /** Records that the new events were appended. Hot path. */
  add(checksum: number, bytes: number): void {
    this.#checksum = checksum | 0
    this.#bytes += bytes
    this.#newCount = 0
  }

  /** Discards the knowledge of the stored value: it changed other than by an event at its end, or is unknown. */
  forget(): void {
    this.#isKnown = false
  }
}

export class StoredCard extends StoredForm {
  /** Number of stored references. */
  referenceCount = 0
}

export class StoredPart extends StoredForm {
  /** Time and offset of the event written last; the next is encoded against them. */
  lastTimeMs = 0
  lastOffset = 0
  /** Stored events have an offset below this, all others this one or a larger one. */
  nextOffset = 0
}
