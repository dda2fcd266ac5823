// One function per event of the scorer; here it becomes metrics. Labels come from closed lists only.

import { Counter, Gauge, Histogram, Registry, collectDefaultMetrics } from 'prom-client'
import type { RejectReason } from '../../core/reject-reasons.ts'
import type { AlertAction, Outcome } from '../../core/wire/records.ts'

/** Seconds; resolves 1 ms to 1 s, with the objectives of the design (3, 20, 50, 150 ms) as edges. */
export const LATENCY_BUCKETS_S = [
  0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.25,
  0.5, 1, 2.5, 5, 15,
]
const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 2_048, 4_096]

export const STAGES = ['decode', 'read', 'features', 'score', 'write', 'commit', 'total'] as const
export type Stage = (typeof STAGES)[number]

/** What one decided batch reports. Durations in ms, by stage. */
export interface BatchReport {
  readonly transactions: number
  readonly labels: number
  readonly duplicates: number
  readonly outcomes: Readonly<Record<Outcome, number>>
  readonly actions: readonly AlertAction[]
  readonly deadLetters: readonly {
    readonly topic: 'transactions' | 'labels'
    readonly reason: RejectReason
  }[]
  readonly stagesMs: Readonly<Record<Stage, number>>
  /** Per alert: from the input record's time stamp to the commit. */
  readonly eventToAlertMs: readonly number[]
  /** From the oldest input record's time stamp to its score, without waiting for the commit. */
  readonly eventToScoreMs: number | null
}

export interface ScorerTelemetry {
  readonly registry: Registry
  batchDecided(report: BatchReport): void
  lagObserved(partition: number, messages: number, seconds: number): void
  laneReleased(partition: number): void
  backendChosen(backend: string, modelVersion: string): void
  redisCalled(operation: string): void
  redisConnection(isUp: boolean): void
  writeFenced(): void
  transactionFailed(): void
  laneRestarted(): void
  laneStopped(reason: 'offset_out_of_range' | 'fenced'): void
  stateRebuilt(): void
  rebalanced(laneCount: number): void
  spansDropped(count: number): void
}

/** Metrics of one scorer process. */
export function createScorerTelemetry(): ScorerTelemetry {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const make = makers([registry])
  const metrics = { ...createBatchMetrics(make), ...createLaneMetrics(make) }
  return { registry, ...batchEvents(metrics), ...laneEvents(metrics) }
}

type Metrics = ReturnType<typeof createBatchMetrics> & ReturnType<typeof createLaneMetrics>

function makers(registers: Registry[]) {
  const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Counter({ name, help, labelNames, registers })
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Gauge({ name, help, labelNames, registers })
  const histogram = <Label extends string>(
    name: string,
    help: string,
    buckets: number[],
    labelNames: Label[] = [],
  ) => new Histogram({ name, help, buckets, labelNames, registers })

  return { counter, gauge, histogram }
}

function createBatchMetrics(make: ReturnType<typeof makers>) {
  const { counter, gauge, histogram } = make
  return {
    decisions: counter('sluice_decisions_total', 'Decisions by outcome.', ['outcome']),
    alerts: counter('sluice_alerts_total', 'Alerts published, by action.', ['action']),
    labels: counter('sluice_labels_applied_total', 'Labels applied to the state.'),
    duplicates: counter('sluice_duplicates_total', 'Transactions whose id was seen before.'),
    deadLetters: counter('sluice_dead_letters_total', 'Messages that could not be decided.', [
      'topic',
      'reason',
    ]),
    stages: histogram(
      'sluice_stage_duration_seconds',
      'Time of one micro-batch by stage.',
      LATENCY_BUCKETS_S,
      ['stage'],
    ),
    eventToAlert: histogram(
      'sluice_event_to_alert_seconds',
      'From the input record to the committed alert.',
      LATENCY_BUCKETS_S,
    ),
    eventToScore: histogram(
      'sluice_event_to_score_seconds',
      'From the oldest input record of a batch to its score.',
      LATENCY_BUCKETS_S,
    ),
    batchSize: histogram(
      'sluice_batch_transactions',
      'Transactions of one micro-batch.',
      BATCH_BUCKETS,
    ),
    lagMessages: gauge('sluice_lag_messages', 'Transactions not yet decided.', ['partition']),
    lagSeconds: gauge('sluice_lag_seconds', 'Age of the oldest transaction not yet decided.', [
      'partition',
    ]),
    backend: gauge('sluice_scoring_backend_info', 'Backend and model in use.', [
      'backend',
      'model_version',
    ]),
  }
}

function createLaneMetrics(make: ReturnType<typeof makers>) {
  const { counter, gauge } = make
  return {
    redisTrips: counter('sluice_redis_round_trips_total', 'Commands sent to Redis.', ['operation']),
    redisUp: gauge('sluice_redis_up', '1 while Redis is connected.'),
    fenced: counter(
      'sluice_fenced_writes_total',
      'Writes refused because another owner has taken over.',
    ),
    aborts: counter(
      'sluice_transaction_aborts_total',
      'Kafka transactions that failed and were read back.',
    ),
    restarts: counter('sluice_lane_restarts_total', 'Lanes that started over after a failure.'),
    stops: counter('sluice_lane_stops_total', 'Lanes that stopped for good, by reason.', [
      'reason',
    ]),
    rebuilds: counter(
      'sluice_state_rebuilds_total',
      'States of a lane re-applied or rebuilt from the log.',
    ),
    rebalances: counter('sluice_rebalances_total', 'Assignments received from the group.'),
    lanes: gauge('sluice_lanes', 'Lanes of this process.'),
    spansDropped: counter(
      'sluice_spans_dropped_total',
      'Spans that were recorded and could not be sent.',
    ),
  }
}

function batchEvents(metrics: Metrics): Pick<ScorerTelemetry, 'batchDecided'> {
  return {
    batchDecided(report) {
      for (const [outcome, count] of Object.entries(report.outcomes))
        metrics.decisions.inc({ outcome }, count)
      for (const action of report.actions) metrics.alerts.inc({ action })
      for (const { topic, reason } of report.deadLetters) metrics.deadLetters.inc({ topic, reason })
      metrics.labels.inc(report.labels)
      metrics.duplicates.inc(report.duplicates)
      if (report.transactions > 0) metrics.batchSize.observe(report.transactions)
      for (const stage of STAGES) metrics.stages.observe({ stage }, report.stagesMs[stage] / 1_000)
      for (const latencyMs of report.eventToAlertMs) metrics.eventToAlert.observe(latencyMs / 1_000)
      if (report.eventToScoreMs !== null)
        metrics.eventToScore.observe(report.eventToScoreMs / 1_000)
    },
  }
}

function laneEvents(metrics: Metrics): Omit<ScorerTelemetry, 'registry' | 'batchDecided'> {
  return {
    lagObserved(partition, messages, seconds) {
      metrics.lagMessages.set({ partition }, messages)
      metrics.lagSeconds.set({ partition }, seconds)
    },
    laneReleased(partition) {
      metrics.lagMessages.remove({ partition })
      metrics.lagSeconds.remove({ partition })
    },
    backendChosen(name, modelVersion) {
      metrics.backend.reset()
      metrics.backend.set({ backend: name, model_version: modelVersion }, 1)
    },
    redisCalled(operation) {
      metrics.redisTrips.inc({ operation })
    },
    redisConnection(isUp) {
      metrics.redisUp.set(isUp ? 1 : 0)
    },
    writeFenced() {
      metrics.fenced.inc()
    },
    transactionFailed() {
      metrics.aborts.inc()
    },
    laneRestarted() {
      metrics.restarts.inc()
    },
    laneStopped(reason) {
      metrics.stops.inc({ reason })
    },
    stateRebuilt() {
      metrics.rebuilds.inc()
    },
    rebalanced(laneCount) {
      metrics.rebalances.inc()
      metrics.lanes.set(laneCount)
    },
    spansDropped(count) {
      metrics.spansDropped.inc(count)
    },
  }
}
