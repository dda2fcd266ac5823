// Watermarks, so that the scorer's lanes can keep in step while they replay.
//
// The stream is cut into stretches. Of each stretch that ends at W there are sent, in this order: all labels
// known at or before W, the labels' watermark W, all transactions of event time at or before W, the
// transactions' watermark W. So labels are always ahead of the transactions that may use them, and a lane
// need not hold a transaction back to wait for labels. (A label may thereby come before its own transaction
// when it is known within one stretch: labels may be applied early, since features filter by known-at time.)
//
// A stretch ends once it spans STRETCH_MS of event time and holds STRETCH_EVENTS events, whichever is
// later: a watermark goes to every partition of two topics, and with 8 partitions 16 messages for 1,000
// events cost 1.6 %. Beyond STRETCH_EVENTS_MAX it ends at the next change of time, so memory is bounded.
//
// Lanes wait for one another's watermarks up to a delay before their own next transaction. So that none waits
// for a watermark which lies behind what it holds back, the stream opens with one, and no stretch spans more
// than STRETCH_MS_MAX, well below that delay (two hours, less the hour in which a window ends).

import { type StreamEvent, streamTimeMs } from './stream-event.ts'

export const STRETCH_MS = 60_000
export const STRETCH_EVENTS = 1_000
export const STRETCH_EVENTS_MAX = 20_000
export const STRETCH_MS_MAX = 1_800_000

/** The watermark that ends a stream: 2100-01-01, the latest time accepted in a message. */
export const END_OF_STREAM_MS = 4_102_444_800_000

/** Goes to every partition of its topic: nothing at or before `timeMs` follows there. */
interface WatermarkEvent {
  readonly kind: 'watermark'
  readonly topic: 'transactions' | 'labels'
  readonly timeMs: number
}

/** What the producer sends, in this order. */
export type ProducedEvent = StreamEvent | WatermarkEvent

/**
 * Adds watermarks to a stream in time order: the first ones say where it begins; the last ones, at its end, say
 * that nothing follows at all.
 */
export async function* withWatermarks(
  source: Iterable<StreamEvent> | AsyncIterable<StreamEvent>,
): AsyncGenerator<ProducedEvent, void, undefined> {
  let stretch = new Stretch()
  let isFirst = true
  for await (const event of source) {
    const timeMs = streamTimeMs(event)
    if (isFirst) yield* stretch.endingAt(timeMs - 1)
    isFirst = false
    if (stretch.mayEndBefore(timeMs)) {
      yield* stretch.endingAt(timeMs - 1)
      stretch = new Stretch()
    }
    stretch.add(event, timeMs)
  }
  yield* stretch.endingAt(END_OF_STREAM_MS)
}

class Stretch {
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

  /** Everything up to `timeMs - 1` has been seen once an event of a later time shows up. */
  mayEndBefore(timeMs: number): boolean {
    const count = this.#labels.length + this.#transactions.length
    if (timeMs <= this.#lastMs) return false
    const spanMs = timeMs - this.#firstMs
    if (count < STRETCH_EVENTS) return count > 0 && spanMs >= STRETCH_MS_MAX
    return spanMs >= STRETCH_MS || count >= STRETCH_EVENTS_MAX
  }

  *endingAt(timeMs: number): Generator<ProducedEvent, void, undefined> {
    yield* this.#labels
    yield { kind: 'watermark', topic: 'labels', timeMs }
    yield* this.#transactions
    yield { kind: 'watermark', topic: 'transactions', timeMs }
  }
}
