// What of a card stands in the stored form already: so that a change of the card encodes what is new, and copies the
// rest. None of it is state: it can be forgotten at any time.

import { ByteWriter } from './bytes.ts'
import type { EncodedStart } from './sealed.ts'

const TAIL_BYTES_AT_FIRST = 256

/** Settled events as stored in this layout, with these columns. */
export interface EncodedSettled {
  readonly layout: number
  readonly columns: number
  readonly start: EncodedStart
}

/** Events in their stored form, to which more are added at the end. One buffer is used again and again. */
export class EncodedTail {
  /** In which layout, with which columns; a card's only. */
  layout = 0
  columns = 0
  /** Events in it; time and offset of the last one, which the next is written against. */
  count = 0
  timeMs = 0
  offset = 0
  readonly writer = new ByteWriter(TAIL_BYTES_AT_FIRST)

  /** Begins anew. */
  reset(layout: number, columns: number): void {
    this.layout = layout
    this.columns = columns
    this.count = 0
    this.timeMs = 0
    this.offset = 0
    this.writer.reset()
  }
}

export class EncodedCard {
  settled: EncodedSettled | null = null
  /** Events after the settled ones. */
  readonly tail = new EncodedTail()
  buckets: Buffer | null = null

  /** After events were taken away, or have changed places. */
  forgetEvents(): void {
    this.settled = null
    this.forgetTail()
  }

  /** After what is said of an event that is not settled has changed. */
  forgetTail(): void {
    this.tail.reset(0, 0)
  }
}
