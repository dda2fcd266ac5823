// A sample of bounded size of what was decided, kept until its label comes, which may take weeks. While there is room,
// all is kept; when there is none, half of it goes, chosen by a hash of the transaction, and what remains stands for
// twice as many. So at any traffic the sample reaches back over the whole time, and sums over it are unbiased.

/** An entry that is kept, and of how many it is one. */
export interface Kept<Value> {
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
  /** By reference, in the order in which they came. */
  readonly #entries = new Map<number, Entry<Value>>()
  #share = 1
  #newestMs = -Infinity

  /** Entries whose event is `ageMsMax` older than the newest are forgotten: their label comes no more. */
  constructor(sizeMax: number, ageMsMax: number) {
    this.#sizeMax = sizeMax
    this.#ageMsMax = ageMsMax
  }

  /** Part of what comes that is kept now. */
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

  /** The entry of this transaction, which is then forgotten; null when it is not in the sample. */
  take(reference: number): Kept<Value> | null {
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
