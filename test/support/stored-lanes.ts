// Lanes that keep their state as the scorer does, as encoded values and progress, in maps instead of Redis. A
// batch reads values, folds, compacts up to what was committed before it, and writes; a crash forgets
// everything but what was written.

import { ByteWriter } from '../../services/core/features/bytes.ts'
import { CardHistory } from '../../services/core/features/card-history.ts'
import { EntityPart } from '../../services/core/features/entity-part.ts'
import { FEATURE_COUNT } from '../../services/core/features/feature-list.ts'
import {
  LANE_START,
  LaneFold,
  type CardLookup,
  type Folded,
  type LanePosition,
  type LaneState,
  type ReadablePart,
} from '../../services/core/features/lane-fold.ts'
import { DEFAULT_RATES } from '../../services/core/currency.ts'
import { furthest, type LaneProgress } from '../../services/core/stream/lane-progress.ts'
import { foldBatch, type LaneEntry, type LaneLabel } from '../../services/scorer/micro-batch.ts'
import type { StreamItem } from './feature-streams.ts'

/** The two logs of one partition. Offsets rise, with holes as transactions of Kafka leave them. */
export interface LaneLog {
  readonly entries: readonly LaneEntry[]
  readonly labels: readonly LaneLabel[]
}

/** A row with what was said of it. */
export interface FoldedRow {
  readonly offset: number
  readonly row: readonly number[]
  readonly folded: Folded
}

/** Positions in a lane's logs: how many entries and labels come before. */
export interface LogPosition {
  readonly entryCount: number
  readonly labelCount: number
}

const LOG_START: LogPosition = { entryCount: 0, labelCount: 0 }

/** Everything that a crash leaves. */
export class StoredLanes {
  readonly cards = new Map<string, Buffer>()
  readonly terminals = new Map<string, Buffer>()
  readonly progress: (LaneProgress | null)[]

  constructor(laneCount: number) {
    this.progress = Array.from({ length: laneCount }, () => null)
  }
}

/** Folds one lane batch by batch. */
export class StoredLane {
  readonly #stored: StoredLanes
  readonly #partition: number
  readonly #log: LaneLog
  readonly #writer = new ByteWriter()
  #fold = new LaneFold(DEFAULT_RATES, LANE_START)
  #at = LOG_START
  #committed: { readonly at: LogPosition; readonly position: LanePosition } = {
    at: LOG_START,
    position: LANE_START,
  }

  constructor(stored: StoredLanes, partition: number, log: LaneLog) {
    this.#stored = stored
    this.#partition = partition
    this.#log = log
  }

  get at(): LogPosition {
    return this.#at
  }

  get isAtEnd(): boolean {
    const { entryCount, labelCount } = this.#at
    return entryCount === this.#log.entries.length && labelCount === this.#log.labels.length
  }

  get position(): LanePosition {
    return this.#fold.position
  }

  /** Folds up to these positions and writes the state. Without a commit a crash comes back to before it. */
  step(to: LogPosition): readonly FoldedRow[] {
    const entries = this.#log.entries.slice(this.#at.entryCount, to.entryCount)
    const labels = this.#log.labels.slice(this.#at.labelCount, to.labelCount)
    const snapshot = new Snapshot(this.#stored, this.#partition)
    const next = this.#offsetsAt(to)
    const { rows, features } = foldBatch(
      labels,
      entries,
      next.labelNextOffset,
      this.#fold,
      snapshot,
      'aligned',
    )
    snapshot.write(this.#offsetsAt(this.#committed.at), this.#writer)
    const progress = { generation: 1, ...next, ...this.#fold.position }
    const before = this.#stored.progress[this.#partition] ?? null
    this.#stored.progress[this.#partition] = before === null ? progress : furthest(progress, before)
    this.#at = to
    return rows.map(({ offset, folded }, index) => ({
      offset,
      row: Array.from(features.subarray(index * FEATURE_COUNT, (index + 1) * FEATURE_COUNT)),
      folded,
    }))
  }

  commit(): void {
    this.#committed = { at: this.#at, position: this.#fold.position }
  }

  /** Everything in memory is lost; the state stays as it was written. */
  crash(): void {
    this.#at = this.#committed.at
    this.#fold = new LaneFold(DEFAULT_RATES, this.#committed.position)
  }

  #offsetsAt({ entryCount, labelCount }: LogPosition): {
    nextOffset: number
    labelNextOffset: number
  } {
    const after = (log: readonly { readonly offset: number }[], count: number): number =>
      count === 0 ? 0 : (log[count - 1]?.offset ?? 0) + 1
    return {
      nextOffset: after(this.#log.entries, entryCount),
      labelNextOffset: after(this.#log.labels, labelCount),
    }
  }
}

class Snapshot implements LaneState {
  readonly #stored: StoredLanes
  readonly #partition: number
  readonly #cards = new Map<string, CardHistory>()
  readonly #terminals = new Map<string, EntityPart>()
  readonly #others = new Map<string, readonly ReadablePart[]>()

  constructor(stored: StoredLanes, partition: number) {
    this.#stored = stored
    this.#partition = partition
  }

  card(card: string): CardHistory {
    const history =
      this.#cards.get(card) ??
      CardHistory.decode(this.#stored.cards.get(this.#key(card, this.#partition)) ?? null)
    this.#cards.set(card, history)
    return history
  }

  ownTerminal(terminal: string): EntityPart {
    const part =
      this.#terminals.get(terminal) ??
      EntityPart.decode(this.#stored.terminals.get(this.#key(terminal, this.#partition)) ?? null)
    this.#terminals.set(terminal, part)
    return part
  }

  otherTerminals(terminal: string): readonly ReadablePart[] {
    const known = this.#others.get(terminal)
    if (known !== undefined) return known
    const parts = this.#stored.progress.flatMap((cut, partition): ReadablePart[] => {
      const value = this.#stored.terminals.get(this.#key(terminal, partition))
      if (partition === this.#partition || cut === null || value === undefined) return []
      return [{ part: EntityPart.decode(value), cut }]
    })
    this.#others.set(terminal, parts)
    return parts
  }

  write(committed: { nextOffset: number; labelNextOffset: number }, writer: ByteWriter): void {
    for (const [card, history] of this.#cards) {
      history.compact(committed.nextOffset)
      this.#stored.cards.set(this.#key(card, this.#partition), history.encode(writer))
    }
    for (const [terminal, part] of this.#terminals) {
      part.compact(committed)
      this.#stored.terminals.set(this.#key(terminal, this.#partition), part.encode(writer))
    }
  }

  #key(name: string, partition: number): string {
    return `${partition}/${name}`
  }
}

/** State in memory that is never compacted, encoded or shared: what all other ways must equal. */
export class PlainState implements LaneState, CardLookup {
  readonly #cards = new Map<string, CardHistory>()
  readonly #terminals = new Map<string, EntityPart>()
  readonly #others: readonly PlainState[]

  /** `all` holds the states of all lanes, this one included once it is pushed there. */
  constructor(all: readonly PlainState[] = []) {
    this.#others = all
  }

  card(card: string): CardHistory {
    const history = this.#cards.get(card) ?? new CardHistory()
    this.#cards.set(card, history)
    return history
  }

  peekCard(card: string): CardHistory | null {
    return this.#cards.get(card) ?? null
  }

  ownTerminal(terminal: string): EntityPart {
    const part = this.#terminals.get(terminal) ?? new EntityPart()
    this.#terminals.set(terminal, part)
    return part
  }

  otherTerminals(terminal: string): readonly ReadablePart[] {
    const cut = { nextOffset: Infinity, labelNextOffset: Infinity }
    return this.#others
      .filter((other) => other !== this)
      .map((other) => ({ part: other.ownTerminal(terminal), cut }))
  }
}

/** Deals a stream out to lanes by `laneOf`, with offsets that rise by 1, now and then by 2. */
export function logsOf(
  items: readonly StreamItem[],
  laneCount: number,
  laneOf: (card: string) => number,
): readonly LaneLog[] {
  const logs = Array.from({ length: laneCount }, () => ({
    entries: [] as LaneEntry[],
    labels: [] as LaneLabel[],
  }))
  for (const item of items) {
    const card = item.kind === 'label' ? item.label.card : item.transaction.card
    const log = logs[laneOf(card)]
    if (log === undefined) throw new Error(`No lane for ${card}.`)
    if (item.kind === 'label') {
      log.labels.push({ kind: 'label', offset: nextOffset(log.labels), label: item.label })
      continue
    }
    const { transaction } = item
    const offset = nextOffset(log.entries)
    log.entries.push({
      kind: 'transaction',
      offset,
      timestampMs: transaction.eventTimeMs,
      transaction,
    })
  }
  return logs
}

/** The next offset of a log: every fifth is a control record of Kafka, which no consumer sees. */
export function nextOffset(log: readonly { readonly offset: number }[]): number {
  const next = (log.at(-1)?.offset ?? -1) + 1
  return next % 5 === 4 ? next + 1 : next
}
