// Percentiles of latencies in whole milliseconds, exact up to ten minutes, in memory that does not grow.

const LATENCY_MS_MAX = 600_000

/** Counts latencies; anything beyond ten minutes counts as ten minutes. */
export class LatencyCounts {
  readonly #counts = new Uint32Array(LATENCY_MS_MAX + 1)
  #total = 0

  get total(): number {
    return this.#total
  }

  /** Clocks of two machines may make a latency negative; it counts as 0. */
  add(latencyMs: number): void {
    const bucket = Math.min(LATENCY_MS_MAX, Math.max(0, Math.round(latencyMs)))
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1
    this.#total += 1
  }

  /** The smallest latency that at least this share (0 to 1) of all does not exceed; null without any. */
  percentileMs(share: number): number | null {
    if (this.#total === 0) return null
    const rank = Math.max(1, Math.ceil(share * this.#total))
    let seen = 0
    for (let latencyMs = 0; latencyMs < LATENCY_MS_MAX; latencyMs += 1) {
      seen += this.#counts[latencyMs] ?? 0
      if (seen >= rank) return latencyMs
    }
    return LATENCY_MS_MAX
  }
}

/** The newest latencies only, for a figure that shows how things are now. */
export class RecentLatencies {
  readonly #size: number
  readonly #values: number[] = []
  #position = 0

  constructor(size: number) {
    this.#size = size
  }

  add(latencyMs: number): void {
    this.#values[this.#position] = latencyMs
    this.#position = (this.#position + 1) % this.#size
  }

  /** As in LatencyCounts, of the newest only. */
  percentileMs(share: number): number | null {
    const sorted = this.#values.toSorted((a, b) => a - b)
    return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? null
  }
}
