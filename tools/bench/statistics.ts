// Exact statistics over all samples of a run: percentiles, medians, and the slope of a series.

import type { CpuPerEvent } from './process-meter.ts'

export interface LatencySummary {
  readonly samples: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly p999Ms: number
  readonly maxMs: number
}

/** The smallest sample that at least `share` of all samples do not exceed; NaN without samples. */
export function percentile(sorted: Readonly<ArrayLike<number>>, share: number): number {
  const rank = Math.ceil(share * sorted.length)
  return sorted[Math.max(0, rank - 1)] ?? Number.NaN
}

/** Percentiles of latencies in milliseconds; null without samples. */
export function summarizeLatencies(latenciesMs: readonly number[]): LatencySummary | null {
  if (latenciesMs.length === 0) return null
  const sorted = Float64Array.from(latenciesMs).sort()
  return {
    samples: sorted.length,
    p50Ms: percentile(sorted, 0.5),
    p90Ms: percentile(sorted, 0.9),
    p99Ms: percentile(sorted, 0.99),
    p999Ms: percentile(sorted, 0.999),
    maxMs: percentile(sorted, 1),
  }
}

/** Lower median; NaN without values. */
export function median(values: readonly number[]): number {
  return percentile(Float64Array.from(values).sort(), 0.5)
}

/** Change of `y` per unit of `x`, least squares; null when there are not two different `x`. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number | null {
  const count = points.length
  const meanX = points.reduce((sum, [x]) => sum + x, 0) / count
  const meanY = points.reduce((sum, [, y]) => sum + y, 0) / count
  let covariance = 0
  let variance = 0
  for (const [x, y] of points) {
    covariance += (x - meanX) * (y - meanY)
    variance += (x - meanX) ** 2
  }
  return variance > 0 ? covariance / variance : null
}

// Numbers as the reports of `sluice bench` write them.

const MEBIBYTE = 1024 * 1024

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

export function milliseconds(value: number): string {
  return `${value.toFixed(1)} ms`
}

export function mebibytes(bytes: number): string {
  return `${(bytes / MEBIBYTE).toFixed(0)} MiB`
}

export function cpuText(cpu: CpuPerEvent): string {
  return Object.entries(cpu)
    .map(([name, us]) => `${name} ${us === null ? 'unknown' : us.toFixed(1)}`)
    .join(', ')
}
