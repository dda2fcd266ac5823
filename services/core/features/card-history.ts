// What is remembered of one card: its recent events one by one, older ones merged into hourly buckets of
// integers.
//
// Mental model. The features of offset o may see only events with a smaller offset ("visible"), because after
// a crash the stored value can be ahead of the committed offset. Of the visible events the newest RAW_MAX
// count as raw, all older ones as if they stood at the start of their hour; whether an old one is still
// stored singly or already merged makes no difference to any feature. Merging is only done to events whose
// offset is committed, so no later reading can need them back. Hence every reading is a function of the log
// alone, however it was cut into batches and wherever crashes fell.
//
// Layout 1 of the stored value (see sealed.ts for the envelope; varints as in bytes.ts), times in ms:
//   bucket count; per bucket, oldest first: hours since the bucket before, attempts, count, sum (minor units)
//   event count; per event, by (time, offset): time since the event before, offset (zigzag, against the event
//   before), amount, 48-bit transaction reference, flags, then as flagged: intent (48 bits), device (48
//   bits), latitude and longitude (zigzag, 1e-4 degrees)

import { ByteWriter } from './bytes.ts'
import { seal, unseal } from './sealed.ts'
import { BUCKET_MS, CARD_REACH_MS, LATENESS_MS, bucketStartMs } from './time.ts'

export const CARD_LAYOUT_VERSION = 1

/** Newest events of a card that are kept singly. */
export const CARD_RAW_MAX = 512

/** Events and buckets older than this before the card's newest event are forgotten. */
export const CARD_RETAIN_MS = CARD_REACH_MS + LATENESS_MS + BUCKET_MS

const FLAG_RETRY = 1
const FLAG_INTENT = 2
const FLAG_DEVICE = 4
const FLAG_PLACE = 8
const OUTCOME_SHIFT = 4

/** One event of a card. References are 48-bit hashes, 0 for none; places are in 1e-4 degrees. */
export interface CardEvent {
  readonly timeMs: number
  readonly offset: number
  /** Minor units of the reference currency. */
  readonly amountMinor: number
  readonly idRef: number
  readonly intentRef: number
  readonly deviceRef: number
  readonly latitudeE4: number
  readonly longitudeE4: number
  readonly hasPlace: boolean
  readonly isRetry: boolean
}

interface Bucket {
  startMs: number
  attempts: number
  count: number
  sumMinor: number
}

/** Index of an outcome as stored with an event: what was decided, for duplicates; 0 is not known. */
export type StoredOutcome = 0 | 1 | 2 | 3

/** Events as parallel arrays, sorted by (time, offset). Hot path: plain loops over plain arrays. */
export class CardHistory {
  readonly timesMs: number[] = []
  readonly offsets: number[] = []
  readonly amountsMinor: number[] = []
  readonly idRefs: number[] = []
  readonly intentRefs: number[] = []
  readonly deviceRefs: number[] = []
  readonly latitudesE4: number[] = []
  readonly longitudesE4: number[] = []
  readonly flags: number[] = []
  /** Merged events, oldest first. */
  readonly buckets: Bucket[] = []

  get eventCount(): number {
    return this.timesMs.length
  }

  /** Adds an event in its place; an event of the same offset, written before a crash, is replaced. */
  insert(event: CardEvent): void {
    const known = this.offsets.lastIndexOf(event.offset)
    if (known >= 0) this.#removeAt(known)
    let position = this.timesMs.length
    while (position > 0 && this.#isAfter(position - 1, event)) position -= 1
    const flags =
      (event.isRetry ? FLAG_RETRY : 0) |
      (event.intentRef === 0 ? 0 : FLAG_INTENT) |
      (event.deviceRef === 0 ? 0 : FLAG_DEVICE) |
      (event.hasPlace ? FLAG_PLACE : 0)
    this.timesMs.splice(position, 0, event.timeMs)
    this.offsets.splice(position, 0, event.offset)
    this.amountsMinor.splice(position, 0, event.amountMinor)
    this.idRefs.splice(position, 0, event.idRef)
    this.intentRefs.splice(position, 0, event.intentRef)
    this.deviceRefs.splice(position, 0, event.deviceRef)
    this.latitudesE4.splice(position, 0, event.latitudeE4)
    this.longitudesE4.splice(position, 0, event.longitudeE4)
    this.flags.splice(position, 0, flags)
  }

  isRetryAt(index: number): boolean {
    return ((this.flags[index] ?? 0) & FLAG_RETRY) !== 0
  }

  hasPlaceAt(index: number): boolean {
    return ((this.flags[index] ?? 0) & FLAG_PLACE) !== 0
  }

  /** Remembers what was decided for the event at this offset. */
  setOutcome(offset: number, outcome: StoredOutcome): void {
    const index = this.offsets.lastIndexOf(offset)
    if (index < 0) return
    const others = (this.flags[index] ?? 0) & ((1 << OUTCOME_SHIFT) - 1)
    this.flags[index] = others | (outcome << OUTCOME_SHIFT)
  }

  /** What was decided for the event at this index; 0 when not known. */
  outcomeAt(index: number): StoredOutcome {
    return (((this.flags[index] ?? 0) >> OUTCOME_SHIFT) & 3) as StoredOutcome
  }

  /** What was decided for the transaction with this reference; 0 when it is not held singly or not known. */
  outcomeOf(idRef: number): StoredOutcome {
    const index = this.idRefs.lastIndexOf(idRef)
    return index < 0 ? 0 : this.outcomeAt(index)
  }

  /**
   * Makes the history small again: drops what no feature can reach and merges what no longer counts as raw.
   * Only events with an offset below `committedOffset` are touched.
   */
  compact(committedOffset: number): void {
    let committedCount = 0
    let newestMs = -Infinity
    for (let index = 0; index < this.offsets.length; index += 1) {
      if ((this.offsets[index] ?? 0) >= committedOffset) continue
      committedCount += 1
      newestMs = Math.max(newestMs, this.timesMs[index] ?? 0)
    }
    const horizonMs = newestMs - CARD_RETAIN_MS
    let excess = Math.max(0, committedCount - CARD_RAW_MAX)
    let index = 0
    while (index < this.offsets.length) {
      const isCommitted = (this.offsets[index] ?? 0) < committedOffset
      const isExpired = (this.timesMs[index] ?? 0) < horizonMs
      if (!isCommitted || (excess === 0 && !isExpired)) {
        if (excess === 0 && !isExpired) break
        index += 1
        continue
      }
      if (!isExpired) this.#merge(index)
      if (excess > 0) excess -= 1
      this.#removeAt(index)
    }
    while (this.buckets[0] !== undefined && this.buckets[0].startMs < horizonMs)
      this.buckets.shift()
  }

  /** The stored value. `writer` is scratch space. */
  encode(writer: ByteWriter): Buffer {
    return seal(writer, CARD_LAYOUT_VERSION, () => {
      this.#writeBuckets(writer)
      this.#writeEvents(writer)
    })
  }

  /** Reads a stored value; null is a card without history. @throws SluiceError SLUICE_STATE_CORRUPT */
  static decode(value: Buffer | null): CardHistory {
    const history = new CardHistory()
    if (value === null) return history
    const reader = unseal(value, CARD_LAYOUT_VERSION)
    let hour = 0
    for (let left = reader.varint(); left > 0; left -= 1) {
      hour += reader.varint()
      const attempts = reader.varint()
      const count = reader.varint()
      history.buckets.push({
        startMs: hour * BUCKET_MS,
        attempts,
        count,
        sumMinor: reader.varint(),
      })
    }
    let timeMs = 0
    let offset = 0
    for (let left = reader.varint(); left > 0; left -= 1) {
      timeMs += reader.varint()
      offset += reader.zigzag()
      history.timesMs.push(timeMs)
      history.offsets.push(offset)
      history.amountsMinor.push(reader.varint())
      history.idRefs.push(reader.uint48())
      const flags = reader.byte()
      history.flags.push(flags)
      history.intentRefs.push((flags & FLAG_INTENT) === 0 ? 0 : reader.uint48())
      history.deviceRefs.push((flags & FLAG_DEVICE) === 0 ? 0 : reader.uint48())
      const hasPlace = (flags & FLAG_PLACE) !== 0
      history.latitudesE4.push(hasPlace ? reader.zigzag() : 0)
      history.longitudesE4.push(hasPlace ? reader.zigzag() : 0)
    }
    return history
  }

  #writeBuckets(writer: ByteWriter): void {
    writer.varint(this.buckets.length)
    let hour = 0
    for (const bucket of this.buckets) {
      const next = bucket.startMs / BUCKET_MS
      writer.varint(next - hour)
      writer.varint(bucket.attempts)
      writer.varint(bucket.count)
      writer.varint(bucket.sumMinor)
      hour = next
    }
  }

  #writeEvents(writer: ByteWriter): void {
    writer.varint(this.timesMs.length)
    let timeMs = 0
    let offset = 0
    for (let index = 0; index < this.timesMs.length; index += 1) {
      const nextTimeMs = this.timesMs[index] ?? 0
      const nextOffset = this.offsets[index] ?? 0
      const flags = this.flags[index] ?? 0
      writer.varint(nextTimeMs - timeMs)
      writer.zigzag(nextOffset - offset)
      writer.varint(this.amountsMinor[index] ?? 0)
      writer.uint48(this.idRefs[index] ?? 0)
      writer.byte(flags)
      if ((flags & FLAG_INTENT) !== 0) writer.uint48(this.intentRefs[index] ?? 0)
      if ((flags & FLAG_DEVICE) !== 0) writer.uint48(this.deviceRefs[index] ?? 0)
      if ((flags & FLAG_PLACE) !== 0) {
        writer.zigzag(this.latitudesE4[index] ?? 0)
        writer.zigzag(this.longitudesE4[index] ?? 0)
      }
      timeMs = nextTimeMs
      offset = nextOffset
    }
  }

  #isAfter(index: number, event: CardEvent): boolean {
    const timeMs = this.timesMs[index] ?? 0
    if (timeMs !== event.timeMs) return timeMs > event.timeMs
    return (this.offsets[index] ?? 0) > event.offset
  }

  #merge(index: number): void {
    const startMs = bucketStartMs(this.timesMs[index] ?? 0)
    let position = this.buckets.length
    while (position > 0 && (this.buckets[position - 1]?.startMs ?? 0) > startMs) position -= 1
    let bucket = this.buckets[position - 1]
    if (bucket?.startMs !== startMs) {
      bucket = { startMs, attempts: 0, count: 0, sumMinor: 0 }
      this.buckets.splice(position, 0, bucket)
    }
    bucket.attempts += 1
    if (this.isRetryAt(index)) return
    bucket.count += 1
    bucket.sumMinor += this.amountsMinor[index] ?? 0
  }

  #removeAt(index: number): void {
    this.timesMs.splice(index, 1)
    this.offsets.splice(index, 1)
    this.amountsMinor.splice(index, 1)
    this.idRefs.splice(index, 1)
    this.intentRefs.splice(index, 1)
    this.deviceRefs.splice(index, 1)
    this.latitudesE4.splice(index, 1)
    this.longitudesE4.splice(index, 1)
    this.flags.splice(index, 1)
  }
}
