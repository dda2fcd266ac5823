// Metrics of the partitions of one scorer (lag, starts, stops, fences, assignments), of their state, and of the
// dependencies: Redis, model, policy and trace receiver.

import {
  type Backend,
  BACKENDS,
  REFUSAL_REASONS,
  type RefusalReason,
} from '../../core/scoring/scoring-model.ts'
import { type Mode, MODES } from '../../core/wire/records.ts'
import type { RedisServerInfo } from '../redis/server-info.ts'
import { COMMAND_BUCKETS_S } from './buckets.ts'
import type { MetricMaker } from './process-metrics.ts'

const PARTITION = { partition: 'partitions of this process' }
const STOP_REASONS = [
  'offset_out_of_range',
  'offset_lost',
  'log_corrupt',
  'fenced',
  'access_denied',
] as const
export type StopReason = (typeof STOP_REASONS)[number]

export interface PartitionEvents {
  /** Partitions of the stream, of all processes. */
  partitionsCounted(count: number): void
  lagObserved(partition: number, messages: number, seconds: number): void
  /** The lag is unknown now, so its series end rather than stand still. */
  lagUnknown(partition: number): void
  lagObservationFailed(): void
  /** Seconds for which an open transaction has held back the partition's input; 0 while none does. */
  inputObserved(partition: number, heldBackS: number): void
  /** The value is unknown now, so its series ends. */
  inputUnknown(partition: number): void
  partitionWorking(partition: number, isWorking: boolean): void
  partitionReleased(partition: number): void
  writeFenced(): void
  transactionFailed(): void
  partitionRestarted(): void
  partitionStopped(reason: StopReason): void
  rebalanced(partitionCount: number): void
  /** The partitions were revoked; an assignment follows. */
  revoked(): void
}

/** Creates the metrics of partitions. */
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
    ...inputEvents(make),
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
    'Failed requests for the end of the log.',
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

function inputEvents(make: MetricMaker): Pick<PartitionEvents, 'inputObserved' | 'inputUnknown'> {
  const heldBack = make.gauge(
    'sluice_input_held_back_seconds',
    "Time for which the oldest open transaction of the input's producers has held back the records behind it, 0 while none does; absent while the log client does not report it.",
    PARTITION,
  )
  return {
    inputObserved(partition, heldBackS) {
      heldBack.set({ partition }, heldBackS)
    },
    inputUnknown(partition) {
      heldBack.remove({ partition })
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
  | 'inputObserved'
  | 'inputUnknown'
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
    revoked() {
      partitions.set(0)
    },
  }
}

/**
 * Kinds of state loss of a partition. `emptied`: Redis does not hold it; `rolled_back`: Redis holds an earlier state;
 * `corrupt`: a value cannot be read; `behind`, `ahead`: at a start, the state lacks committed records, or holds records
 * that this log does not; `unanswered`: Redis did not answer in time.
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
  /** Time for which a partition has decided without its state, in seconds; null while it has it. */
  stateObserved(partition: number, degradedS: number | null): void
  /** The partition belongs to another process now, so its series end. */
  stateUnknown(partition: number): void
  stateLost(cause: StateLoss): void
  /** A micro-batch was split: its late transactions need more of the state than one read may hold. */
  batchFrontier(): void
  /** A range of the log is about to be applied to the state again. */
  stateRebuilt(): void
  /** Transactions and labels applied to a state again. */
  eventsRestored(count: number): void
}

/** Creates the metrics of state. */
export function createStateMetrics(make: MetricMaker): StateEvents {
  const partition = { partition: 'partitions of this process' }
  const degraded = make.gauge(
    'sluice_partition_degraded',
    '1 while the partition decides without its state, which is lost or out of reach.',
    partition,
  )
  const age = make.gauge(
    'sluice_state_age_seconds',
    'Time since the state of the partition was last up to date; 0 while the partition decides with it.',
    partition,
  )
  const losses = make.counter(
    'sluice_state_losses_total',
    'States of a partition that were lost or out of reach, by cause.',
    { cause: STATE_LOSSES },
  )
  const frontiers = make.counter(
    'sluice_batches_split_total',
    'Micro-batches that ended early, since their late transactions need more of the state than is read at once.',
  )
  const rebuilds = make.counter(
    'sluice_state_rebuilds_total',
    'States of a partition restored or rebuilt from the log.',
  )
  const restored = make.counter(
    'sluice_state_restored_events_total',
    'Transactions and labels applied again to the state of a partition.',
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

/** Commands of the scorer, as metric labels. */
export const REDIS_OPERATIONS = ['read', 'write', 'progress', 'claim', 'info'] as const
export type RedisOperation = (typeof REDIS_OPERATIONS)[number]

/** A backend that is installed but was not used. */
export interface RefusedBackend {
  readonly backend: Backend
  readonly reason: RefusalReason
}

export interface DependencyEvents {
  backendChosen(backend: string, modelVersion: string): void
  /** Reports whether scoring runs on another backend than expected, and which backends were refused. */
  fallbackJudged(isFallback: boolean, refused: readonly RefusedBackend[]): void
  policyInForce(policyDigest: string, mode: Mode): void
  /** A command has ended, successfully or not. */
  redisCalled(operation: RedisOperation, durationMs: number): void
  redisConnection(isUp: boolean): void
  /** Null when Redis did not answer; the series end rather than stand still. */
  redisObserved(info: RedisServerInfo | null): void
  spansDropped(count: number): void
}

/** Creates the metrics of the scorer's dependencies. */
export function createDependencyMetrics(make: MetricMaker): DependencyEvents {
  return { ...scoringEvents(make), ...redisEvents(make), ...tracingEvents(make) }
}

function scoringEvents(
  make: MetricMaker,
): Pick<DependencyEvents, 'backendChosen' | 'fallbackJudged' | 'policyInForce'> {
  const backend = make.gauge(
    'sluice_scoring_backend_info',
    'Always 1; the labels say which backend and model are in use.',
    { backend: BACKENDS.join(', '), model_version: 'version in the manifest of the model' },
  )
  const fallback = make.gauge(
    'sluice_scoring_fallback',
    '1 when the backend is not the expected one, or one that is present was refused.',
  )
  const refusals = make.gauge(
    'sluice_scoring_backend_refused',
    '1 for a backend that is present and was refused, by reason.',
    { backend: BACKENDS, reason: REFUSAL_REASONS },
  )
  const policy = make.gauge(
    'sluice_policy_info',
    'Always 1; the labels say which policy is in force.',
    { policy_digest: 'SHA-256 of the policy, hex', mode: MODES.join(', ') },
  )
  return {
    backendChosen(name, modelVersion) {
      backend.reset()
      backend.set({ backend: name, model_version: modelVersion }, 1)
    },
    fallbackJudged(isFallback, refused) {
      fallback.set(isFallback ? 1 : 0)
      for (const name of BACKENDS) {
        for (const reason of REFUSAL_REASONS) {
          const isRefused = refused.some((one) => one.backend === name && one.reason === reason)
          refusals.set({ backend: name, reason }, isRefused ? 1 : 0)
        }
      }
    },
    policyInForce(policyDigest, mode) {
      policy.reset()
      policy.set({ policy_digest: policyDigest, mode }, 1)
    },
  }
}

function tracingEvents(make: MetricMaker): Pick<DependencyEvents, 'spansDropped'> {
  const dropped = make.counter(
    'sluice_spans_dropped_total',
    'Spans that were recorded but could not be sent.',
  )
  return {
    spansDropped(count) {
      dropped.inc(count)
    },
  }
}

function redisEvents(
  make: MetricMaker,
): Pick<DependencyEvents, 'redisCalled' | 'redisConnection' | 'redisObserved'> {
  const trips = make.counter('sluice_redis_round_trips_total', 'Commands sent to Redis.', {
    operation: REDIS_OPERATIONS,
  })
  const durations = make.histogram(
    'sluice_redis_command_duration_seconds',
    'From sending a command to its reply or failure, including the wait behind other commands.',
    COMMAND_BUCKETS_S,
    { operation: REDIS_OPERATIONS },
  )
  const up = make.gauge('sluice_redis_up', '1 while Redis is connected.')
  const used = make.gauge(
    'sluice_redis_used_memory_bytes',
    'Memory that Redis uses; absent while it does not report it.',
  )
  const max = make.gauge(
    'sluice_redis_max_memory_bytes',
    'Limit of its memory, 0 for none; absent while Redis does not report it.',
  )
  const evicted = make.counter(
    'sluice_redis_evicted_keys_total',
    'Keys that Redis has evicted since its own start; absent while it does not report it.',
  )
  // Unknown before the first answer.
  const forget = (): void => {
    for (const metric of [used, max, evicted]) metric.remove({})
  }
  forget()
  return {
    redisCalled(operation, durationMs) {
      trips.inc({ operation })
      durations.observe({ operation }, durationMs / 1_000)
    },
    redisConnection(isUp) {
      up.set(isUp ? 1 : 0)
    },
    redisObserved(info) {
      forget()
      if (info === null) return
      used.set(info.usedMemoryBytes)
      max.set(info.maxMemoryBytes)
      evicted.inc(info.evictedKeys)
    },
  }
}
