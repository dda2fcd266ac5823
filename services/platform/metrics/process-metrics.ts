// The metrics of one process, and the functions that create them. Every metric declares the values of its labels. When
// all of them are closed lists, every series starts at 0, so that its rate exists before its first event.

import { totalmem } from 'node:os'
import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import { buildVersion } from '../build-version.ts'
import { BulkHistogram } from './buckets.ts'

/** Per label, the closed list of its values, or a description of their bound. */
export type LabelValues<Label extends string = string> = Readonly<
  Record<Label, readonly string[] | string>
>

/** One metric as documented. */
export interface MetricDefinition {
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: LabelValues
}

/** Creates metrics in one registry, and records their definitions. */
export class MetricMaker {
  readonly registry = new Registry()
  readonly definitions: MetricDefinition[] = []

  counter<Label extends string = never>(
    name: string,
    help: string,
    labels?: LabelValues<Label>,
  ): Counter<Label> {
    const labelNames = this.#define('counter', name, help, labels)
    const metric = new Counter({ name, help, labelNames, registers: [this.registry] })
    for (const series of closedSeries(labels)) metric.inc(series, 0)
    return metric
  }

  gauge<Label extends string = never>(
    name: string,
    help: string,
    labels?: LabelValues<Label>,
  ): Gauge<Label> {
    const labelNames = this.#define('gauge', name, help, labels)
    const metric = new Gauge({ name, help, labelNames, registers: [this.registry] })
    for (const series of closedSeries(labels)) metric.set(series, 0)
    return metric
  }

  histogram<Label extends string = never>(
    name: string,
    help: string,
    buckets: number[],
    labels?: LabelValues<Label>,
  ): Histogram<Label> {
    const labelNames = this.#define('histogram', name, help, labels)
    const metric = new Histogram({ name, help, buckets, labelNames, registers: [this.registry] })
    for (const series of closedSeries(labels)) metric.zero(series)
    return metric
  }

  /** A histogram without labels for values that arrive in bulk. */
  bulkHistogram(name: string, help: string, buckets: readonly number[]): BulkHistogram {
    this.#define('histogram', name, help, {})
    return new BulkHistogram(name, help, buckets, this.registry)
  }

  #define<Label extends string>(
    type: MetricDefinition['type'],
    name: string,
    help: string,
    labels?: LabelValues<Label>,
  ): Label[] {
    this.definitions.push({ name, type, help, labels: labels ?? {} })
    return Object.keys(labels ?? {}) as Label[]
  }
}

/** Metrics that every process exports: those of Node and the process itself, and its build. */
export function createProcessMetrics(): MetricMaker {
  const make = new MetricMaker()
  collectDefaultMetrics({ register: make.registry })
  make
    .gauge('sluice_build_info', 'Always 1; the label says which build runs.', {
      version: 'version of package.json',
    })
    .set({ version: buildVersion() }, 1)
  make
    .gauge('sluice_memory_limit_bytes', 'Memory that the container allows the process; 0 for none.')
    .set(memoryLimitBytes(process.constrainedMemory(), totalmem()))
  return make
}

/**
 * Memory that a control group allows, in bytes; 0 without a limit, which systems report as an absurdly large number.
 */
export function memoryLimitBytes(constrainedBytes: number | undefined, totalBytes: number): number {
  if (constrainedBytes === undefined || constrainedBytes >= totalBytes) return 0
  return constrainedBytes
}

/** Every combination of label values; none when the metric has no labels or one that is not closed. */
function closedSeries<Label extends string>(
  labels?: LabelValues<Label>,
): Partial<Record<Label, string>>[] {
  const names = Object.keys(labels ?? {}) as Label[]
  if (names.length === 0) return []
  let series: Partial<Record<Label, string>>[] = [{}]
  for (const name of names) {
    const values = labels?.[name]
    if (typeof values !== 'object') return []
    series = series.flatMap((fields) => values.map((value) => ({ ...fields, [name]: value })))
  }
  return series
}
