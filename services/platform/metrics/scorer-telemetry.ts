// Metrics of the scorer: one function per event. Labels come from closed lists only.

import type { Registry } from 'prom-client'
import { type BatchReport, createBatchMetrics } from './batch-metrics.ts'
import {
  type BlockEvents,
  createBlockMetrics,
  createDriftMetrics,
  createModelMetrics,
  createPolicyMetrics,
  createRatesMetrics,
  createShadowMetrics,
  type DriftEvents,
  type ModelEvents,
  type PolicyEvents,
  type RatesEvents,
  type ShadowEvents,
} from './deployment-metrics.ts'
import {
  createDependencyMetrics,
  createPartitionMetrics,
  createStateMetrics,
  type DependencyEvents,
  type PartitionEvents,
  type StateEvents,
} from './partition-metrics.ts'
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
    PolicyEvents,
    RatesEvents {
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
    ...createRatesMetrics(make),
  }
}
