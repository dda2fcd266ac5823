// Recomputes decisions from the log and what decision batches recorded (P3, P4): what the scorer should have seen,
// beside what it used.
//
// Mental model. Each partition has two folds. Parts of entities are built from the partition's log in offset order, as far as any
// cut asks. Rows are recomputed block by block, and read the parts of all partitions through the block's cut. The two are
// apart because a frontier may reach into a batch of another partition whose block comes later: what was written before a crash
// is in the state, and decided again afterwards, with another cut.
//
// A block is replayed once everything that it may have seen is here; `isFull` tells who feeds a replay to wait with a
// topic's partition, so memory is bounded. Of any set of blocks one can always be replayed, since cuts only name what
// was written before them: the limits must only be larger than what a crash can leave uncommitted, two full batches.

import type { RateTable } from '../../currency.ts'
import type { Transaction } from '../../transaction.ts'
import type { Alignment } from '../../wire/records.ts'
import type { Cut } from '../state/entity-part.ts'
import { ReplayPartition, type PartitionBegin } from './replay-partition.ts'
import { PartitionParts } from './replay-parts.ts'
import type { RecordedBatch, ReplayEntry, ReplayLabel } from './replay-records.ts'
import { PartitionRows, type KnownFrom, type OnCause, type OnReplayed } from './replay-rows.ts'
import type { ReplaySample } from './replay-sample.ts'

/** Cards and parts of entities in memory beyond which a sample is halved; each takes some 10 kB. */
export const REPLAY_VALUES_MAX = 30_000

/** A partition that has nothing to say holds merging up no longer than this, by the clock of the blocks. */
const IDLE_MARGIN_MS = 60_000

export interface LogReplayOptions {
  readonly rates: RateTable
  readonly sample: ReplaySample
  /** First position that is read of each partition's log. */
  readonly begins: readonly PartitionBegin[]
  readonly readRecord: (record: Uint8Array) => Transaction | null
  readonly onReplayed: OnReplayed
  readonly onCause?: OnCause | undefined
  /** REPLAY_VALUES_MAX unless given. */
  readonly valuesMax?: number
}

export class LogReplay {
  readonly #options: LogReplayOptions
  readonly #partitions: readonly ReplayPartition[]
  readonly #parts: readonly PartitionParts[]
  readonly #rows: readonly PartitionRows[]
  readonly #floors: Cut[]
  #newestDecidedMs = -Infinity
  #isFinal = false

  constructor(options: LogReplayOptions) {
    this.#options = options
    const { begins, sample, rates, readRecord, onCause } = options
    this.#partitions = begins.map((begin) => new ReplayPartition(begin))
    this.#parts = begins.map(() => new PartitionParts(sample, rates))
    this.#rows = begins.map(
      (_, partition) =>
        new PartitionRows({ partition, sample, rates, readRecord, onCause, parts: this.#parts }),
    )
    this.#floors = begins.map(() => ({ nextOffset: 0, labelNextOffset: 0 }))
  }

  addEntries(partition: number, entries: readonly ReplayEntry[]): void {
    this.#partitions[partition]?.addEntries(entries)
  }

  addLabels(partition: number, labels: readonly ReplayLabel[]): void {
    this.#partitions[partition]?.addLabels(labels)
  }

  /** @throws RangeError for a block of a partition that there is not. */
  addBatch(block: RecordedBatch): void {
    const queue = this.#partitions[block.partition]
    if (queue === undefined) throw new RangeError(`There is no partition ${block.partition}.`)
    queue.addBatch(block)
  }

  /** True when no more messages of this topic and partition should be added for now. */
  isFull(kind: 'transactions' | 'labels' | 'decisions', partition: number): boolean {
    return this.#partitions[partition]?.isFull(kind) ?? false
  }

  /**
   * Replays what can be replayed, in the order in which it was decided as far as that is known: parts are then seldom
   * ahead of a frontier, which makes a reading dearer. Returns how many blocks that were.
   */
  advance(): number {
    let count = 0
    for (let queue = this.#nextPartition(); queue !== null; queue = this.#nextPartition()) {
      this.#replayNext(queue)
      count += 1
    }
    if (count > 0) this.#keepBounded()
    return count
  }

  /** Nothing more will be added: blocks no longer wait for decisions about what they saw of other partitions. */
  finish(): number {
    this.#isFinal = true
    return this.advance()
  }

  /** Blocks that wait for messages. */
  get waitingBatches(): number {
    return this.#partitions.reduce((sum, queue) => sum + queue.blockCount, 0)
  }

  /** When the oldest block that waits was decided; null when none does. */
  get oldestWaitingMs(): number | null {
    const times = this.#partitions.flatMap(({ frontBatch }) =>
      frontBatch === null ? [] : [frontBatch.decidedAtMs],
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
    return Math.max(...this.#partitions.map(({ knownFromMs }) => knownFromMs))
  }

  /** The partition whose next block can be replayed and was decided first; null when none can. */
  #nextPartition(): number | null {
    let next: number | null = null
    let firstMs = Infinity
    for (const [partition, { frontBatch }] of this.#partitions.entries()) {
      if (frontBatch === null || (next !== null && frontBatch.decidedAtMs >= firstMs)) continue
      if (!this.#hasAllOf(frontBatch)) continue
      next = partition
      firstMs = frontBatch.decidedAtMs
    }
    return next
  }

  #replayNext(partition: number): void {
    const queue = this.#partitions[partition]
    const block = queue?.frontBatch ?? null
    if (queue === undefined || block === null) return
    const { alignment, nextOffset, labelNextOffset } = block
    for (const frontier of block.frontier) this.#build(frontier.partition, frontier, alignment)
    // The partition's own part is built as its rows are read, so that it is not ahead of them either.
    const buildTo = (offset: number): void => {
      this.#build(partition, { nextOffset: offset, labelNextOffset }, alignment)
    }
    buildTo(0)
    const known: KnownFrom = { ownMs: queue.knownFromMs, allMs: this.knownFromMs }
    const entries = queue.entriesBelow(nextOffset)
    this.#rows[partition]?.replay(block, entries, known, buildTo, (row) => {
      this.#options.onReplayed(row)
    })
    buildTo(nextOffset)
    queue.replayed(block)
    this.#newestDecidedMs = Math.max(this.#newestDecidedMs, block.decidedAtMs)
    this.#raiseFloors()
  }

  /** Messages up to the cuts; outside a whole sample also what was decided about them. */
  #hasAllOf(block: RecordedBatch): boolean {
    const mustKnowVerdicts = !this.#options.sample.isAll && !this.#isFinal
    const own = { partition: block.partition, ...frontierOf(block) }
    return [own, ...block.frontier].every((frontier) => {
      const queue = this.#partitions[frontier.partition]
      if (queue === undefined) return true
      return (
        queue.hasReceived(frontier) && (!mustKnowVerdicts || queue.coveredTo >= frontier.nextOffset)
      )
    })
  }

  #build(partition: number, to: Cut, alignment: Alignment): void {
    const [queue, parts] = [this.#partitions[partition], this.#parts[partition]]
    const floor = this.#floors[partition]
    if (queue === undefined || parts === undefined || floor === undefined) return
    const isAligned = alignment === 'aligned'
    for (const label of queue.takeLabelsBelow(to.labelNextOffset)) {
      parts.takeLabel(label, isAligned, floor)
    }
    for (const entry of queue.nextBelow(to.nextOffset)) {
      parts.take(entry, queue.takeVerdict(entry.offset), isAligned, floor)
    }
  }

  /** Up to where the parts of each partition may be merged: below it no frontier to come can end. */
  #raiseFloors(): void {
    const marginMs = this.#newestDecidedMs - IDLE_MARGIN_MS
    for (const [partition, queue] of this.#partitions.entries()) {
      const before = this.#floors[partition]
      if (before === undefined) continue
      let floor = queue.replayedBy(marginMs)
      for (const [index, reader] of this.#partitions.entries()) {
        if (index === partition || reader.isIdleSince(marginMs)) continue
        const frontier = reader.lastFrontierOf(partition)
        floor = {
          nextOffset: Math.min(floor.nextOffset, frontier.nextOffset),
          labelNextOffset: Math.min(floor.labelNextOffset, frontier.labelNextOffset),
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
    const busy = this.#rows.filter(
      (_, queue) => this.#partitions[queue]?.isIdleSince(marginMs) === false,
    )
    const slowestMs = Math.min(...busy.map(({ newestEventMs }) => newestEventMs))
    if (busy.length > 0) for (const parts of this.#parts) parts.forget(slowestMs)
    const { sample, valuesMax = REPLAY_VALUES_MAX } = this.#options
    while (this.size > valuesMax && sample.halve()) {
      for (const parts of this.#parts) parts.shrink()
      for (const rows of this.#rows) rows.shrink()
    }
  }
}

function frontierOf({ nextOffset, labelNextOffset }: Cut): Cut {
  return { nextOffset, labelNextOffset }
}
