// Unconsumed input of a replay from one partition: messages, labels and decision batches, in order.

import type { Frontier } from '../state/entity-part.ts'
import type { Verdict } from './replay-parts.ts'
import type { RecordedBatch, ReplayEntry, ReplayLabel } from './replay-records.ts'

/** Most waiting messages and decisions per partition; more than two of the largest batches, see log-replay.ts. */
export const REPLAY_WAITING_MAX = 16_384

/** Position at which reading begins. */
export interface PartitionBegin extends Frontier {
  /** True when this is the very beginning of the partition's log. */
  readonly isWhole: boolean
  /** End of the transactions when reading began: the partition is known to have input up to here. */
  readonly endOffset: number
}

const NOTHING: Frontier = { nextOffset: 0, labelNextOffset: 0 }
const LEFT_OUT: readonly string[] = ['behind_reach', 'after_watermark']

export class ReplayPartition {
  readonly #begin: PartitionBegin
  /** Entries from the next row on; the first `#built` of them are already in the partial aggregates. */
  #entries: ReplayEntry[] = []
  #built = 0
  #labels: ReplayLabel[] = []
  readonly #blocks: RecordedBatch[] = []
  #waitingDecisions = 0
  #receivedTo: number
  #labelsReceivedTo: number
  #coveredTo = 0
  readonly #verdicts = new Map<number, Verdict>()
  readonly #lastFrontiers = new Map<number, Frontier>()
  /** Positions of the partition with their times: newest last, and one that is older than the margin. */
  readonly #positions: { readonly decidedAtMs: number; readonly at: Frontier }[] = []
  #firstEventMs = Infinity

  constructor(begin: PartitionBegin) {
    this.#begin = begin
    this.#receivedTo = begin.nextOffset
    this.#labelsReceivedTo = begin.labelNextOffset
  }

  /** Nothing before this event time is known; -Infinity when everything is. */
  get knownFromMs(): number {
    return this.#begin.isWhole ? -Infinity : this.#firstEventMs
  }

  get blockCount(): number {
    return this.#blocks.length
  }

  get frontBatch(): RecordedBatch | null {
    return this.#blocks[0] ?? null
  }

  /** Decisions are known below this offset. */
  get coveredTo(): number {
    return this.#coveredTo
  }

  /** True when nothing waits, nothing more is known to come, and the last decision batch is older than this time. */
  isIdleSince(timeMs: number): boolean {
    if (this.#entries.length > 0 || this.#receivedTo < this.#begin.endOffset) return false
    return (this.#positions.at(-1)?.decidedAtMs ?? -Infinity) <= timeMs
  }

  /** Messages that were added before, as after a reconnection, are dropped. */
  addEntries(entries: readonly ReplayEntry[]): void {
    for (const entry of entries) {
      if (entry.offset < this.#receivedTo) continue
      this.#entries.push(entry)
      this.#receivedTo = entry.offset + 1
      if (this.#firstEventMs === Infinity && entry.kind === 'transaction') {
        this.#firstEventMs = entry.transaction.eventTimeMs
      }
    }
  }

  addLabels(labels: readonly ReplayLabel[]): void {
    for (const label of labels) {
      if (label.offset < this.#labelsReceivedTo) continue
      this.#labels.push(label)
      this.#labelsReceivedTo = label.offset + 1
    }
  }

  addBatch(block: RecordedBatch): void {
    // A decision batch without new offsets was added before. One that only covers labels ends where the last one did.
    const last = this.#blocks.at(-1)?.nextOffset ?? this.#coveredTo
    if (block.nextOffset < last) return
    this.#blocks.push(block)
    this.#waitingDecisions += block.decisions.length
    this.#coveredTo = block.nextOffset
    for (const { offset, revision, duplicateOfOffset, annotations } of block.decisions) {
      if (revision > 0) continue
      if (duplicateOfOffset !== null || annotations.some((each) => LEFT_OUT.includes(each))) {
        this.#verdicts.set(offset, 'left_out')
      } else if (annotations.includes('no_rate')) this.#verdicts.set(offset, 'no_rate')
      else if (annotations.includes('degraded')) this.#verdicts.set(offset, 'undecided')
    }
    for (const offset of block.deadLetterOffsets) this.#verdicts.set(offset, 'refused')
  }

  isFull(kind: 'transactions' | 'labels' | 'decisions'): boolean {
    if (kind === 'transactions') return this.#entries.length >= REPLAY_WAITING_MAX
    if (kind === 'labels') return this.#labels.length >= REPLAY_WAITING_MAX
    return Math.max(this.#waitingDecisions, this.#blocks.length) >= REPLAY_WAITING_MAX
  }

  /** The scorer read the last message below a frontier, so the log holds it, or retention has removed it. */
  hasReceived({ nextOffset, labelNextOffset }: Frontier): boolean {
    return this.#receivedTo >= nextOffset && this.#labelsReceivedTo >= labelNextOffset
  }

  /** Entries below this offset that are not in the partial aggregates yet; each is returned once. */
  *nextBelow(nextOffset: number): Generator<ReplayEntry> {
    for (;;) {
      const entry = this.#entries[this.#built]
      if (entry === undefined || entry.offset >= nextOffset) return
      this.#built += 1
      yield entry
    }
  }

  takeLabelsBelow(labelNextOffset: number): readonly ReplayLabel[] {
    const end = this.#labels.findIndex(({ offset }) => offset >= labelNextOffset)
    const taken = end < 0 ? this.#labels : this.#labels.slice(0, end)
    this.#labels = end < 0 ? [] : this.#labels.slice(end)
    return taken
  }

  /** A transaction that is not decided yet is believed to be remembered if it has a rate. */
  takeVerdict(entry: ReplayEntry): Verdict {
    const { offset } = entry
    const isGuess = offset >= this.#coveredTo && entry.kind === 'transaction'
    const verdict =
      this.#verdicts.get(offset) ?? (isGuess && entry.hasRate === false ? 'no_rate' : 'counted')
    this.#verdicts.delete(offset)
    return verdict
  }

  /** Entries below this offset; they stay until their decision batch is replayed. */
  entriesBelow(nextOffset: number): readonly ReplayEntry[] {
    const end = this.#entries.findIndex(({ offset }) => offset >= nextOffset)
    return end < 0 ? this.#entries.slice() : this.#entries.slice(0, end)
  }

  /** Removes the front decision batch; its entries are in the partial aggregates. */
  replayed(block: RecordedBatch): void {
    const count = this.entriesBelow(block.nextOffset).length
    this.#entries = this.#entries.slice(count)
    this.#built -= count
    this.#blocks.shift()
    this.#waitingDecisions -= block.decisions.length
    for (const frontier of block.frontier) this.#lastFrontiers.set(frontier.partition, frontier)
    const { decidedAtMs, nextOffset, labelNextOffset } = block
    this.#positions.push({ decidedAtMs, at: { nextOffset, labelNextOffset } })
  }

  /** Position of the partition at that time, by the clock of its batches. */
  replayedBy(timeMs: number): Frontier {
    while ((this.#positions[1]?.decidedAtMs ?? Infinity) <= timeMs) this.#positions.shift()
    const first = this.#positions[0]
    return first !== undefined && first.decidedAtMs <= timeMs ? first.at : NOTHING
  }

  lastFrontierOf(partition: number): Frontier {
    return this.#lastFrontiers.get(partition) ?? NOTHING
  }
}
