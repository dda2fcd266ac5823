// What one lane knows of an entity that several cards share (a terminal): times of its events, crowded hours
// merged into counts, and labels that say fraud.
//
// Each lane writes parts of its own and reads the parts of all lanes, so every stored value has one writer. A
// reading is limited to a cut: events with an offset below `nextOffset`, labels below `labelNextOffset`. An
// hour with more than HOUR_RAW_MAX visible events is crowded and counts as if all of it happened at its
// start, whether its events are still stored singly or already merged. Hours that lie ENTITY_RETAIN_MS before
// that of the newest visible event do not count, whether they are still stored or already forgotten. That
// makes every reading a function of the events within the cut alone.
//
// Layout 1 of the stored value (envelope in sealed.ts), times in ms:
//   hour count; per crowded hour, oldest first: hours since the one before, count
//   event count; per event, by (time, offset): time since the one before, offset (zigzag, against the one before)
//   label count; per label, by offset: transaction time, known-at time (zigzag against the former), 48-bit
//   transaction reference, label offset, verdict (1 fraud, 0 genuine)

import type { ByteWriter } from './bytes.ts'
import { seal, unseal } from './sealed.ts'
import { BUCKET_MS, ENTITY_REACH_MS, LATENESS_MS, bucketStartMs } from './time.ts'

export const ENTITY_LAYOUT_VERSION = 1

/** Events of one hour that are kept singly. */
export const HOUR_RAW_MAX = 16

/** Labels kept per part: the last ones of the log. */
export const LABELS_MAX = 1_024

/** Hours that begin this long before the hour of the part's newest event are forgotten. */
export const ENTITY_RETAIN_MS = ENTITY_REACH_MS + LATENESS_MS + BUCKET_MS

/** Up to which offsets a part may be read. */
export interface Cut {
  readonly nextOffset: number
  readonly labelNextOffset: number
}

export interface EntityLabel {
  readonly timeMs: number
  readonly knownAtMs: number
  readonly idRef: number
  readonly labelOffset: number
  readonly isFraud: boolean
}

/** What a window over one part holds. */
export interface EntityWindow {
  count: number
  frauds: number
  /** A crowded hour lies across an end of the window, so `count` is off by at most that hour. */
  isApproximate: boolean
}

interface CrowdedHour {
  startMs: number
  count: number
}

export class EntityPart {
  readonly timesMs: number[] = []
  readonly offsets: number[] = []
  readonly crowdedHours: CrowdedHour[] = []
  readonly labels: EntityLabel[] = []

  insert(timeMs: number, offset: number): void {
    if (this.offsets.includes(offset)) return
    let position = this.timesMs.length
    while (position > 0 && this.#isAfter(position - 1, timeMs, offset)) position -= 1
    this.timesMs.splice(position, 0, timeMs)
    this.offsets.splice(position, 0, offset)
  }

  /** Remembers a label. Genuine ones matter only where they undo a fraud, so others are not kept. */
  insertLabel(label: EntityLabel): void {
    if (this.labels.some(({ labelOffset }) => labelOffset === label.labelOffset)) return
    if (!label.isFraud && !this.#isWordBefore(label)) return
    let position = this.labels.length
    while (position > 0 && (this.labels[position - 1]?.labelOffset ?? 0) > label.labelOffset) {
      position -= 1
    }
    this.labels.splice(position, 0, label)
  }

  /** Adds what lies in (fromMs, toMs] and within the cut to `into`; labels count when known by `asOfMs`. */
  addWindow(fromMs: number, toMs: number, asOfMs: number, cut: Cut, into: EntityWindow): void {
    const horizonMs = this.#horizonMs(cut.nextOffset)
    this.#addEvents(fromMs, toMs, horizonMs, cut, into)
    const end = this.#labelCount(cut.labelNextOffset)
    const start = Math.max(0, end - LABELS_MAX)
    for (let index = start; index < end; index += 1) {
      const label = this.labels[index]
      if (label === undefined || !label.isFraud) continue
      if (label.timeMs <= fromMs || label.timeMs > toMs || label.timeMs < horizonMs) continue
      if (label.knownAtMs > asOfMs) continue
      if (!this.#isOverruled(index, asOfMs, end)) into.frauds += 1
    }
  }

  /** Merges crowded hours and forgets what no feature can reach; touches only what is committed. */
  compact(committed: Cut): void {
    const horizonMs = this.#horizonMs(committed.nextOffset)
    this.#mergeCrowdedHours(committed.nextOffset, horizonMs)
    while (this.crowdedHours[0] !== undefined && this.crowdedHours[0].startMs < horizonMs) {
      this.crowdedHours.shift()
    }
    this.#forgetLabels(committed.labelNextOffset, horizonMs)
  }

  encode(writer: ByteWriter): Buffer {
    return seal(writer, ENTITY_LAYOUT_VERSION, () => {
      writer.varint(this.crowdedHours.length)
      let hour = 0
      for (const crowded of this.crowdedHours) {
        const next = crowded.startMs / BUCKET_MS
        writer.varint(next - hour)
        writer.varint(crowded.count)
        hour = next
      }
      writer.varint(this.timesMs.length)
      let timeMs = 0
      let offset = 0
      for (let index = 0; index < this.timesMs.length; index += 1) {
        const nextTimeMs = this.timesMs[index] ?? 0
        const nextOffset = this.offsets[index] ?? 0
        writer.varint(nextTimeMs - timeMs)
        writer.zigzag(nextOffset - offset)
        timeMs = nextTimeMs
        offset = nextOffset
      }
      writer.varint(this.labels.length)
      for (const label of this.labels) {
        writer.varint(label.timeMs)
        writer.zigzag(label.knownAtMs - label.timeMs)
        writer.uint48(label.idRef)
        writer.varint(label.labelOffset)
        writer.byte(label.isFraud ? 1 : 0)
      }
    })
  }

  /** Reads a stored value; null is a part without events. @throws SluiceError SLUICE_STATE_CORRUPT */
  static decode(value: Buffer | null): EntityPart {
    const part = new EntityPart()
    if (value === null) return part
    const reader = unseal(value, ENTITY_LAYOUT_VERSION)
    let hour = 0
    for (let left = reader.varint(); left > 0; left -= 1) {
      hour += reader.varint()
      part.crowdedHours.push({ startMs: hour * BUCKET_MS, count: reader.varint() })
    }
    let timeMs = 0
    let offset = 0
    for (let left = reader.varint(); left > 0; left -= 1) {
      timeMs += reader.varint()
      offset += reader.zigzag()
      part.timesMs.push(timeMs)
      part.offsets.push(offset)
    }
    for (let left = reader.varint(); left > 0; left -= 1) {
      const labelTimeMs = reader.varint()
      part.labels.push({
        timeMs: labelTimeMs,
        knownAtMs: labelTimeMs + reader.zigzag(),
        idRef: reader.uint48(),
        labelOffset: reader.varint(),
        isFraud: reader.byte() === 1,
      })
    }
    return part
  }

  #addEvents(fromMs: number, toMs: number, horizonMs: number, cut: Cut, into: EntityWindow): void {
    let crowded = 0
    let index = 0
    while (index < this.timesMs.length || crowded < this.crowdedHours.length) {
      const eventHourMs =
        index < this.timesMs.length ? bucketStartMs(this.timesMs[index] ?? 0) : Infinity
      const merged = this.crowdedHours[crowded]
      const hourMs = Math.min(eventHourMs, merged?.startMs ?? Infinity)
      if (hourMs > toMs) return
      let total = 0
      let inside = 0
      if (merged?.startMs === hourMs) {
        total += merged.count
        crowded += 1
      }
      for (; index < this.timesMs.length; index += 1) {
        const timeMs = this.timesMs[index] ?? 0
        if (timeMs >= hourMs + BUCKET_MS) break
        if ((this.offsets[index] ?? 0) >= cut.nextOffset) continue
        total += 1
        if (timeMs > fromMs && timeMs <= toMs) inside += 1
      }
      if (hourMs < horizonMs) continue
      if (total <= HOUR_RAW_MAX) {
        into.count += inside
        continue
      }
      if (hourMs > fromMs) into.count += total
      const liesAcross = (endMs: number): boolean => hourMs <= endMs && endMs < hourMs + BUCKET_MS
      if (liesAcross(fromMs) || liesAcross(toMs)) into.isApproximate = true
    }
  }

  /** A later word on the same transaction, known by then and within the cut, replaces an earlier one. */
  #isOverruled(index: number, asOfMs: number, end: number): boolean {
    const label = this.labels[index]
    if (label === undefined) return true
    for (let position = Math.max(0, end - LABELS_MAX); position < end; position += 1) {
      const other = this.labels[position]
      if (other === undefined || position === index) continue
      if (other.idRef !== label.idRef || other.knownAtMs > asOfMs) continue
      if (other.knownAtMs > label.knownAtMs) return true
      if (other.knownAtMs === label.knownAtMs && position > index) return true
    }
    return false
  }

  /** True when a word on the same transaction, among those that count, comes before this one in the log. */
  #isWordBefore({ idRef, labelOffset }: EntityLabel): boolean {
    const end = this.#labelCount(labelOffset)
    for (let index = Math.max(0, end - LABELS_MAX); index < end; index += 1) {
      if (this.labels[index]?.idRef === idRef) return true
    }
    return false
  }

  /** How many labels have an offset below this; they come first. */
  #labelCount(labelNextOffset: number): number {
    let count = this.labels.length
    while (count > 0 && (this.labels[count - 1]?.labelOffset ?? 0) >= labelNextOffset) count -= 1
    return count
  }

  /** Hours before this are forgotten by a reader that sees the events below `nextOffset`. Always a full hour. */
  #horizonMs(nextOffset: number): number {
    let newestMs = this.crowdedHours.at(-1)?.startMs ?? -Infinity
    for (let index = this.offsets.length - 1; index >= 0; index -= 1) {
      if ((this.offsets[index] ?? 0) >= nextOffset) continue
      newestMs = Math.max(newestMs, bucketStartMs(this.timesMs[index] ?? 0))
      break
    }
    return newestMs - ENTITY_RETAIN_MS
  }

  #mergeCrowdedHours(committedOffset: number, horizonMs: number): void {
    let index = 0
    while (index < this.timesMs.length) {
      const hourMs = bucketStartMs(this.timesMs[index] ?? 0)
      let end = index
      let committedCount = 0
      while (end < this.timesMs.length && (this.timesMs[end] ?? 0) < hourMs + BUCKET_MS) {
        if ((this.offsets[end] ?? 0) < committedOffset) committedCount += 1
        end += 1
      }
      const merged = this.crowdedHours.find(({ startMs }) => startMs === hourMs)
      const isCrowded = merged !== undefined || committedCount > HOUR_RAW_MAX
      for (let at = end - 1; at >= index; at -= 1) {
        if ((this.offsets[at] ?? 0) >= committedOffset) continue
        if (!isCrowded && (this.timesMs[at] ?? 0) >= horizonMs) continue
        this.timesMs.splice(at, 1)
        this.offsets.splice(at, 1)
        end -= 1
      }
      if (isCrowded && committedCount > 0) this.#addToHour(hourMs, committedCount)
      index = end
    }
  }

  #addToHour(startMs: number, count: number): void {
    let position = this.crowdedHours.length
    while (position > 0 && (this.crowdedHours[position - 1]?.startMs ?? 0) > startMs) position -= 1
    const hour = this.crowdedHours[position - 1]
    if (hour?.startMs === startMs) hour.count += count
    else this.crowdedHours.splice(position, 0, { startMs, count })
  }

  /** Only from the front: then the last LABELS_MAX of a reader are the same whatever was forgotten. */
  #forgetLabels(committedLabelOffset: number, horizonMs: number): void {
    let excess = this.#labelCount(committedLabelOffset) - LABELS_MAX
    for (;;) {
      const label = this.labels[0]
      if (label === undefined || label.labelOffset >= committedLabelOffset) return
      if (excess <= 0 && label.timeMs >= horizonMs) return
      this.labels.shift()
      excess -= 1
    }
  }

  #isAfter(index: number, timeMs: number, offset: number): boolean {
    const otherMs = this.timesMs[index] ?? 0
    if (otherMs !== timeMs) return otherMs > timeMs
    return (this.offsets[index] ?? 0) > offset
  }
}
