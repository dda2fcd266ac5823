// Traces of micro-batches by OpenTelemetry: one span per recorded batch, linked to the sampled messages in it, and
// for each alert about one of them a span in that message's trace, which the alert names as its cause.
//
// Recorded is a batch that holds a sampled message, and of the others a share. A message is sampled when its sender
// says so, or when its trace belongs to our own share of all traces.

import type { Attributes, Link, Span, SpanContext, Tracer } from '@opentelemetry/api'
import {
  formatTraceparent,
  isInRatio,
  traceParentOf,
  tracestateOf,
  type MessageHeaders,
  type TraceHeaders,
  type TraceParent,
} from '../../core/trace-context.ts'
import type { Logger } from '../log.ts'
import type { BatchReport } from '../metrics/batch-metrics.ts'
import type { BatchSpan, BatchStart, BatchTracer } from './batch-tracer.ts'
import { loadOpenTelemetry, type OpenTelemetry } from './load-opentelemetry.ts'
import { openSpanPipeline } from './span-pipeline.ts'

/** Sampled messages that a batch is linked to; beyond them, further ones are not looked for. */
const LINKS_MAX = 64
/** Alerts of one batch with a span of their own; beyond them, a message's headers are passed on as they are. */
const ALERT_SPANS_MAX = 64
/** The stages that follow one another, in their order. */
const STAGES = ['decode', 'read', 'features', 'score', 'write', 'commit'] as const

export interface TracingOptions {
  /** Address of an OTLP/HTTP receiver. */
  readonly endpoint: string
  readonly sampleRatio: number
  readonly serviceName: string
  readonly groupId: string
  readonly topics: { readonly transactions: string; readonly alerts: string }
  readonly log: Logger
  readonly onDropped: (count: number) => void
}

/**
 * Loads OpenTelemetry and makes a tracer; connects nothing.
 * @throws SluiceError SLUICE_PREREQUISITE_MISSING when the packages are not installed.
 */
export async function openBatchTracer(options: TracingOptions): Promise<BatchTracer> {
  const otel = await loadOpenTelemetry()
  const { serviceName, log, onDropped } = options
  const url = tracesUrl(options.endpoint)
  const pipeline = openSpanPipeline(otel, { url, serviceName, log, onDropped })
  return {
    startBatch(batch) {
      const sampled = sampledMessages(batch, options.sampleRatio)
      if (sampled.length === 0 && Math.random() >= options.sampleRatio) return null
      return new RecordedBatch(otel, pipeline.tracer, options, batch, sampled)
    },
    close: () => pipeline.close(),
  }
}

/** The address of the receiver; a URL without path names the receiver only. */
export function tracesUrl(endpoint: string): string {
  const url = new URL(endpoint)
  if (url.pathname === '/') url.pathname = '/v1/traces'
  return url.href
}

interface Sampled {
  readonly offset: number
  readonly parent: TraceParent
  readonly headers: MessageHeaders | undefined
}

function isSampled(parent: TraceParent, ratio: number): boolean {
  return parent.isSampled || isInRatio(parent.traceId, ratio)
}

/** Hot path: one look at each message until enough are found. */
function sampledMessages({ messages }: BatchStart, ratio: number): readonly Sampled[] {
  const sampled: Sampled[] = []
  for (const { offset, headers } of messages) {
    if (headers?.['traceparent'] === undefined) continue
    const parent = traceParentOf(headers)
    if (parent === null || !isSampled(parent, ratio)) continue
    sampled.push({ offset, parent, headers })
    if (sampled.length === LINKS_MAX) break
  }
  return sampled
}

class RecordedBatch implements BatchSpan {
  readonly #otel: OpenTelemetry
  readonly #tracer: Tracer
  readonly #options: TracingOptions
  readonly #startedAtMs: number
  /** Beside the wall clock, so that times within the batch are exact. */
  readonly #startMs: number
  readonly #span: Span
  readonly #alerts: Span[] = []

  constructor(
    otel: OpenTelemetry,
    tracer: Tracer,
    options: TracingOptions,
    batch: BatchStart,
    sampled: readonly Sampled[],
  ) {
    this.#otel = otel
    this.#tracer = tracer
    this.#options = options
    this.#startedAtMs = batch.startedAtMs
    this.#startMs = performance.now() - batch.elapsedMs
    const { transactions } = options.topics
    this.#span = tracer.startSpan(
      `process ${transactions}`,
      {
        kind: otel.api.SpanKind.CONSUMER,
        startTime: batch.startedAtMs,
        links: sampled.map((message) => this.#linkOf(message)),
        attributes: {
          'messaging.system': 'kafka',
          'messaging.operation.name': 'process',
          'messaging.operation.type': 'process',
          'messaging.destination.name': transactions,
          'messaging.destination.partition.id': String(batch.partition),
          'messaging.consumer.group.name': options.groupId,
          'messaging.batch.message_count': batch.messages.length,
          'sluice.offset.first': batch.firstOffset,
          'sluice.offset.next': batch.nextOffset,
        },
      },
      otel.api.ROOT_CONTEXT,
    )
  }

  alertHeaders(alertId: string, headers: MessageHeaders | undefined): TraceHeaders | null {
    const parent = traceParentOf(headers)
    if (parent === null || !isSampled(parent, this.#options.sampleRatio)) return null
    if (this.#alerts.length >= ALERT_SPANS_MAX) return null
    const { alerts } = this.#options.topics
    const { ROOT_CONTEXT, trace } = this.#otel.api
    const span = this.#tracer.startSpan(
      `create ${alerts}`,
      {
        kind: this.#otel.api.SpanKind.PRODUCER,
        startTime: this.#nowMs(),
        links: [{ context: this.#span.spanContext() }],
        attributes: {
          'messaging.system': 'kafka',
          'messaging.operation.name': 'create',
          'messaging.operation.type': 'create',
          'messaging.destination.name': alerts,
          'sluice.alert.id': alertId,
        },
      },
      trace.setSpanContext(ROOT_CONTEXT, this.#spanContextOf(parent, headers)),
    )
    this.#alerts.push(span)
    const traceparent = formatTraceparent({
      traceId: parent.traceId,
      spanId: span.spanContext().spanId,
      isSampled: true,
    })
    const tracestate = tracestateOf(headers)
    return tracestate === null ? { traceparent } : { traceparent, tracestate }
  }

  end(report: BatchReport): void {
    let atMs = this.#startedAtMs
    for (const stage of STAGES) {
      const durationMs = report.stagesMs[stage]
      this.#span.addEvent(`sluice.${stage}`, { 'sluice.duration_ms': durationMs }, atMs)
      atMs += durationMs
    }
    this.#finish({
      'sluice.decisions.approve': report.outcomes.approve,
      'sluice.decisions.flag': report.outcomes.flag,
      'sluice.decisions.block': report.outcomes.block,
      'sluice.alerts': report.alerts.length,
      'sluice.duplicates': report.duplicates,
      'sluice.dead_letters': report.deadLetters.length,
      'sluice.labels': report.labels.length,
    })
  }

  fail(error: unknown): void {
    const code = this.#otel.api.SpanStatusCode.ERROR
    for (const span of [this.#span, ...this.#alerts]) span.setStatus({ code })
    this.#finish({ 'error.type': typeOf(error) })
  }

  #finish(attributes: Attributes): void {
    const endMs = this.#nowMs()
    for (const span of this.#alerts) span.end(endMs)
    this.#span.setAttributes(attributes)
    this.#span.end(endMs)
  }

  #nowMs(): number {
    return this.#startedAtMs + performance.now() - this.#startMs
  }

  #linkOf({ offset, parent, headers }: Sampled): Link {
    const context = this.#spanContextOf(parent, headers)
    return { context, attributes: { 'messaging.kafka.offset': offset } }
  }

  #spanContextOf(
    { traceId, spanId }: TraceParent,
    headers: MessageHeaders | undefined,
  ): SpanContext {
    const { TraceFlags, createTraceState } = this.#otel.api
    const tracestate = tracestateOf(headers)
    return {
      traceId,
      spanId,
      traceFlags: TraceFlags.SAMPLED,
      isRemote: true,
      ...(tracestate === null ? {} : { traceState: createTraceState(tracestate) }),
    }
  }
}

/** The error's code or class, never its text, which may hold anything. */
function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}
