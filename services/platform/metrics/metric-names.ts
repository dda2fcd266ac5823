// Every metric of every process, read from the code that creates it: for docs/metrics.md, and for tests of dashboards
// and alert rules, which must name only existing metrics.

import { VARIABLES } from '../config/variables.ts'
import {
  createAlertsTelemetry,
  createCasesTelemetry,
  createEnforcerTelemetry,
  createForwardTelemetry,
  createReceiptsTelemetry,
} from './alerts-telemetry.ts'
import { createBridgeTelemetry } from './bridge-telemetry.ts'
import { createGatewayTelemetry } from './gateway-telemetry.ts'
import type { MetricDefinition } from './process-metrics.ts'
import { createLakeTelemetry } from './lake-telemetry.ts'
import { createProducerTelemetry } from './producer-telemetry.ts'
import { createScorerTelemetry } from './scorer-telemetry.ts'
import { createSkewTelemetry } from './skew-telemetry.ts'

/** Processes that export metrics, named as their Prometheus jobs. */
export const METRIC_JOBS = [
  'sluice-scorer',
  'sluice-alerts',
  'sluice-forward',
  'sluice-producer',
  'sluice-bridge',
  'sluice-skew',
  'sluice-lake',
  'sluice-enforcer',
  'sluice-receipts',
  'sluice-cases',
  'sluice-gateway',
] as const
export type MetricJob = (typeof METRIC_JOBS)[number]

/** One metric of one process. */
export interface JobMetric extends MetricDefinition {
  readonly job: MetricJob
  /** True for metrics of Node and the process, created by prom-client; their labels are not listed. */
  readonly isDefault: boolean
}

/** Entry of the registry for a metric of prom-client. */
interface DefaultMetric {
  readonly name: string
  readonly help: string
  readonly type: MetricDefinition['type']
  readonly labelNames: readonly string[]
}

/** All metrics of all processes, in order of creation. */
export function listMetrics(): readonly JobMetric[] {
  const telemetries = {
    'sluice-scorer': createScorerTelemetry(),
    'sluice-alerts': createAlertsTelemetry(),
    'sluice-forward': createForwardTelemetry(),
    'sluice-producer': createProducerTelemetry(),
    'sluice-bridge': createBridgeTelemetry(() => 0),
    'sluice-skew': createSkewTelemetry(),
    'sluice-lake': createLakeTelemetry(),
    'sluice-enforcer': createEnforcerTelemetry(),
    'sluice-receipts': createReceiptsTelemetry(VARIABLES.SLUICE_BLOCK_OBJECTIVE_MS.default),
    'sluice-cases': createCasesTelemetry(),
    'sluice-gateway': createGatewayTelemetry(),
  }
  return METRIC_JOBS.flatMap((job) => {
    const { definitions, registry } = telemetries[job]
    const ours = new Map(definitions.map((definition) => [definition.name, definition]))
    return registry.getMetricsAsArray().map((metric): JobMetric => {
      const definition = ours.get(metric.name)
      if (definition !== undefined) return { ...definition, job, isDefault: false }
      const { name, help, type, labelNames } = metric as unknown as DefaultMetric
      const labels = Object.fromEntries(labelNames.map((label) => [label, 'set by prom-client']))
      return { name, help, type, labels, job, isDefault: true }
    })
  })
}

/** Names of all time series as queries use them: a histogram has `_bucket`, `_sum` and `_count`. */
export function listSeriesNames(job?: MetricJob): ReadonlySet<string> {
  const names = new Set<string>()
  for (const metric of listMetrics()) {
    if (job !== undefined && metric.job !== job) continue
    if (metric.type !== 'histogram') names.add(metric.name)
    else for (const part of ['bucket', 'sum', 'count']) names.add(`${metric.name}_${part}`)
  }
  return names
}
