// What a partition needs of tracing. With tracing off there is no tracer, and the hot path asks once a batch whether
// there is one. Cards, tokens and amounts are not handed over, so that no span can hold them.

import type { MessageHeaders, TraceHeaders } from '../../core/trace-context.ts'
import type { Closable } from '../lifecycle.ts'
import type { BatchReport } from '../metrics/batch-metrics.ts'

/** One micro-batch that was taken. */
export interface BatchStart {
  readonly partition: number
  readonly firstOffset: number
  readonly nextOffset: number
  /** Wall clock, ms. */
  readonly startedAtMs: number
  /** Since then. */
  readonly elapsedMs: number
  readonly messages: readonly {
    readonly offset: number
    readonly headers?: MessageHeaders | undefined
  }[]
}

/** Records batches; closing sends what is recorded, within a limit. */
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
