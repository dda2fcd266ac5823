// Watermarks keep the scorer's partitions aligned during a replay.
//
// The stream is divided into intervals. For an interval that ends at W, the producer sends in this order: all labels
// known at or before W, the labels' watermark W, all transactions with event time at or before W, the transactions'
// watermark W. Labels are therefore always ahead of the transactions that may use them, and a partition need not delay a
// transaction to wait for labels. (A label known within the same interval may come before its own transaction. Labels
// may be applied early, since features filter by known-at time.)
//
// An interval ends once it spans INTERVAL_MS of event time and contains INTERVAL_EVENTS events, whichever is later: a
// watermark goes to every partition of two topics, and with 8 partitions, 16 messages for 1,000 events cost 1.6 %. Beyond
// INTERVAL_EVENTS_MAX it ends at the next change of time, so memory is bounded.
//
// A partition waits for the others' watermarks up to a fixed delay before its own next transaction. To ensure that none
// waits for a watermark that follows its own delayed messages, the stream starts with a watermark, and no interval spans
// more than INTERVAL_MS_MAX, well below that delay (two hours, less the hour in which a window ends).

import { type StreamEvent, streamTimeMs } from './stream-event.ts'

export const INTERVAL_MS = 60_000
export const INTERVAL_EVENTS = 1_000
export const INTERVAL_EVENTS_MAX = 20_000
export const INTERVAL_MS_MAX = 1_800_000

/** The final watermark of a stream: 2100-01-01, the latest time accepted in a message. */
export const END_OF_STREAM_MS = 4_102_444_800_000

/** Sent to every partition of its topic: nothing at or before `timeMs` follows. */
interface WatermarkEvent {
  readonly kind: 'watermark'
  readonly topic: 'transactions' | 'labels'
  readonly timeMs: number
}

/** An event to send: a transaction, a label, or a watermark. */
export type ProducedEvent = StreamEvent | WatermarkEvent

/**
 * Adds watermarks to a stream in time order: the first ones mark its start; the last ones state that nothing follows.
 */
export async function* withWatermarks(
  source: Iterable<StreamEvent> | AsyncIterable<StreamEvent>,
): AsyncGenerator<ProducedEvent, void, undefined> {
  let interval = new Interval()
  let isFirst = true
  for await (const event of source) {
    const timeMs = streamTimeMs(event)
    if (isFirst) yield* interval.endingAt(timeMs - 1)
    isFirst = false
    if (interval.mayEndBefore(timeMs)) {
      yield* interval.endingAt(timeMs - 1)
      interval = new Interval()
    }
    interval.add(event, timeMs)
  }
  yield* interval.endingAt(END_OF_STREAM_MS)
}

class Interval {
  readonly #labels: StreamEvent[] = []
  readonly #transactions: StreamEvent[] = []
  #firstMs = Number.POSITIVE_INFINITY
  #lastMs = Number.NEGATIVE_INFINITY

  add(event: StreamEvent, timeMs: number): void {
    if (event.kind === 'label') this.#labels.push(event)
    else this.#transactions.push(event)
    if (timeMs < this.#firstMs) this.#firstMs = timeMs
    this.#lastMs = timeMs
  }

  /** Events are in time order, so an event at `timeMs` shows that everything up to `timeMs - 1` has been seen. */
  mayEndBefore(timeMs: number): boolean {
    const count = this.#labels.length + this.#transactions.length
    if (timeMs <= this.#lastMs) return false
    const spanMs = timeMs - this.#firstMs
    if (count < INTERVAL_EVENTS) return count > 0 && spanMs >= INTERVAL_MS_MAX
    return spanMs >= INTERVAL_MS || count >= INTERVAL_EVENTS_MAX
  }

  *endingAt(timeMs: number): Generator<ProducedEvent, void, undefined> {
    yield* this.#labels
    yield { kind: 'watermark', topic: 'labels', timeMs }
    yield* this.#transactions
    yield { kind: 'watermark', topic: 'transactions', timeMs }
  }
}
