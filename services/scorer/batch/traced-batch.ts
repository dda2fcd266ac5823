// Records a span for a micro-batch that is traced, also when the batch fails.

import type { Clock } from '../../core/clock.ts'
import type { BatchSpan, BatchTracer } from '../../platform/tracing/open-tracing.ts'
import type { Taken } from '../intake/record-queue.ts'

/** Processes what was taken, whose decoding took `decodeMs`. Without a tracer it does nothing else. */
export async function tracedBatch<Result>(
  { tracer, clock }: { readonly tracer: BatchTracer | null; readonly clock: Clock },
  partition: number,
  taken: Taken,
  decodeMs: number,
  work: (span: BatchSpan | null) => Promise<Result>,
): Promise<Result> {
  if (tracer === null) return work(null)
  const { entries: messages, firstOffset, nextOffset } = taken
  const span = tracer.startBatch({
    partition,
    firstOffset,
    nextOffset,
    startedAtMs: clock.nowMs() - decodeMs,
    elapsedMs: decodeMs,
    messages,
  })
  try {
    return await work(span)
  } catch (error) {
    span?.fail(error)
    throw error
  }
}
