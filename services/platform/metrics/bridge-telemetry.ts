// Metrics of the bridge: one function per event. Labels come from closed lists only.

import type { Registry } from 'prom-client'
import { REJECT_REASONS, type RejectReason } from '../../core/dead-letters.ts'
import { MAPPING_FAULTS, type MappingFault } from '../../core/mapping/mapping-fault.ts'
import { createProcessMetrics, type MetricDefinition } from './process-metrics.ts'

const OUTPUT_TOPICS = ['transactions', 'labels'] as const
const BATCH_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

/** What a committed batch became. */
export interface CommittedBatch {
  readonly counts: {
    readonly transactions: number
    readonly labels: number
    readonly skipped: number
    readonly refused: ReadonlyMap<MappingFault | RejectReason, number>
  }
  /** Time stamp of its last record, ms; null for no records. */
  readonly lastTimestampMs: number | null
}

/** Status of a bridge. */
export interface BridgeStatus {
  readonly partitions: number
  readonly behindMessages: number
}

export interface BridgeTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  /** Called after the commit, so that a kill counts nothing twice. */
  committed(batch: CommittedBatch, mapMs: number, commitMs: number): void
  commitFailed(): void
  registryFailed(): void
  stood(status: BridgeStatus): void
}

/** Metrics of one bridge. */
export function createBridgeTelemetry(nowMs: () => number): BridgeTelemetry {
  const make = createProcessMetrics()
  const written = make.counter(
    'sluice_bridge_written_total',
    'Messages written and committed, by topic.',
    { topic: OUTPUT_TOPICS },
  )
  const skipped = make.counter(
    'sluice_bridge_skipped_total',
    'Messages that the filter or a rule of the mapping leaves out.',
  )
  const refused = make.counter(
    'sluice_bridge_refused_total',
    'Messages that became dead letters, by reason.',
    { reason: [...REJECT_REASONS, ...MAPPING_FAULTS] },
  )
  const failures = make.counter(
    'sluice_bridge_commit_failures_total',
    'Failed commits. Their outcome is read back, so that nothing is lost or doubled.',
  )
  const registryFailures = make.counter(
    'sluice_bridge_registry_failures_total',
    "Failed requests to the team's schema registry. The bridge waits and asks again.",
  )
  const mapping = make.histogram(
    'sluice_bridge_map_seconds',
    'Time to decode and map a batch.',
    BATCH_SECONDS,
  )
  const committing = make.histogram(
    'sluice_bridge_commit_seconds',
    'Time from a mapped batch to its commit.',
    BATCH_SECONDS,
  )
  const delay = make.gauge(
    'sluice_bridge_delay_seconds',
    'Age of the newest record of the last commit when it was committed.',
  )
  const partitions = make.gauge('sluice_bridge_partitions', 'Partitions that this bridge reads.')
  const behind = make.gauge(
    'sluice_bridge_behind_messages',
    'Messages of those partitions that are not committed yet, as of the last fetch.',
  )
  return {
    registry: make.registry,
    definitions: make.definitions,
    committed({ counts, lastTimestampMs }, mapMs, commitMs) {
      written.inc({ topic: 'transactions' }, counts.transactions)
      written.inc({ topic: 'labels' }, counts.labels)
      skipped.inc(counts.skipped)
      for (const [reason, count] of counts.refused) refused.inc({ reason }, count)
      mapping.observe(mapMs / 1_000)
      committing.observe(commitMs / 1_000)
      if (lastTimestampMs !== null) delay.set(Math.max(0, nowMs() - lastTimestampMs) / 1_000)
    },
    commitFailed() {
      failures.inc()
    },
    registryFailed() {
      registryFailures.inc()
    },
    stood(status) {
      partitions.set(status.partitions)
      behind.set(status.behindMessages)
    },
  }
}
