// Keeps a client library that repeats itself from filling the log: one line per key and interval, with the number of
// lines left out since.

/** Keys beyond this share one, so that memory stays bounded whatever a library says. */
const KEYS_MAX = 128

/** Decides which repeated lines are written. Time comes from the caller, in ms of any one clock. */
export class LogLimit {
  readonly #intervalMs: number
  readonly #seen = new Map<string, { lastMs: number; leftOut: number }>()

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs
  }

  /** How many such lines were left out since the last one written; null when this one must be left out, too. */
  admit(key: string, nowMs: number): number | null {
    const name = this.#seen.has(key) || this.#seen.size < KEYS_MAX ? key : ''
    const entry = this.#seen.get(name)
    if (entry === undefined) {
      this.#seen.set(name, { lastMs: nowMs, leftOut: 0 })
      return 0
    }
    if (nowMs - entry.lastMs < this.#intervalMs) {
      entry.leftOut += 1
      return null
    }
    const { leftOut } = entry
    entry.lastMs = nowMs
    entry.leftOut = 0
    return leftOut
  }
}
