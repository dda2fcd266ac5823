// Transactions of the recent past by their ids: those that wait for their decision, and decisions of the whole stream,
// whoever wrote the transaction. Bounded by count and by bytes; the oldest is forgotten first.

import type { KeptAlert, KeptDecision } from './answers.ts'

/** One transaction. */
export interface Entry {
  readonly id: string
  /** Digest of the content that was written first; null while it is not known. */
  digest: string | null
  /** Place of what was written first; -1 until it was acknowledged here or decided. */
  partition: number
  offset: number
  decision: KeptDecision | null
  /** Null until it is known what alert the decision has. */
  alert: KeptAlert | null
  /** Called when the entry has changed; null when nobody waits. */
  waiters: Set<() => void> | null
  /** The scorer could not decide it. */
  isRefused: boolean
  /** It may not have been written. */
  isLost: boolean
  /** When it was written here or decided, ms. */
  readonly sinceMs: number
  bytes: number
}

/** Map entry, object, numbers and the headers of its strings. */
const ENTRY_BYTES = 400
const REASON_BYTES = 200

export interface RecentDecisionsOptions {
  readonly countMax: number
  readonly bytesMax: number
}

export class RecentDecisions {
  readonly #options: RecentDecisionsOptions
  readonly #byId = new Map<string, Entry>()
  #bytes = 0

  constructor(options: RecentDecisionsOptions) {
    this.#options = options
  }

  get count(): number {
    return this.#byId.size
  }

  /** Estimated. */
  get bytes(): number {
    return this.#bytes
  }

  get(id: string): Entry | undefined {
    return this.#byId.get(id)
  }

  /** Adds a transaction that is not there yet. */
  add(id: string, digest: string | null, sinceMs: number): Entry {
    const entry: Entry = {
      id,
      digest,
      partition: -1,
      offset: -1,
      decision: null,
      alert: null,
      waiters: null,
      isRefused: false,
      isLost: false,
      sinceMs,
      bytes: ENTRY_BYTES + 2 * id.length,
    }
    this.#byId.set(id, entry)
    this.#bytes += entry.bytes
    this.#forgetOldest()
    return entry
  }

  /** Records the decision of an entry, and the offset at which its transaction was written first. */
  decide(entry: Entry, decision: KeptDecision, firstOffset: number): void {
    entry.decision = decision
    entry.partition = decision.partition
    entry.offset = firstOffset
    const bytes = bytesOf(decision)
    entry.bytes += bytes
    if (this.#byId.get(entry.id) !== entry) return
    this.#bytes += bytes
    this.#forgetOldest()
  }

  /** Forgets an entry, such as one that was not written. */
  remove(entry: Entry): void {
    if (this.#byId.get(entry.id) !== entry) return
    this.#byId.delete(entry.id)
    this.#bytes -= entry.bytes
  }

  /** Forgets entries of before this time, which are at the start of the map. */
  forgetBefore(timeMs: number): void {
    for (const entry of this.#byId.values()) {
      if (entry.sinceMs >= timeMs) return
      this.remove(entry)
    }
  }

  #forgetOldest(): void {
    const { countMax, bytesMax } = this.#options
    for (const entry of this.#byId.values()) {
      if (this.#byId.size <= countMax && this.#bytes <= bytesMax) return
      // The newest stays, or nothing could be answered.
      if (this.#byId.size === 1) return
      this.remove(entry)
    }
  }
}

function bytesOf({ card, annotations, reasons, rules, segment }: KeptDecision): number {
  let bytes = 2 * (card.length + (segment?.length ?? 0))
  for (const name of annotations) bytes += 2 * name.length
  for (const name of rules) bytes += 2 * name.length
  for (const { feature, text } of reasons)
    bytes += REASON_BYTES + 2 * (feature.length + text.length)
  return bytes
}
