// One function per event of the scorer; here it becomes metrics. Labels come from closed lists only.

import type { Registry } from 'prom-client'
import { createBatchMetrics, type BatchReport } from './batch-metrics.ts'
import { createBlockMetrics, type BlockEvents } from './block-metrics.ts'
import { createDependencyMetrics, type DependencyEvents } from './dependency-metrics.ts'
import { createPartitionMetrics, type PartitionEvents } from './partition-metrics.ts'
import { createStateMetrics, type StateEvents } from './state-metrics.ts'
import { createModelMetrics, type ModelEvents } from './model-metrics.ts'
import { createPolicyMetrics, type PolicyEvents } from './policy-metrics.ts'
import { createDriftMetrics, type DriftEvents } from './drift-metrics.ts'
import { createShadowMetrics, type ShadowEvents } from './shadow-metrics.ts'
import { createProcessMetrics, type MetricDefinition } from './process-metrics.ts'

export interface ScorerTelemetry
  extends
    PartitionEvents,
    BlockEvents,
    DependencyEvents,
    StateEvents,
    ModelEvents,
    ShadowEvents,
    DriftEvents,
    PolicyEvents {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  batchDecided(report: BatchReport): void
}

/** Metrics of one scorer process. */
export function createScorerTelemetry(): ScorerTelemetry {
  const make = createProcessMetrics()
  return {
    registry: make.registry,
    definitions: make.definitions,
    batchDecided: createBatchMetrics(make),
    ...createPartitionMetrics(make),
    ...createBlockMetrics(make),
    ...createDependencyMetrics(make),
    ...createStateMetrics(make),
    ...createModelMetrics(make),
    ...createShadowMetrics(make),
    ...createDriftMetrics(make),
    ...createPolicyMetrics(make),
  }
}
