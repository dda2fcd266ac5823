// One function per event of the forwarder; here it becomes metrics. Targets are those of the targets file, 64 at most.

import type { Registry } from 'prom-client'
import { LATENCY_BUCKETS_S } from './buckets.ts'
import { createProcessMetrics, type MetricDefinition, type MetricMaker } from './process-metrics.ts'

/** What became of an alert at one target. */
const FORWARD_RESULTS = ['delivered', 'dead', 'filtered'] as const

/** How one attempt ended: with an answer of these classes, or without one. */
export const ATTEMPT_RESULTS = ['2xx', '3xx', '4xx', '5xx', 'timeout', 'no_connection'] as const
export type AttemptLabel = (typeof ATTEMPT_RESULTS)[number]

/** Where one target stands. */
export interface TargetStatus {
  /** Alerts fetched and not done yet. */
  readonly waiting: number
  /** Since the oldest of them was decided; 0 when there is none. */
  readonly oldestMs: number
  readonly isCircuitOpen: boolean
  readonly isConsuming: boolean
}

/** Why an alert was given up at a target. */
export const FORWARD_DEAD_REASONS = [
  'rejected',
  'attempts_exhausted',
  'given_up',
  'too_large',
  'unreadable',
] as const
export type ForwardDeadReason = (typeof FORWARD_DEAD_REASONS)[number]

export interface ForwardTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  /** Makes the series of a target, so that each has its rate before its first event. */
  targetAdded(target: string): void
  attempted(target: string, result: AttemptLabel, durationMs: number, isRetry: boolean): void
  /** `sinceDecidedMs`: from the decision to the answer that took it. */
  delivered(target: string, sinceDecidedMs: number): void
  filtered(target: string, count: number): void
  died(target: string, reason: ForwardDeadReason): void
  stood(target: string, standing: TargetStatus): void
}

const TARGET = 'name in the targets file'
/** Seconds from a decision to its delivery; a target that was away for a day is still told from one away for an hour. */
const DELIVERY_BUCKETS_S = [
  0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60, 300, 1_800, 7_200, 43_200, 86_400,
]

/** Metrics of one forwarder. */
export function createForwardTelemetry(): ForwardTelemetry {
  const make = createProcessMetrics()
  const attempts = attemptEvents(make)
  const results = resultEvents(make)
  const standing = statusEvents(make)
  return {
    registry: make.registry,
    definitions: make.definitions,
    targetAdded(target) {
      attempts.add(target)
      results.add(target)
      standing.stood(target, { waiting: 0, oldestMs: 0, isCircuitOpen: false, isConsuming: false })
    },
    attempted: attempts.attempted,
    delivered: results.delivered,
    filtered: results.filtered,
    died: results.died,
    stood: standing.stood,
  }
}

function attemptEvents(
  make: MetricMaker,
): Pick<ForwardTelemetry, 'attempted'> & { add(target: string): void } {
  const attempts = make.counter(
    'sluice_forward_attempts_total',
    'Requests to targets, by how they ended: class of the answer, time-out, or no connection.',
    { target: TARGET, result: ATTEMPT_RESULTS.join(', ') },
  )
  const retries = make.counter(
    'sluice_forward_retries_total',
    'Requests that were not the first of their alert.',
    { target: TARGET },
  )
  const durations = make.histogram(
    'sluice_forward_attempt_duration_seconds',
    'From sending a request to its answer or failure.',
    LATENCY_BUCKETS_S,
    { target: TARGET },
  )
  return {
    add(target) {
      for (const result of ATTEMPT_RESULTS) attempts.inc({ target, result }, 0)
      retries.inc({ target }, 0)
      durations.zero({ target })
    },
    attempted(target, result, durationMs, isRetry) {
      attempts.inc({ target, result })
      durations.observe({ target }, durationMs / 1_000)
      if (isRetry) retries.inc({ target })
    },
  }
}

function resultEvents(
  make: MetricMaker,
): Pick<ForwardTelemetry, 'delivered' | 'filtered' | 'died'> & { add(target: string): void } {
  const alerts = make.counter(
    'sluice_forward_alerts_total',
    'Alerts that are done at a target: delivered, given up as dead letters, or left out by its filter.',
    { target: TARGET, result: FORWARD_RESULTS.join(', ') },
  )
  const letters = make.counter(
    'sluice_forward_dead_letters_total',
    'Alerts that a target did not take, by reason.',
    { target: TARGET, reason: FORWARD_DEAD_REASONS.join(', ') },
  )
  const delay = make.histogram(
    'sluice_forward_decision_to_delivery_seconds',
    'From the decision to the answer with which the target took the alert.',
    DELIVERY_BUCKETS_S,
    { target: TARGET },
  )
  return {
    add(target) {
      for (const result of FORWARD_RESULTS) alerts.inc({ target, result }, 0)
      for (const reason of FORWARD_DEAD_REASONS) letters.inc({ target, reason }, 0)
      delay.zero({ target })
    },
    delivered(target, sinceDecidedMs) {
      alerts.inc({ target, result: 'delivered' })
      delay.observe({ target }, Math.max(0, sinceDecidedMs) / 1_000)
    },
    filtered(target, count) {
      alerts.inc({ target, result: 'filtered' }, count)
    },
    died(target, reason) {
      alerts.inc({ target, result: 'dead' })
      letters.inc({ target, reason })
    },
  }
}

function statusEvents(make: MetricMaker): Pick<ForwardTelemetry, 'stood'> {
  const waiting = make.gauge(
    'sluice_forward_waiting_alerts',
    'Alerts that were fetched for a target and are not done yet; more may wait in the topic.',
    { target: TARGET },
  )
  const oldest = make.gauge(
    'sluice_forward_oldest_undelivered_seconds',
    'Since the oldest alert that waits for a target was decided; 0 when none waits.',
    { target: TARGET },
  )
  const circuit = make.gauge(
    'sluice_forward_circuit_open',
    '1 while the circuit breaker of a target is open, its probes included.',
    { target: TARGET },
  )
  const consuming = make.gauge(
    'sluice_forward_consuming',
    '1 while the consumer group of a target has this forwarder as a member.',
    { target: TARGET },
  )
  return {
    stood(target, standing) {
      waiting.set({ target }, standing.waiting)
      oldest.set({ target }, Math.max(0, standing.oldestMs) / 1_000)
      circuit.set({ target }, standing.isCircuitOpen ? 1 : 0)
      consuming.set({ target }, standing.isConsuming ? 1 : 0)
    },
  }
}
