// Metrics of the gateway: one function per event.

import type { Registry } from 'prom-client'
import { PROBLEM_CODES, type ProblemCode } from '../http/json-body.ts'
import { LATENCY_BUCKETS_S } from './buckets.ts'
import { createProcessMetrics, type MetricDefinition } from './process-metrics.ts'

/** How a transaction was answered: by the decision on what its request wrote, by one that was shared or remembered, or without. */
export const ANSWER_KINDS = ['written', 'shared', 'repeated', 'fallback', 'conflict'] as const
export type AnswerKind = (typeof ANSWER_KINDS)[number]

/** Reasons for an answer without a decision. Closed list; also in the answer. */
export const FALLBACK_REASONS = ['not_written', 'not_decided', 'dead_letter'] as const
export type FallbackReason = (typeof FALLBACK_REASONS)[number]

const ROUTES = ['score', 'batch', 'block', 'openapi', 'none'] as const
export type GatewayRoute = (typeof ROUTES)[number]

export interface GatewayStatus {
  readonly inFlight: number
  readonly unacknowledged: number
  readonly remembered: number
  readonly rememberedBytes: number
  readonly activeBlocks: number
  readonly isReady: boolean
}

export interface GatewayTelemetry {
  readonly registry: Registry
  readonly definitions: readonly MetricDefinition[]
  /** A transaction was answered, this long after its request arrived. */
  scored(kind: AnswerKind, reason: FallbackReason | null, durationMs: number): void
  /** A request was answered; `problem` is null when it was not refused. */
  answered(route: GatewayRoute, problem: ProblemCode | null): void
  /** Messages of `decisions` or `alerts` that this version cannot read. */
  notRead(topic: 'decisions' | 'alerts'): void
  appendRetried(): void
  stood(status: GatewayStatus): void
}

/** Metrics of one gateway. */
export function createGatewayTelemetry(): GatewayTelemetry {
  const make = createProcessMetrics()
  const answers = make.counter(
    'sluice_gateway_answers_total',
    'Transactions answered, by what the answer is.',
    { kind: ANSWER_KINDS },
  )
  const fallbacks = make.counter(
    'sluice_gateway_fallbacks_total',
    'Transactions answered without a decision, by reason.',
    { reason: FALLBACK_REASONS },
  )
  const seconds = make.histogram(
    'sluice_gateway_answer_seconds',
    'From the arrival of a request to the answer about a transaction.',
    LATENCY_BUCKETS_S,
    { kind: ANSWER_KINDS },
  )
  const requests = make.counter(
    'sluice_gateway_requests_total',
    'HTTP requests by route and problem; answered without one.',
    { route: ROUTES, result: ['answered', ...PROBLEM_CODES] },
  )
  const notRead = make.counter(
    'sluice_gateway_not_read_total',
    'Messages of a topic that this version cannot read.',
    { topic: ['decisions', 'alerts'] },
  )
  const retries = make.counter(
    'sluice_gateway_append_retries_total',
    'Requests to brokers that failed and are sent again.',
  )
  return {
    registry: make.registry,
    definitions: make.definitions,
    scored(kind, reason, durationMs) {
      answers.inc({ kind })
      seconds.observe({ kind }, durationMs / 1_000)
      if (reason !== null) fallbacks.inc({ reason })
    },
    answered(route, problem) {
      requests.inc({ route, result: problem ?? 'answered' })
    },
    notRead(topic) {
      notRead.inc({ topic })
    },
    appendRetried() {
      retries.inc()
    },
    stood: statusGauges(make),
  }
}

function statusGauges(make: ReturnType<typeof createProcessMetrics>): GatewayTelemetry['stood'] {
  const inFlight = make.gauge(
    'sluice_gateway_in_flight',
    'Transactions that wait for their decisions.',
  )
  const unacknowledged = make.gauge(
    'sluice_gateway_unacknowledged',
    'Transactions that no broker has acknowledged yet.',
  )
  const remembered = make.gauge(
    'sluice_gateway_remembered_decisions',
    'Transactions remembered for repeated requests.',
  )
  const bytes = make.gauge(
    'sluice_gateway_remembered_bytes',
    'Memory of remembered transactions, estimated.',
  )
  const blocks = make.gauge('sluice_gateway_active_blocks', 'Blocks that are active now.')
  const ready = make.gauge(
    'sluice_gateway_ready',
    '1 once recent decisions and blocks are read back, 0 again while it drains.',
  )
  return (status) => {
    inFlight.set(status.inFlight)
    unacknowledged.set(status.unacknowledged)
    remembered.set(status.remembered)
    bytes.set(status.rememberedBytes)
    blocks.set(status.activeBlocks)
    ready.set(status.isReady ? 1 : 0)
  }
}
