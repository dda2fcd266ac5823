// Metrics of a producer's progress.

import type { Registry } from 'prom-client'
import { createProcessMetrics, type MetricDefinition } from './process-metrics.ts'

/** Counts of one run so far. */
export interface ProducedSoFar {
  readonly transactions: number
  readonly labels: number
  readonly acknowledged: number
  readonly behindMs: number
}

export interface ProducerTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  /** Called about once a second with the counts so far, which never fall. */
  produced(soFar: ProducedSoFar): void
}

/** Metrics of one producer run. */
export function createProducerTelemetry(): ProducerTelemetry {
  const make = createProcessMetrics()
  const transactions = make.counter(
    'sluice_produced_transactions_total',
    'Transactions sent in this run.',
  )
  const labels = make.counter('sluice_produced_labels_total', 'Labels sent in this run.')
  const acknowledged = make.counter(
    'sluice_produced_acknowledged_total',
    'Messages that brokers acknowledged.',
  )
  const behind = make.gauge(
    'sluice_produced_behind_seconds',
    'Delay of sending behind its schedule.',
  )
  let before = { transactions: 0, labels: 0, acknowledged: 0 }
  return {
    registry: make.registry,
    definitions: make.definitions,
    produced(soFar) {
      transactions.inc(soFar.transactions - before.transactions)
      labels.inc(soFar.labels - before.labels)
      acknowledged.inc(soFar.acknowledged - before.acknowledged)
      behind.set(soFar.behindMs / 1_000)
      before = soFar
    },
  }
}
