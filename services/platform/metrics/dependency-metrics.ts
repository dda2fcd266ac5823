// What the scorer stands on: Redis, the model with its backend, the policy, and the receiver of its traces.

import {
  BACKENDS,
  REFUSAL_REASONS,
  type Backend,
  type RefusalReason,
} from '../../core/scoring/scoring-model.ts'
import { MODES, type Mode } from '../../core/wire/records.ts'
import type { RedisServerInfo } from '../redis/server-info.ts'
import { COMMAND_BUCKETS_S } from './buckets.ts'
import type { MetricMaker } from './process-metrics.ts'

/** Commands of the scorer, as labels. */
export const REDIS_OPERATIONS = ['read', 'write', 'progress', 'claim', 'info'] as const
export type RedisOperation = (typeof REDIS_OPERATIONS)[number]

/** A backend that is present and was not taken. */
export interface RefusedBackend {
  readonly backend: Backend
  readonly reason: RefusalReason
}

export interface DependencyEvents {
  backendChosen(backend: string, modelVersion: string): void
  /** Whether scoring runs on something else than it should, and which backends were refused. */
  fallbackJudged(isFallback: boolean, refused: readonly RefusedBackend[]): void
  policyInForce(policyDigest: string, mode: Mode): void
  /** A command has ended, well or not. */
  redisCalled(operation: RedisOperation, durationMs: number): void
  redisConnection(isUp: boolean): void
  /** Null: Redis did not say; the series end rather than stand still. */
  redisObserved(info: RedisServerInfo | null): void
  spansDropped(count: number): void
}

/** Makes the metrics of what the scorer stands on. */
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
    'Spans that were recorded and could not be sent.',
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
    'From sending a command to its reply or failure, the wait behind other commands included.',
    COMMAND_BUCKETS_S,
    { operation: REDIS_OPERATIONS },
  )
  const up = make.gauge('sluice_redis_up', '1 while Redis is connected.')
  const used = make.gauge(
    'sluice_redis_used_memory_bytes',
    'Memory that Redis uses; absent while it does not say.',
  )
  const max = make.gauge(
    'sluice_redis_max_memory_bytes',
    'Limit of its memory, 0 for none; absent while Redis does not say.',
  )
  const evicted = make.counter(
    'sluice_redis_evicted_keys_total',
    'Keys that Redis has evicted since its own start; absent while it does not say.',
  )
  // Not known before the first answer.
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
