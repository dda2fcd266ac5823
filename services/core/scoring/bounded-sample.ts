// A sample of bounded size of decisions that wait for their labels, which may take weeks. Everything is stored while
// there is room. When the sample is full, half of it is dropped, chosen by a hash of the transaction, and the rest
// counts twice. So the sample covers the whole time at any traffic, and sums over it are unbiased.

/** An entry, and the number of decisions that it represents. */
export interface Sampled<Value> {
  readonly value: Value
  readonly weight: number
}

interface Entry<Value> {
  readonly value: Value
  readonly eventTimeMs: number
  share: number
}

const SHARE_MIN = 2 ** -20
const HASH_RANGE = 2 ** 24

export class BoundedSample<Value> {
  readonly #sizeMax: number
  readonly #ageMsMax: number
  /** By reference, in order of arrival. */
  readonly #entries = new Map<number, Entry<Value>>()
  #share = 1
  #newestMs = -Infinity

  /** Entries whose event is `ageMsMax` older than the newest are dropped: their label will not come any more. */
  constructor(sizeMax: number, ageMsMax: number) {
    this.#sizeMax = sizeMax
    this.#ageMsMax = ageMsMax
  }

  /** Share of new entries that is stored at present. */
  get share(): number {
    return this.#share
  }

  get size(): number {
    return this.#entries.size
  }

  /** `reference` is a 48-bit hash of the transaction's id. */
  add(reference: number, eventTimeMs: number, value: Value): void {
    if (eventTimeMs > this.#newestMs) this.#newestMs = eventTimeMs
    if (!isWithin(reference, this.#share)) return
    this.#entries.set(reference, { value, eventTimeMs, share: this.#share })
    if (this.#entries.size > this.#sizeMax) this.#makeRoom()
  }

  /** Removes and returns the entry of this transaction; null when it is not in the sample. */
  take(reference: number): Sampled<Value> | null {
    const entry = this.#entries.get(reference)
    if (entry === undefined) return null
    this.#entries.delete(reference)
    return { value: entry.value, weight: 1 / entry.share }
  }

  clear(): void {
    this.#entries.clear()
    this.#share = 1
    this.#newestMs = -Infinity
  }

  #makeRoom(): void {
    const oldestMs = this.#newestMs - this.#ageMsMax
    for (const [reference, { eventTimeMs }] of this.#entries) {
      if (eventTimeMs < oldestMs) this.#entries.delete(reference)
    }
    while (this.#entries.size > this.#sizeMax / 2 && this.#share > SHARE_MIN) {
      this.#share /= 2
      for (const [reference, entry] of this.#entries) {
        if (isWithin(reference, this.#share)) entry.share = Math.min(entry.share, this.#share)
        else this.#entries.delete(reference)
      }
    }
  }
}

/** The low bits of a reference are as good as random. */
function isWithin(reference: number, share: number): boolean {
  return reference % HASH_RANGE < share * HASH_RANGE
}
