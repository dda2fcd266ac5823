// Recomputes decisions from the log and what decision blocks recorded (P3, P4): what the scorer should have seen,
// beside what it used.
//
// Mental model. Each lane has two folds. Parts of entities are built from the lane's log in offset order, as far as any
// cut asks. Rows are recomputed block by block, and read the parts of all lanes through the block's cut. The two are
// apart because a cut may reach into a batch of another lane whose block comes later: what was written before a crash
// is in the state, and decided again afterwards, with another cut.
//
// A block is replayed once everything that it may have seen is here; `isFull` tells who feeds a replay to wait with a
// topic's partition, so memory is bounded. Of any set of blocks one can always be replayed, since cuts only name what
// was written before them: the limits must only be larger than what a crash can leave uncommitted, two full batches.

import type { RateTable } from '../../currency.ts'
import type { Transaction } from '../../transaction.ts'
import type { Alignment } from '../../wire/records.ts'
import type { Cut } from '../state/entity-part.ts'
import { ReplayLane, type LaneBegin } from './replay-lane.ts'
import { LaneParts } from './replay-parts.ts'
import type { RecordedBlock, ReplayEntry, ReplayLabel } from './replay-records.ts'
import { LaneRows, type KnownFrom, type OnCause, type OnReplayed } from './replay-rows.ts'
import type { ReplaySample } from './replay-sample.ts'

/** Cards and parts of entities in memory beyond which a sample is halved; each takes some 10 kB. */
export const REPLAY_VALUES_MAX = 30_000

/** A lane that has nothing to say holds merging up no longer than this, by the clock of the blocks. */
const IDLE_MARGIN_MS = 60_000

export interface LogReplayOptions {
  readonly rates: RateTable
  readonly sample: ReplaySample
  /** Where each lane's log begins to be read. */
  readonly begins: readonly LaneBegin[]
  readonly readRecord: (record: Uint8Array) => Transaction | null
  readonly onReplayed: OnReplayed
  readonly onCause?: OnCause | undefined
  /** REPLAY_VALUES_MAX unless given. */
  readonly valuesMax?: number
}

export class LogReplay {
  readonly #options: LogReplayOptions
  readonly #lanes: readonly ReplayLane[]
  readonly #parts: readonly LaneParts[]
  readonly #rows: readonly LaneRows[]
  readonly #floors: Cut[]
  #newestDecidedMs = -Infinity
  #isFinal = false

  constructor(options: LogReplayOptions) {
    this.#options = options
    const { begins, sample, rates, readRecord, onCause } = options
    this.#lanes = begins.map((begin) => new ReplayLane(begin))
    this.#parts = begins.map(() => new LaneParts(sample, rates))
    this.#rows = begins.map(
      (_, partition) =>
        new LaneRows({ partition, sample, rates, readRecord, onCause, parts: this.#parts }),
    )
    this.#floors = begins.map(() => ({ nextOffset: 0, labelNextOffset: 0 }))
  }

  addEntries(partition: number, entries: readonly ReplayEntry[]): void {
    this.#lanes[partition]?.addEntries(entries)
  }

  addLabels(partition: number, labels: readonly ReplayLabel[]): void {
    this.#lanes[partition]?.addLabels(labels)
  }

  /** @throws RangeError for a block of a lane that there is not. */
  addBlock(block: RecordedBlock): void {
    const lane = this.#lanes[block.partition]
    if (lane === undefined) throw new RangeError(`There is no lane ${block.partition}.`)
    lane.addBlock(block)
  }

  /** True when no more messages of this topic and partition should be added for now. */
  isFull(kind: 'transactions' | 'labels' | 'decisions', partition: number): boolean {
    return this.#lanes[partition]?.isFull(kind) ?? false
  }

  /**
   * Replays what can be replayed, in the order in which it was decided as far as that is known: parts are then seldom
   * ahead of a cut, which makes a reading dearer. Returns how many blocks that were.
   */
  advance(): number {
    let count = 0
    for (let lane = this.#nextLane(); lane !== null; lane = this.#nextLane()) {
      this.#replayNext(lane)
      count += 1
    }
    if (count > 0) this.#keepBounded()
    return count
  }

  /** Nothing more will be added: blocks no longer wait for decisions about what they saw of other lanes. */
  finish(): number {
    this.#isFinal = true
    return this.advance()
  }

  /** Blocks that wait for messages. */
  get waitingBlocks(): number {
    return this.#lanes.reduce((sum, lane) => sum + lane.blockCount, 0)
  }

  /** When the oldest block that waits was decided; null when none does. */
  get oldestWaitingMs(): number | null {
    const times = this.#lanes.flatMap(({ frontBlock }) =>
      frontBlock === null ? [] : [frontBlock.decidedAtMs],
    )
    return times.length === 0 ? null : Math.min(...times)
  }

  /** When the newest block that was replayed was decided; null before the first. */
  get newestReplayedMs(): number | null {
    return this.#newestDecidedMs === -Infinity ? null : this.#newestDecidedMs
  }

  /** Cards and parts of entities in memory. */
  get size(): number {
    const parts = this.#parts.reduce((sum, { size }) => sum + size, 0)
    return parts + this.#rows.reduce((sum, { size }) => sum + size, 0)
  }

  /** Event time from which on everything is known; -Infinity for the whole log. */
  get knownFromMs(): number {
    return Math.max(...this.#lanes.map(({ knownFromMs }) => knownFromMs))
  }

  /** The lane whose next block can be replayed and was decided first; null when none can. */
  #nextLane(): number | null {
    let next: number | null = null
    let firstMs = Infinity
    for (const [partition, { frontBlock }] of this.#lanes.entries()) {
      if (frontBlock === null || (next !== null && frontBlock.decidedAtMs >= firstMs)) continue
      if (!this.#hasAllOf(frontBlock)) continue
      next = partition
      firstMs = frontBlock.decidedAtMs
    }
    return next
  }

  #replayNext(partition: number): void {
    const lane = this.#lanes[partition]
    const block = lane?.frontBlock ?? null
    if (lane === undefined || block === null) return
    const { alignment, nextOffset, labelNextOffset } = block
    for (const cut of block.cut) this.#build(cut.partition, cut, alignment)
    // The lane's own part is built as its rows are read, so that it is not ahead of them either.
    const buildTo = (offset: number): void => {
      this.#build(partition, { nextOffset: offset, labelNextOffset }, alignment)
    }
    buildTo(0)
    const known: KnownFrom = { ownMs: lane.knownFromMs, allMs: this.knownFromMs }
    const entries = lane.entriesBelow(nextOffset)
    this.#rows[partition]?.replay(block, entries, known, buildTo, (row) => {
      this.#options.onReplayed(row)
    })
    buildTo(nextOffset)
    lane.replayed(block)
    this.#newestDecidedMs = Math.max(this.#newestDecidedMs, block.decidedAtMs)
    this.#raiseFloors()
  }

  /** Messages up to the cuts; outside a whole sample also what was decided about them. */
  #hasAllOf(block: RecordedBlock): boolean {
    const mustKnowVerdicts = !this.#options.sample.isAll && !this.#isFinal
    const own = { partition: block.partition, ...cutOf(block) }
    return [own, ...block.cut].every((cut) => {
      const lane = this.#lanes[cut.partition]
      if (lane === undefined) return true
      return lane.hasReceived(cut) && (!mustKnowVerdicts || lane.coveredTo >= cut.nextOffset)
    })
  }

  #build(partition: number, to: Cut, alignment: Alignment): void {
    const [lane, parts] = [this.#lanes[partition], this.#parts[partition]]
    const floor = this.#floors[partition]
    if (lane === undefined || parts === undefined || floor === undefined) return
    const isAligned = alignment === 'aligned'
    for (const label of lane.takeLabelsBelow(to.labelNextOffset)) {
      parts.takeLabel(label, isAligned, floor)
    }
    for (const entry of lane.nextBelow(to.nextOffset)) {
      parts.take(entry, lane.takeVerdict(entry.offset), isAligned, floor)
    }
  }

  /** Up to where the parts of each lane may be merged: below it no cut to come can end. */
  #raiseFloors(): void {
    const marginMs = this.#newestDecidedMs - IDLE_MARGIN_MS
    for (const [partition, lane] of this.#lanes.entries()) {
      const before = this.#floors[partition]
      if (before === undefined) continue
      let floor = lane.replayedBy(marginMs)
      for (const [index, reader] of this.#lanes.entries()) {
        if (index === partition || reader.isIdleSince(marginMs)) continue
        const cut = reader.lastCutOf(partition)
        floor = {
          nextOffset: Math.min(floor.nextOffset, cut.nextOffset),
          labelNextOffset: Math.min(floor.labelNextOffset, cut.labelNextOffset),
        }
      }
      this.#floors[partition] = {
        nextOffset: Math.max(before.nextOffset, floor.nextOffset),
        labelNextOffset: Math.max(before.labelNextOffset, floor.labelNextOffset),
      }
    }
  }

  #keepBounded(): void {
    const marginMs = this.#newestDecidedMs - IDLE_MARGIN_MS
    const busy = this.#rows.filter((_, lane) => this.#lanes[lane]?.isIdleSince(marginMs) === false)
    const slowestMs = Math.min(...busy.map(({ newestEventMs }) => newestEventMs))
    if (busy.length > 0) for (const parts of this.#parts) parts.forget(slowestMs)
    const { sample, valuesMax = REPLAY_VALUES_MAX } = this.#options
    while (this.size > valuesMax && sample.halve()) {
      for (const parts of this.#parts) parts.shrink()
      for (const rows of this.#rows) rows.shrink()
    }
  }
}

function cutOf({ nextOffset, labelNextOffset }: Cut): Cut {
  return { nextOffset, labelNextOffset }
}
