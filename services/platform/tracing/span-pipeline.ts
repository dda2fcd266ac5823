// The way of spans from the hot path to the collector: a bounded queue, sent in batches beside the work. A collector
// that is slow or away costs spans, which are counted, and nothing else.

import type { Tracer } from '@opentelemetry/api'
import type { ReadableSpan, SpanExporter, SpanProcessor } from '@opentelemetry/sdk-trace-base'
import type { Logger } from '../log.ts'
import type { OpenTelemetry } from './load-opentelemetry.ts'

const QUEUED_SPANS_MAX = 2_048
/** Spans of one request. Making its JSON holds up the event loop for a few ms at the most. */
const REQUEST_SPANS_MAX = 128
const REQUEST_DELAY_MS = 1_000
/** One request with its retries; also how long a request may hold up the end of the process. */
const REQUEST_MS_MAX = 2_000
const CLOSE_MS_MAX = 2_000
const LINKS_MAX = 128

export interface SpanPipelineOptions {
  /** Where requests go, with its path. */
  readonly url: string
  readonly serviceName: string
  readonly log: Logger
  /** Called with the number of spans that were recorded and will not be sent. */
  readonly onDropped: (count: number) => void
}

export interface SpanPipeline {
  readonly tracer: Tracer
  /** Sends what is queued, within a limit. Never throws. */
  close(): Promise<void>
}

/** Makes the pipeline; connects nothing. */
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
    // Longer than the exporter's own limit, which says what has failed.
    exportTimeoutMillis: REQUEST_MS_MAX + 1_000,
  })
  const provider = new otel.sdk.BasicTracerProvider({
    // Whether a batch is recorded is decided before its span is made.
    sampler: new otel.sdk.AlwaysOnSampler(),
    resource: otel.resources.resourceFromAttributes({ 'service.name': options.serviceName }),
    spanLimits: { linkCountLimit: LINKS_MAX },
    spanProcessors: [countQueued(processor, queue, options)],
  })
  return {
    tracer: provider.getTracer('sluice'),
    async close() {
      const flushed = provider.shutdown().catch(() => undefined)
      // The provider gives up at the first request that fails; the others are still on their way.
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

/** Refuses spans beyond the limit before the processor would, which drops them in silence. */
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

/** Counts what could not be sent, and logs when that begins and ends. */
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
        // Zero is success; the enumeration is of a package that we do not name.
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
