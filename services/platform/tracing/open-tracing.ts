// Traces of micro-batches by OpenTelemetry, which is optional and loaded only when spans are exported. One span per recorded
// batch links to its sampled messages; each alert about one of them gets a span in the trace of that message.
//
// A batch is recorded when it holds a sampled message; a share of the others is recorded too. A message is sampled when its
// sender says so, or when its trace falls into our own share. Spans pass a bounded queue to the collector: a slow or
// absent collector costs spans, which are counted, and nothing else. Cards, tokens and amounts never reach a span.

import type { Attributes, Link, Span, SpanContext, Tracer } from '@opentelemetry/api'
import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-base'
import { SluiceError } from '../../core/errors.ts'
import {
  formatTraceparent,
  isInRatio,
  type MessageHeaders,
  type TraceHeaders,
  type TraceParent,
  traceParentOf,
  tracestateOf,
} from '../../core/trace-context.ts'
import type { Closable } from '../lifecycle.ts'
import type { Logger } from '../log.ts'
import type { BatchReport } from '../metrics/batch-metrics.ts'

/** One micro-batch that was taken. */
export interface BatchStart {
  readonly partition: number
  readonly firstOffset: number
  readonly nextOffset: number
  /** Wall clock, ms. */
  readonly startedAtMs: number
  /** Milliseconds since then. */
  readonly elapsedMs: number
  readonly messages: readonly {
    readonly offset: number
    readonly headers?: MessageHeaders | undefined
  }[]
}

/** Records batches; closing sends the recorded spans, within a time limit. */
export interface BatchTracer extends Closable {
  /** Null when this batch is not recorded. Never throws, never waits. */
  startBatch(batch: BatchStart): BatchSpan | null
}

/** A batch that is recorded. Either `end` or `fail` is called, once. */
export interface BatchSpan {
  /**
   * Headers of an alert about a transaction with these headers: the same trace, caused by the span that decided it.
   * Null when the trace is not recorded here; then the transaction's own headers are passed on.
   */
  alertHeaders(alertId: string, headers: MessageHeaders | undefined): TraceHeaders | null
  /** The batch is committed. */
  end(report: BatchReport): void
  /** The batch was not committed, as far as is known. */
  fail(error: unknown): void
}

/** The packages, as they are imported. */
export interface OpenTelemetry {
  readonly api: typeof import('@opentelemetry/api')
  readonly sdk: typeof import('@opentelemetry/sdk-trace-base')
  readonly otlp: typeof import('@opentelemetry/exporter-trace-otlp-http')
  readonly resources: typeof import('@opentelemetry/resources')
}

async function importPackages(): Promise<OpenTelemetry> {
  const [api, sdk, otlp, resources] = await Promise.all([
    import('@opentelemetry/api'),
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/exporter-trace-otlp-http'),
    import('@opentelemetry/resources'),
  ])
  return { api, sdk, otlp, resources }
}

/** @throws SluiceError SLUICE_PREREQUISITE_MISSING when a package is missing or does not load. */
export async function loadOpenTelemetry(
  load: () => Promise<OpenTelemetry> = importPackages,
): Promise<OpenTelemetry> {
  try {
    return await load()
  } catch (error) {
    throw new SluiceError(
      'SLUICE_PREREQUISITE_MISSING',
      'SLUICE_TRACING_ENDPOINT is set, but the packages of OpenTelemetry cannot be loaded ' +
        `(${error instanceof Error ? error.message : String(error)}); install them with ` +
        '"npm ci --include=optional", or unset SLUICE_TRACING_ENDPOINT.',
      { cause: error },
    )
  }
}

/** Most sampled messages that a batch links to; further ones are not searched for. */
const LINKS_MAX = 64
/** Alerts of one batch with a span of their own; beyond that, a message's headers are passed on unchanged. */
const ALERT_SPANS_MAX = 64
/** The stages of a batch, in order. */
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
 * Loads OpenTelemetry and creates a tracer; connects nothing. @throws SluiceError SLUICE_PREREQUISITE_MISSING when the
 * packages are not installed.
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

/** Hot path: examines messages until enough are found. */
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
  /** Monotonic clock, so that times within the batch are exact. */
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

/** The error's code or class, never its text, which may hold sensitive data. */
function typeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown'
  return 'code' in error && typeof error.code === 'string' ? error.code : error.name
}

const QUEUED_SPANS_MAX = 2_048
/** Most spans of one request. Encoding its JSON takes at most a few ms of the event loop. */
const REQUEST_SPANS_MAX = 128
const REQUEST_DELAY_MS = 1_000
/** Time limit of one request with its retries, which also bounds the delay of the process's end. */
const REQUEST_MS_MAX = 2_000
const CLOSE_MS_MAX = 2_000
const SPAN_LINKS_MAX = 128

export interface SpanPipelineOptions {
  /** URL of the requests, with its path. */
  readonly url: string
  readonly serviceName: string
  readonly log: Logger
  /** Called with the number of recorded spans that will not be sent. */
  readonly onDropped: (count: number) => void
}

export interface SpanPipeline {
  readonly tracer: Tracer
  /** Sends queued spans, within a time limit. Never throws. */
  close(): Promise<void>
}

/** Creates the pipeline; connects nothing. */
export function openSpanPipeline(otel: OpenTelemetry, options: SpanPipelineOptions): SpanPipeline {
  const queue: Queue = { waiting: 0, onTheWay: new Set() }
  const exporter = new otel.otlp.OTLPTraceExporter({
    url: options.url,
    timeoutMillis: REQUEST_MS_MAX,
  })
  const processor = new otel.sdk.BatchSpanProcessor(countSent(exporter, queue, options), {
    maxQueueSize: QUEUED_SPANS_MAX,
    maxExportBatchSize: REQUEST_SPANS_MAX,
    scheduledDelayMillis: REQUEST_DELAY_MS,
    // Longer than the exporter's own limit, whose error names the cause.
    exportTimeoutMillis: REQUEST_MS_MAX + 1_000,
  })
  const provider = new otel.sdk.BasicTracerProvider({
    // Sampling is decided before the span of a batch is created.
    sampler: new otel.sdk.AlwaysOnSampler(),
    resource: otel.resources.resourceFromAttributes({ 'service.name': options.serviceName }),
    spanLimits: { linkCountLimit: SPAN_LINKS_MAX },
    spanProcessors: [countQueued(processor, queue, options)],
  })
  return {
    tracer: provider.getTracer('sluice'),
    async close() {
      const flushed = provider.shutdown().catch(() => undefined)
      // The provider gives up at the first request that fails; the others are still in flight.
      const settled = flushed.then(() => Promise.all([...queue.onTheWay].map(({ done }) => done)))
      await Promise.race([settled, limitOf(CLOSE_MS_MAX)])
      const late = [...queue.onTheWay].reduce((sum, { spans }) => sum + spans, queue.waiting)
      if (late > 0) options.onDropped(late)
    },
  }
}

/** Spans between their end and the answer to the request that held them. */
interface Queue {
  waiting: number
  readonly onTheWay: Set<{ readonly spans: number; readonly done: Promise<void> }>
}

/** Refuses spans beyond the limit before the processor does, which would drop them silently. */
function countQueued(
  processor: SpanProcessor,
  queue: Queue,
  { onDropped }: SpanPipelineOptions,
): SpanProcessor {
  return {
    onStart: () => undefined,
    onEnd(span) {
      if (queue.waiting >= QUEUED_SPANS_MAX) {
        onDropped(1)
        return
      }
      queue.waiting += 1
      processor.onEnd(span)
    },
    forceFlush: () => processor.forceFlush(),
    shutdown: () => processor.shutdown(),
  }
}

/** Counts spans that could not be sent, and logs when that begins and ends. */
function countSent(
  exporter: SpanExporter,
  queue: Queue,
  { log, onDropped }: SpanPipelineOptions,
): SpanExporter {
  let isFailing = false
  return {
    export(spans: ReadableSpan[], onResult) {
      queue.waiting -= spans.length
      let finish: () => void = () => undefined
      const done = new Promise<void>((resolve) => {
        finish = resolve
      })
      const request = { spans: spans.length, done }
      queue.onTheWay.add(request)
      exporter.export(spans, (result) => {
        queue.onTheWay.delete(request)
        // Zero is success; the enumeration belongs to a package that we do not depend on.
        const code: number = result.code
        const hasFailed = code !== 0
        if (hasFailed) onDropped(spans.length)
        if (hasFailed && !isFailing) {
          log.warn({ error: result.error }, 'Spans cannot be sent and are dropped.')
        }
        if (!hasFailed && isFailing) log.info({}, 'Spans are sent again.')
        isFailing = hasFailed
        onResult(result)
        finish()
      })
    },
    forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve(),
    shutdown: () => exporter.shutdown(),
  }
}

function limitOf(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref()
  })
}
