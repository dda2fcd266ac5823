// Whether the state of the partitions is what decisions need it to be, and what happened where it is not.

import type { MetricMaker } from './process-metrics.ts'

/**
 * How the state of a partition was lost. `emptied`: Redis does not know it; `rolled_back`: Redis is as it was some time
 * ago; `corrupt`: a value cannot be read; `behind`, `ahead`: seen at a start, the state lacks what is committed, or
 * holds what this log does not; `unanswered`: Redis did not answer in time.
 */
export const STATE_LOSSES = [
  'emptied',
  'rolled_back',
  'corrupt',
  'behind',
  'ahead',
  'unanswered',
] as const
export type StateLoss = (typeof STATE_LOSSES)[number]

export interface StateEvents {
  /** How long a partition has decided without its state, in seconds; null: it decides with it. */
  stateObserved(partition: number, degradedS: number | null): void
  /** The partition is no longer ours: its series end. */
  stateUnknown(partition: number): void
  stateLost(cause: StateLoss): void
  /** A micro-batch ended early: its late transactions look at more of the state than is read at once. */
  batchFrontier(): void
  /** A stretch of the log is about to be folded again. */
  stateRebuilt(): void
  /** Transactions and labels folded again into a state. */
  eventsRestored(count: number): void
}

/** Makes the metrics of state. */
export function createStateMetrics(make: MetricMaker): StateEvents {
  const partition = { partition: 'partitions of this process' }
  const degraded = make.gauge(
    'sluice_partition_degraded',
    '1 while the partition decides without its state, which is lost or out of reach.',
    partition,
  )
  const age = make.gauge(
    'sluice_state_age_seconds',
    'How long ago the state of the partition was last up to date: 0 while the partition decides with it.',
    partition,
  )
  const losses = make.counter(
    'sluice_state_losses_total',
    'States of a partition that were lost or out of reach, by cause.',
    { cause: STATE_LOSSES },
  )
  const frontiers = make.counter(
    'sluice_batches_split_total',
    'Micro-batches that ended early, since their late transactions look at more of the state than is read at once.',
  )
  const rebuilds = make.counter(
    'sluice_state_rebuilds_total',
    'States of a partition re-applied or rebuilt from the log.',
  )
  const restored = make.counter(
    'sluice_state_restored_events_total',
    'Transactions and labels folded again into the state of a partition.',
  )
  return {
    stateObserved(partition, degradedS) {
      degraded.set({ partition }, degradedS === null ? 0 : 1)
      age.set({ partition }, degradedS ?? 0)
    },
    stateUnknown(partition) {
      degraded.remove({ partition })
      age.remove({ partition })
    },
    stateLost(cause) {
      losses.inc({ cause })
    },
    batchFrontier() {
      frontiers.inc()
    },
    stateRebuilt() {
      rebuilds.inc()
    },
    eventsRestored(count) {
      restored.inc(count)
    },
  }
}
