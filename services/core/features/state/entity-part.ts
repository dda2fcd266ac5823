// What one lane knows of an entity that several cards share: its events, crowded hours merged into counts, and
// labels that say fraud.
//
// Each lane writes parts of its own and reads the parts of all lanes, so every stored value has one writer. A
// reading is limited to a cut: events with an offset below `nextOffset`, labels below `labelNextOffset`. An
// hour with more than HOUR_RAW_MAX visible events is crowded and counts as if all of it happened at its
// start, whether its events are still stored singly or already merged. Hours that lie ENTITY_RETAIN_MS before
// that of the newest visible event do not count, whether they are still stored or already forgotten. That
// makes every reading a function of the events within the cut alone.

import { ENTITY_COLUMN, ENTITY_STRIDE, HOUR_RAW_MAX } from './entity-event.ts'
import { EntityEvents, ENTITY_RETAIN_MS } from './entity-events.ts'
import {
  BUCKET_MS,
  DAY_MS,
  ENTITY_DELAY_MS,
  LATENESS_MS,
  bucketStartMs,
} from '../catalogue/time.ts'

/** Labels kept per part: the last ones of the log. */
export const LABELS_MAX = 1_024

/** Longest window in which cards are counted; merged hours remember their cards for that long, delay and lateness added. */
export const DISTINCT_WINDOW_MS = DAY_MS
const CARDS_RETAIN_MS = DISTINCT_WINDOW_MS + LATENESS_MS + ENTITY_DELAY_MS + 2 * BUCKET_MS

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

const NO_LABELS: readonly EntityLabel[] = []

export class EntityPart extends EntityEvents {
  #labels: EntityLabel[] | null = null
  /** The copy that a reader was given last, and how often the part had changed before. */
  #seen: {
    readonly nextOffset: number
    readonly changes: number
    readonly part: EntityPart
  } | null = null

  override touchParts(): number {
    return super.touchParts() + this.labels.length
  }

  override touchFar(): number {
    const { labels } = this
    const last = labels[labels.length - 1]
    return super.touchFar() + (last === undefined ? 0 : last.timeMs)
  }

  /** By offset. */
  get labels(): readonly EntityLabel[] {
    return this.#labels ?? NO_LABELS
  }

  /**
   * The part as a reader sees it that looks at nothing after `toMs`: itself where all that is up to the end of that hour
   * is within the cut, else a copy of what is.
   */
  seenBy(cut: Cut, toMs = Infinity): EntityPart {
    if (this.newestOffset < cut.nextOffset) return this
    if (bucketStartMs(this.unseenFromMs(cut.nextOffset)) > toMs) return this
    const known = this.#seen
    if (known?.nextOffset === cut.nextOffset && known.changes === this.changes) return known.part
    const part = this.#within(cut)
    this.#seen = { nextOffset: cut.nextOffset, changes: this.changes, part }
    return part
  }

  #within(cut: Cut): EntityPart {
    const seen = new EntityPart()
    for (let index = 0; index < this.count; index += 1) {
      const offset = this.at(index, ENTITY_COLUMN.offset)
      if (offset >= cut.nextOffset) continue
      const time = this.at(index, ENTITY_COLUMN.time)
      const [id, card] = [this.at(index, ENTITY_COLUMN.id), this.at(index, ENTITY_COLUMN.card)]
      seen.append(seen.count, time, offset, id, card)
    }
    // Merged events are committed, so every cut holds them.
    seen.crowded = [...this.crowdedHours]
    seen.#labels = [...this.labels]
    const newestCrowded = this.crowdedHours.at(-1)
    if (newestCrowded !== undefined) seen.noteHour(newestCrowded.startMs / BUCKET_MS)
    return seen
  }

  /** Remembers a label. Genuine ones matter only where they undo a fraud, so others are not kept. */
  insertLabel(label: EntityLabel): void {
    this.changes += 1
    if (this.labels.some(({ labelOffset }) => labelOffset === label.labelOffset)) return
    if (!label.isFraud && !this.#isWordBefore(label)) return
    const labels = (this.#labels ??= [])
    let position = labels.length
    while (position > 0 && (labels[position - 1]?.labelOffset ?? 0) > label.labelOffset) {
      position -= 1
    }
    labels.splice(position, 0, label)
    this.stored.forget()
  }

  /** Takes in a label of a stored value, after those that were. */
  adoptLabel(label: EntityLabel): void {
    this.#labels ??= []
    this.#labels.push(label)
  }

  /** How many labels have an offset below this; they come first. */
  labelCount(labelNextOffset: number): number {
    let count = this.labels.length
    while (count > 0 && (this.labels[count - 1]?.labelOffset ?? 0) >= labelNextOffset) count -= 1
    return count
  }

  /** Merges crowded hours and forgets what no feature can reach; touches only what is committed. */
  compact(committed: Cut): void {
    this.stored.forget()
    this.changes += 1
    this.#seen = null
    this.noteCommitted(committed.nextOffset)
    const horizonMs = this.horizonMs(committed.nextOffset)
    if (this.#hasToMerge(committed.nextOffset, horizonMs)) {
      this.#mergeCrowdedHours(committed.nextOffset, horizonMs)
      this.forgetHours()
    }
    this.forgetCrowded(horizonMs)
    const cardsFromMs = horizonMs + ENTITY_RETAIN_MS - CARDS_RETAIN_MS
    for (const { startMs, cards } of this.crowdedHours) {
      if (startMs >= cardsFromMs) break
      cards.clear()
    }
    this.#forgetLabels(committed.labelNextOffset, horizonMs)
  }

  /** The one form that all parts of the same log have. */
  normalise(): void {
    this.compact({ nextOffset: Infinity, labelNextOffset: Infinity })
    const horizonMs = this.horizonMs(Infinity)
    this.#labels = this.labels.filter(({ timeMs }) => timeMs >= horizonMs)
  }

  /** True when a word on the same transaction, among those that count, comes before this one in the log. */
  #isWordBefore({ idRef, timeMs, labelOffset }: EntityLabel): boolean {
    const end = this.labelCount(labelOffset)
    for (let index = Math.max(0, end - LABELS_MAX); index < end; index += 1) {
      const word = this.labels[index]
      // An id may be used again after the reach: its first use may be forgotten already, or not.
      if (word?.idRef === idRef && word.timeMs === timeMs) return true
    }
    return false
  }

  /** True when an event is too old, or an hour that is not merged yet has become crowded. */
  #hasToMerge(committedOffset: number, horizonMs: number): boolean {
    if (this.count === 0) return false
    const isOld = this.at(0, ENTITY_COLUMN.time) < horizonMs
    if (isOld && this.at(0, ENTITY_COLUMN.offset) < committedOffset) return true
    return !this.isSparse && this.hours.hasCrowdedSingles
  }

  #mergeCrowdedHours(committedOffset: number, horizonMs: number): void {
    let from = 0
    let kept = 0
    while (from < this.count) {
      const hourMs = bucketStartMs(this.at(from, ENTITY_COLUMN.time))
      let end = from
      let committedCount = 0
      while (end < this.count && this.at(end, ENTITY_COLUMN.time) < hourMs + BUCKET_MS) {
        if (this.at(end, ENTITY_COLUMN.offset) < committedOffset) committedCount += 1
        end += 1
      }
      const isCrowded =
        committedCount > HOUR_RAW_MAX ||
        (committedCount > 0 && this.crowdedHours.some(({ startMs }) => startMs === hourMs))
      const hour = isCrowded ? this.addToHour(hourMs, committedCount) : null
      for (let index = from; index < end; index += 1) {
        const isCommitted = this.at(index, ENTITY_COLUMN.offset) < committedOffset
        const isGone = isCommitted && (isCrowded || hourMs < horizonMs)
        if (isCommitted) hour?.cards.add(this.at(index, ENTITY_COLUMN.card))
        if (isGone) continue
        this.#move(index, kept)
        kept += 1
      }
      from = end
    }
    this.count = kept
  }

  #move(from: number, to: number): void {
    if (from === to) return
    const base = from * ENTITY_STRIDE
    this.data.copyWithin(to * ENTITY_STRIDE, base, base + ENTITY_STRIDE)
  }

  /** Only from the front: then the last LABELS_MAX of a reader are the same whatever was forgotten. */
  #forgetLabels(committedLabelOffset: number, horizonMs: number): void {
    const labels = this.#labels
    if (labels === null) return
    let excess = this.labelCount(committedLabelOffset) - LABELS_MAX
    for (;;) {
      const label = labels[0]
      if (label === undefined || label.labelOffset >= committedLabelOffset) return
      if (excess <= 0 && label.timeMs >= horizonMs) return
      labels.shift()
      excess -= 1
    }
  }
}
