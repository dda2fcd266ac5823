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

/** The events after the settled ones, as far as they are encoded; more are added at the end. */
export class EncodedTail {
  readonly layout: number
  readonly columns: number
  /** Events in it; time and offset of the last one, which the next is written against. */
  count = 0
  timeMs = 0
  offset = 0
  readonly writer = new ByteWriter(TAIL_BYTES_AT_FIRST)

  constructor(layout: number, columns: number) {
    this.layout = layout
    this.columns = columns
  }
}

export class EncodedCard {
  /** Bit i stands for OPTIONAL_COLUMNS[i]: whether any event uses it; -1 when that is not known. */
  columns = 0
  settled: EncodedSettled | null = null
  tail: EncodedTail | null = null
  buckets: Buffer | null = null

  /** After events were taken away, or have changed places. */
  forgetEvents(): void {
    this.columns = -1
    this.settled = null
    this.tail = null
  }

  /** After what is said of an event that is not settled has changed. */
  forgetTail(): void {
    this.tail = null
  }

  forgetAll(): void {
    this.forgetEvents()
    this.buckets = null
  }
}
