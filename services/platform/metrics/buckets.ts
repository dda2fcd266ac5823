// Bucket boundaries of histograms, in base units, and a histogram that observes many values at once.

import type { Histogram, Registry } from 'prom-client'

/** Seconds; resolves 1 ms to 1 s, with the objectives of the design (3, 20, 50, 150 ms) as edges. */
export const LATENCY_BUCKETS_S = [
  0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25,
  0.5, 1, 2.5, 5, 15,
]

/** Seconds; resolves a command to a nearby Redis, up to the limit of 5 s. */
export const COMMAND_BUCKETS_S = [
  0.000_1, 0.000_2, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5,
  5,
]

/** Transactions of one micro-batch. */
export const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096]

/** Scores; finer at both ends, where calibrated scores accumulate and thresholds lie. */
export const SCORE_BUCKETS = [
  0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98,
  0.99, 1,
]

const HOUR_S = 3_600
const DAY_S = 24 * HOUR_S

/** Seconds; an hour to half a year, the range of analysts and chargebacks. */
export const LABEL_DELAY_BUCKETS_S = [
  0,
  HOUR_S,
  6 * HOUR_S,
  ...[1, 2, 3, 5, 7, 10, 14, 21, 30, 45, 60, 90, 120, 180].map((days) => days * DAY_S),
]

const BLOCK_BUCKETS_S = [0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 0.75, 1, 1.5, 2.5, 5, 10, 30, 60]

/** Seconds until a block is applied; the objective is an edge, so that late blocks are counted exactly. */
export function blockBucketsAround(objectiveMs: number): number[] {
  return [...new Set([...BLOCK_BUCKETS_S, objectiveMs / 1_000])].sort((a, b) => a - b)
}

// prom-client looks up labels for each value, which costs 250 ns. That matters only here, with one score per decision.

/** Counts values by bucket; read by the registry as any other histogram. */
export class BulkHistogram {
  readonly name: string
  readonly help: string
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly labelNames: readonly string[] = []
  readonly #bounds: Float64Array
  /** One per bound, then one for everything above the last. */
  readonly #counts: Float64Array
  #sum = 0

  /** `bounds` are the upper ends of the buckets, ascending. */
  constructor(name: string, help: string, bounds: readonly number[], registry: Registry) {
    this.name = name
    this.help = help
    this.#bounds = Float64Array.from(bounds)
    this.#counts = new Float64Array(bounds.length + 1)
    registry.registerMetric(this as unknown as Histogram)
  }

  /** Adds all values; hot path: no allocation. */
  observeAll(values: ArrayLike<number>): void {
    const bounds = this.#bounds
    const counts = this.#counts
    for (let index = 0; index < values.length; index += 1) {
      const value = values[index] as number
      // NaN has no bucket: an observer without a value passes it.
      if (Number.isNaN(value)) continue
      let bucket = 0
      while (bucket < bounds.length && value > (bounds[bucket] ?? Infinity)) bucket += 1
      counts[bucket] = (counts[bucket] ?? 0) + 1
      this.#sum += value
    }
  }

  /** Called by prom-client's registry for every metric. */
  get(): Promise<unknown> {
    const values: { metricName: string; labels: Record<string, number | string>; value: number }[] =
      []
    let count = 0
    for (const [bucket, inBucket] of this.#counts.entries()) {
      count += inBucket
      const le = this.#bounds[bucket] ?? '+Inf'
      values.push({ metricName: `${this.name}_bucket`, labels: { le }, value: count })
    }
    values.push({ metricName: `${this.name}_sum`, labels: {}, value: this.#sum })
    values.push({ metricName: `${this.name}_count`, labels: {}, value: count })
    const { name, help, type, aggregator } = this
    return Promise.resolve({ name, help, type, aggregator, values })
  }

  reset(): void {
    this.#counts.fill(0)
    this.#sum = 0
  }
}
