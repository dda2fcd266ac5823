// Recomputes decisions from the log and the decision batches (P3, P4): compares the inputs that the scorer should have
// seen with those that it used.
//
// Mental model. Each partition has two folds. Partial aggregates of entities are built from the partition's log in
// offset order, as far as any frontier needs. Rows are recomputed one decision batch at a time, and read the partial
// aggregates of all partitions through the batch's frontier. The two folds are separate because a frontier may reach
// into a batch of another partition whose decision batch comes later: records written before a crash are in the state,
// and are decided again afterwards, with another frontier.
//
// A decision batch is replayed once everything that it may have seen is here. `isFull` makes the caller pause a topic's
// partition, so memory is bounded. Of any set of decision batches at least one can always be replayed, since frontiers
// only name records written before them: the limits need only exceed the records that a crash can leave uncommitted,
// two full batches.

import type { RateTable } from '../../rates/rate-table.ts'
import type { Transaction } from '../../transaction.ts'
import type { Alignment } from '../../wire/records.ts'
import type { Frontier } from '../state/entity-part.ts'
import { ReplayPartition, type PartitionBegin } from './replay-partition.ts'
import { PartitionParts } from './replay-parts.ts'
import type { RecordedBatch, ReplayEntry, ReplayLabel } from './replay-records.ts'
import { PartitionRows, type KnownFrom, type OnCause, type OnReplayed } from './replay-rows.ts'
import type { ReplaySample } from './replay-sample.ts'

/** Cards and partial aggregates in memory beyond which a sample is halved; each takes about 10 kB. */
export const REPLAY_VALUES_MAX = 30_000

/** An idle partition delays merging by no longer than this, by the clock of the decision batches. */
const IDLE_MARGIN_MS = 60_000

export interface LogReplayOptions {
  /** The rate table of a decision batch. @throws when there is none of that digest */
  readonly ratesOf: (digest: string) => RateTable
  readonly sample: ReplaySample
  /** First position read in each partition's log. */
  readonly begins: readonly PartitionBegin[]
  readonly readRecord: (record: Uint8Array) => Transaction | null
  readonly onReplayed: OnReplayed
  readonly onCause?: OnCause | undefined
  /** REPLAY_VALUES_MAX by default. */
  readonly valuesMax?: number
}

export class LogReplay {
  readonly #options: LogReplayOptions
  readonly #partitions: readonly ReplayPartition[]
  readonly #parts: readonly PartitionParts[]
  readonly #rows: readonly PartitionRows[]
  readonly #floors: Frontier[]
  #newestDecidedMs = -Infinity
  #isFinal = false

  constructor(options: LogReplayOptions) {
    this.#options = options
    const { begins, sample, ratesOf, readRecord, onCause } = options
    this.#partitions = begins.map((begin) => new ReplayPartition(begin))
    this.#parts = begins.map(() => new PartitionParts(sample))
    this.#rows = begins.map(
      (_, partition) =>
        new PartitionRows({ partition, sample, ratesOf, readRecord, onCause, parts: this.#parts }),
    )
    this.#floors = begins.map(() => ({ nextOffset: 0, labelNextOffset: 0 }))
  }

  addEntries(partition: number, entries: readonly ReplayEntry[]): void {
    this.#partitions[partition]?.addEntries(entries)
  }

  addLabels(partition: number, labels: readonly ReplayLabel[]): void {
    this.#partitions[partition]?.addLabels(labels)
  }

  /** @throws RangeError for a decision batch of an unknown partition. */
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
   * Replays every decision batch that can be, in the order of their decision times as far as it is known. Partial
   * aggregates then rarely are ahead of a frontier, which would make reads more expensive. Returns the number of
   * replayed batches.
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

  /** No more records follow: decision batches no longer wait for the decisions on what they saw of other partitions. */
  finish(): number {
    this.#isFinal = true
    return this.advance()
  }

  /** Number of decision batches that wait for messages. */
  get waitingBatches(): number {
    return this.#partitions.reduce((sum, queue) => sum + queue.blockCount, 0)
  }

  /** Decision time of the oldest waiting decision batch; null when there is none. */
  get oldestWaitingMs(): number | null {
    const times = this.#partitions.flatMap(({ frontBatch }) =>
      frontBatch === null ? [] : [frontBatch.decidedAtMs],
    )
    return times.length === 0 ? null : Math.min(...times)
  }

  /** Decision time of the newest replayed decision batch; null before the first. */
  get newestReplayedMs(): number | null {
    return this.#newestDecidedMs === -Infinity ? null : this.#newestDecidedMs
  }

  /** Cards and partial aggregates in memory. */
  get size(): number {
    const parts = this.#parts.reduce((sum, { size }) => sum + size, 0)
    return parts + this.#rows.reduce((sum, { size }) => sum + size, 0)
  }

  /** Event time from which everything is known; -Infinity for the whole log. */
  get knownFromMs(): number {
    return Math.max(...this.#partitions.map(({ knownFromMs }) => knownFromMs))
  }

  /** The partition with the earliest decision batch that can be replayed; null when there is none. */
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
    // The partition's own aggregates are built as its rows are read, so that they are not ahead of them either.
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

  /** True when all messages up to the frontier are here; for a partial sample, also the decisions about them. */
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

  #build(partition: number, to: Frontier, alignment: Alignment): void {
    const [queue, parts] = [this.#partitions[partition], this.#parts[partition]]
    const floor = this.#floors[partition]
    if (queue === undefined || parts === undefined || floor === undefined) return
    const isAligned = alignment === 'aligned'
    for (const label of queue.takeLabelsBelow(to.labelNextOffset)) {
      parts.takeLabel(label, isAligned, floor)
    }
    for (const entry of queue.nextBelow(to.nextOffset)) {
      parts.take(entry, queue.takeVerdict(entry), isAligned, floor)
    }
  }

  /** Raises the limit of merging in each partition: no later frontier can end below it. */
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

function frontierOf({ nextOffset, labelNextOffset }: Frontier): Frontier {
  return { nextOffset, labelNextOffset }
}
