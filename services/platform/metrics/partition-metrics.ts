// What happens to the partitions of one scorer: lag, starts, stops, fences, assignments.

import type { MetricMaker } from './process-metrics.ts'

const PARTITION = { partition: 'partitions of this process' }
const STOP_REASONS = ['offset_out_of_range', 'fenced', 'access_denied'] as const

export interface PartitionEvents {
  /** Partitions of the stream, whoever owns them. */
  partitionsCounted(count: number): void
  lagObserved(partition: number, messages: number, seconds: number): void
  /** Nothing true can be said of the lag now: its series end rather than stand still. */
  lagUnknown(partition: number): void
  lagObservationFailed(): void
  partitionWorking(partition: number, isWorking: boolean): void
  partitionReleased(partition: number): void
  writeFenced(): void
  transactionFailed(): void
  partitionRestarted(): void
  partitionStopped(reason: (typeof STOP_REASONS)[number]): void
  rebalanced(partitionCount: number): void
}

/** Makes the metrics of partitions. */
export function createPartitionMetrics(make: MetricMaker): PartitionEvents {
  const up = make.gauge(
    'sluice_partition_up',
    '1 while the partition works, 0 while it starts over or has stopped.',
    PARTITION,
  )
  const partitions = make.gauge(
    'sluice_stream_partitions',
    'Partitions of the transactions topic, whoever owns them.',
  )
  return {
    ...lagEvents(make),
    ...failureEvents(make),
    partitionsCounted(count) {
      partitions.set(count)
    },
    partitionWorking(partition, isWorking) {
      up.set({ partition }, isWorking ? 1 : 0)
    },
    partitionReleased(partition) {
      up.remove({ partition })
    },
  }
}

function lagEvents(
  make: MetricMaker,
): Pick<PartitionEvents, 'lagObserved' | 'lagUnknown' | 'lagObservationFailed'> {
  const messages = make.gauge(
    'sluice_lag_messages',
    'Transactions in the log that are not yet decided; absent while the broker does not answer.',
    PARTITION,
  )
  const seconds = make.gauge(
    'sluice_lag_seconds',
    'Age of the oldest transaction that is not yet decided; absent while the broker does not answer.',
    PARTITION,
  )
  const failures = make.counter(
    'sluice_lag_observation_failures_total',
    'Times the broker did not say where the log ends.',
  )
  return {
    lagObserved(partition, messageCount, ageS) {
      messages.set({ partition }, messageCount)
      seconds.set({ partition }, ageS)
    },
    lagUnknown(partition) {
      messages.remove({ partition })
      seconds.remove({ partition })
    },
    lagObservationFailed() {
      failures.inc()
    },
  }
}

function failureEvents(
  make: MetricMaker,
): Omit<
  PartitionEvents,
  | 'partitionsCounted'
  | 'lagObserved'
  | 'lagUnknown'
  | 'lagObservationFailed'
  | 'partitionWorking'
  | 'partitionReleased'
> {
  const fenced = make.counter(
    'sluice_fenced_writes_total',
    'Writes refused because another owner has taken over.',
  )
  const aborts = make.counter(
    'sluice_transaction_aborts_total',
    'Kafka transactions that failed and were read back.',
  )
  const restarts = make.counter(
    'sluice_partition_restarts_total',
    'Partitions that started over after a failure.',
  )
  const stops = make.counter(
    'sluice_partition_stops_total',
    'Partitions that stopped for good, by reason.',
    {
      reason: STOP_REASONS,
    },
  )
  const rebalances = make.counter('sluice_rebalances_total', 'Assignments received from the group.')
  const partitions = make.gauge('sluice_partitions_assigned', 'Partitions of this process.')
  return {
    writeFenced() {
      fenced.inc()
    },
    transactionFailed() {
      aborts.inc()
    },
    partitionRestarted() {
      restarts.inc()
    },
    partitionStopped(reason) {
      stops.inc({ reason })
    },
    rebalanced(partitionCount) {
      rebalances.inc()
      partitions.set(partitionCount)
    },
  }
}
