// A histogram without labels that takes many values at once. prom-client looks up labels anew for each value,
// which costs 250 ns; one score per decision is the only place where that would be felt.

import type { Histogram, Registry } from 'prom-client'

/** Counts values by bucket; read by the registry as any other histogram. */
export class BulkHistogram {
  readonly name: string
  readonly help: string
  readonly type = 'histogram'
  readonly aggregator = 'sum'
  readonly labelNames: readonly string[] = []
  readonly #bounds: Float64Array
  /** Per bound, then one for everything above the last. */
  readonly #counts: Float64Array
  #sum = 0

  /** `bounds` are the upper ends of the buckets, rising. */
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
      const value = values[index] ?? NaN
      // What is not a number has no bucket; who observes it has no value.
      if (Number.isNaN(value)) continue
      let bucket = 0
      while (bucket < bounds.length && value > (bounds[bucket] ?? Infinity)) bucket += 1
      counts[bucket] = (counts[bucket] ?? 0) + 1
      this.#sum += value
    }
  }

  /** What prom-client's registry asks every metric for. */
  get(): Promise<unknown> {
    const values: { metricName: string; labels: Record<string, number | string>; value: number }[] =
      []
    let count = 0
    for (let bucket = 0; bucket < this.#counts.length; bucket += 1) {
      count += this.#counts[bucket] ?? 0
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
