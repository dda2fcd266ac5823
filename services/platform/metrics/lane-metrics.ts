// What happens to the lanes of one scorer: lag, starts, stops, fences, assignments.

import type { MetricMaker } from './process-metrics.ts'

const PARTITION = { partition: 'partitions of this process' }
const STOP_REASONS = ['offset_out_of_range', 'fenced', 'access_denied'] as const

export interface LaneEvents {
  /** Partitions of the stream, whoever owns them. */
  partitionsCounted(count: number): void
  lagObserved(partition: number, messages: number, seconds: number): void
  /** Nothing true can be said of the lag now: its series end rather than stand still. */
  lagUnknown(partition: number): void
  lagObservationFailed(): void
  laneWorking(partition: number, isWorking: boolean): void
  laneReleased(partition: number): void
  writeFenced(): void
  transactionFailed(): void
  laneRestarted(): void
  laneStopped(reason: (typeof STOP_REASONS)[number]): void
  rebalanced(laneCount: number): void
}

/** Makes the metrics of lanes. */
export function createLaneMetrics(make: MetricMaker): LaneEvents {
  const up = make.gauge(
    'sluice_lane_up',
    '1 while the lane works, 0 while it starts over or has stopped.',
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
    laneWorking(partition, isWorking) {
      up.set({ partition }, isWorking ? 1 : 0)
    },
    laneReleased(partition) {
      up.remove({ partition })
    },
  }
}

function lagEvents(
  make: MetricMaker,
): Pick<LaneEvents, 'lagObserved' | 'lagUnknown' | 'lagObservationFailed'> {
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
  LaneEvents,
  | 'partitionsCounted'
  | 'lagObserved'
  | 'lagUnknown'
  | 'lagObservationFailed'
  | 'laneWorking'
  | 'laneReleased'
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
    'sluice_lane_restarts_total',
    'Lanes that started over after a failure.',
  )
  const stops = make.counter('sluice_lane_stops_total', 'Lanes that stopped for good, by reason.', {
    reason: STOP_REASONS,
  })
  const rebalances = make.counter('sluice_rebalances_total', 'Assignments received from the group.')
  const lanes = make.gauge('sluice_lanes', 'Lanes of this process.')
  return {
    writeFenced() {
      fenced.inc()
    },
    transactionFailed() {
      aborts.inc()
    },
    laneRestarted() {
      restarts.inc()
    },
    laneStopped(reason) {
      stops.inc({ reason })
    },
    rebalanced(laneCount) {
      rebalances.inc()
      lanes.set(laneCount)
    },
  }
}
