// What a producer has sent so far, as metrics.

import { Gauge, Registry, collectDefaultMetrics } from 'prom-client'

/** Counts of one run so far. */
export interface ProducedSoFar {
  readonly transactions: number
  readonly labels: number
  readonly acknowledged: number
  readonly behindMs: number
}

export interface ProducerTelemetry {
  readonly registry: Registry
  /** Called about once a second with the counts so far. */
  produced(soFar: ProducedSoFar): void
}

/** Metrics of one producer run. Counts are set from the run's own, so they are gauges that only rise. */
export function createProducerTelemetry(): ProducerTelemetry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const registers = [registry]
  const gauge = (name: string, help: string) => new Gauge({ name, help, registers })
  const transactions = gauge('sluice_produced_transactions', 'Transactions sent in this run.')
  const labels = gauge('sluice_produced_labels', 'Labels sent in this run.')
  const acknowledged = gauge('sluice_produced_acknowledged', 'Messages that brokers acknowledged.')
  const behind = gauge('sluice_produced_behind_seconds', 'How far sending is behind its schedule.')
  return {
    registry,
    produced(soFar) {
      transactions.set(soFar.transactions)
      labels.set(soFar.labels)
      acknowledged.set(soFar.acknowledged)
      behind.set(soFar.behindMs / 1_000)
    },
  }
}
