// Messages that a partition has received and not yet taken: two bounded queues, decoded when taken.

import assert from 'node:assert/strict'
import { deadLetterOf, type RejectReason } from '../../core/dead-letters.ts'
import { partitionOfText } from '../../core/murmur2.ts'
import type { MissingRate, RateTable } from '../../core/rates/rate-table.ts'
import type { FoldOptions } from '../../core/features/engine/partition-fold.ts'
import { AlignedBatch } from '../../core/stream/alignment.ts'
import type { Frontier } from '../../core/stream/partition-progress.ts'
import { redrivenFromOf, type MessagePosition } from '../../core/redrive.ts'
import type { Codecs } from '../../core/wire/codecs.ts'
import type { MessageHeaders } from '../../core/trace-context.ts'
import type { Alignment, DeadLetter } from '../../core/wire/records.ts'
import { systemClock } from '../../platform/clock.ts'
import type { LogRecord } from '../../platform/kafka/log-client.ts'
import type { PartitionEntry, PartitionLabel } from '../batch/fold-batch.ts'

/** Size of a topic's queue above which the partition is paused, in batches of the largest size. */
const QUEUED_BATCHES_MAX = 4

export interface Rejected {
  readonly topic: 'transactions' | 'labels'
  readonly reason: RejectReason
  readonly letter: DeadLetter
  /** Headers of the message, not decoded yet. */
  readonly headers: MessageHeaders | undefined
  /** Position of the original message, when this one was sent again after a dead letter. */
  readonly redrivenFrom: MessagePosition | null
}

/** Messages taken for one micro-batch. The offsets are those to commit with it. */
export interface Taken {
  readonly entries: readonly PartitionEntry[]
  readonly labels: readonly PartitionLabel[]
  readonly rejected: readonly Rejected[]
  readonly firstOffset: number
  readonly nextOffset: number
  readonly labelNextOffset: number
  readonly oldestTimestampMs: number | null
  /** Time at which the newest transaction was added to the queue; null without one. */
  readonly fetchedMs: number | null
}

export interface InboxOptions {
  readonly partition: number
  readonly partitionCount: number
  readonly transactionsTopic: string
  readonly labelsTopic: string
  readonly codecs: Codecs
  /** The table in force; another one in each batch. */
  readonly rates: RateTable
  /** What becomes of a transaction whose currency has no rate. */
  readonly missingRate: MissingRate
  readonly batchSizeMax: number
  readonly alignment: Alignment
  readonly eventAheadMsMax: number
  readonly hmacKey: string
}

/** Options for computing the partition's features. */
export function foldOptionsOf({
  rates,
  codecs,
}: Pick<InboxOptions, 'rates' | 'codecs'>): FoldOptions {
  return {
    rates,
    readRecord: (record) => {
      const decoded = codecs.decodeTransactionMessage(record)
      return decoded.kind === 'transaction' ? decoded.value : null
    },
  }
}

type Outcome = { readonly entry: PartitionEntry } | { readonly rejected: Rejected }

export class RecordQueue {
  readonly #options: InboxOptions
  #transactions: LogRecord[] = []
  #labels: LogRecord[] = []
  /** Arrival times of waiting transactions, each with the offset after its last one, oldest first. */
  #arrivals: { readonly nextOffset: number; readonly atMs: number }[] = []
  #head: { readonly offset: number; readonly outcome: Outcome } | null = null
  #nextOffset: number
  #labelNextOffset: number

  /** Messages below these offsets are already processed, and dropped. */
  constructor(options: InboxOptions, nextOffset: number, labelNextOffset: number) {
    this.#options = options
    this.#nextOffset = nextOffset
    this.#labelNextOffset = labelNextOffset
  }

  /** Offsets up to which everything is taken. */
  get place(): Frontier {
    return { nextOffset: this.#nextOffset, labelNextOffset: this.#labelNextOffset }
  }

  get isEmpty(): boolean {
    return this.#transactions.length === 0 && this.#labels.length === 0
  }

  get hasFullBatch(): boolean {
    return this.#transactions.length >= this.#options.batchSizeMax
  }

  /** Time stamp of the oldest waiting transaction, or null. */
  get oldestTimestampMs(): number | null {
    const first = this.#transactions[0]
    return first?.timestampMs ?? null
  }

  isFull(topic: 'transactions' | 'labels'): boolean {
    const queue = topic === 'transactions' ? this.#transactions : this.#labels
    return queue.length >= QUEUED_BATCHES_MAX * this.#options.batchSizeMax
  }

  /** Adds records. Those below the next expected offset are repeats, and dropped. */
  push(
    topic: 'transactions' | 'labels',
    records: readonly LogRecord[],
    nowMs = systemClock.nowMs(),
  ): void {
    const isTransactions = topic === 'transactions'
    const queue = isTransactions ? this.#transactions : this.#labels
    const last = queue.at(-1)
    const from = isTransactions ? this.#nextOffset : this.#labelNextOffset
    const floor = last === undefined ? from : last.offset + 1
    for (const record of records) if (record.offset >= floor) queue.push(record)
    const newest = queue.at(-1)
    if (isTransactions && newest !== undefined && newest !== last)
      this.#arrivals.push({ nextOffset: newest.offset + 1, atMs: nowMs })
  }

  /**
   * Takes up to a batch of labels, then up to a batch of transactions while `mayGoOn` allows the next one. `mayGoOn`
   * receives the newest label watermark, including the labels just taken. The batch ends before a watermark that
   * `batch` refuses. Null when nothing may be taken.
   */
  take(
    nowMs: number,
    labelWatermarkMs: number,
    mayGoOn: (eventTimeMs: number, labelWatermarkMs: number) => boolean,
    batch = new AlignedBatch(Infinity),
  ): Taken | null {
    const rejected: Rejected[] = []
    const labels = this.#takeLabels(nowMs, rejected)
    let newestLabelWatermarkMs = labelWatermarkMs
    for (const label of labels) {
      if (label.kind !== 'watermark') continue
      newestLabelWatermarkMs = Math.max(newestLabelWatermarkMs, label.timeMs)
    }
    const firstOffset = this.#transactions[0]?.offset ?? this.#nextOffset
    const oldestTimestampMs = this.oldestTimestampMs
    const entries: PartitionEntry[] = []
    let taken = 0
    while (taken < this.#transactions.length && taken < this.#options.batchSizeMax) {
      const message = this.#transactions[taken]
      if (message === undefined) break
      const outcome = this.#decode(message, nowMs)
      if ('rejected' in outcome) rejected.push(outcome.rejected)
      else {
        const { entry } = outcome
        const mayTake =
          entry.kind === 'watermark'
            ? batch.addWatermark(entry.timeMs)
            : mayGoOn(entry.transaction.eventTimeMs, newestLabelWatermarkMs)
        if (!mayTake) {
          // Kept decoded, since it is requested again until the other partitions have caught up.
          this.#head = { offset: entry.offset, outcome }
          break
        }
        if (entry.kind === 'transaction') batch.addTransaction(entry.transaction.eventTimeMs)
        entries.push(entry)
      }
      taken += 1
      this.#nextOffset = message.offset + 1
    }
    this.#transactions = this.#transactions.slice(taken)
    if (taken === 0 && labels.length === 0 && rejected.length === 0) return null
    return {
      entries,
      labels,
      rejected,
      firstOffset: taken === 0 ? this.#nextOffset : firstOffset,
      nextOffset: this.#nextOffset,
      labelNextOffset: this.#labelNextOffset,
      oldestTimestampMs: taken === 0 ? null : oldestTimestampMs,
      fetchedMs: taken === 0 ? null : this.#passArrivals(),
    }
  }

  /** The arrival time of the transaction before the next offset. */
  #passArrivals(): number {
    const atMs = this.#arrivals.find(({ nextOffset }) => nextOffset >= this.#nextOffset)?.atMs
    this.#arrivals = this.#arrivals.filter(({ nextOffset }) => nextOffset > this.#nextOffset)
    assert(atMs !== undefined, 'a transaction that was taken was added before')
    return atMs
  }

  #takeLabels(nowMs: number, rejected: Rejected[]): readonly PartitionLabel[] {
    const taken = this.#labels.splice(0, this.#options.batchSizeMax)
    const labels: PartitionLabel[] = []
    for (const message of taken) {
      const { offset, refused } = message
      this.#labelNextOffset = offset + 1
      const decoded =
        refused !== null
          ? ({ kind: 'reject', reason: refused, field: null } as const)
          : this.#options.codecs.decodeLabelMessage(message.value)
      if (decoded.kind === 'watermark') {
        labels.push({ kind: 'watermark', offset, timeMs: decoded.timeMs })
      } else if (decoded.kind === 'reject') {
        rejected.push(this.#reject('labels', message, decoded.reason, decoded.field, nowMs))
      } else if (!this.#isOurs(decoded.value.card)) {
        rejected.push(this.#reject('labels', message, 'wrong_partition', 'card', nowMs))
      } else {
        labels.push({ kind: 'label', offset, label: decoded.value })
      }
    }
    return labels
  }

  #decode(message: LogRecord, nowMs: number): Outcome {
    const { offset, timestampMs, refused } = message
    if (this.#head?.offset === offset) return this.#head.outcome
    const reject = (reason: RejectReason, field: string | null): Outcome => ({
      rejected: this.#reject('transactions', message, reason, field, nowMs),
    })
    if (refused !== null) return reject(refused, null)
    const decoded = this.#options.codecs.decodeTransactionMessage(message.value)
    if (decoded.kind === 'reject') return reject(decoded.reason, decoded.field)
    if (decoded.kind === 'watermark') {
      return { entry: { kind: 'watermark', offset, timeMs: decoded.timeMs } }
    }
    const transaction = decoded.value
    const { eventTimeMs, currency, amountMinor } = transaction
    if (!this.#isOurs(transaction.card)) return reject('wrong_partition', 'card')
    const { rates, missingRate } = this.#options
    if (
      missingRate === 'dead_letter' &&
      rates.toReferenceMinor(amountMinor, currency, eventTimeMs) === null
    )
      return reject('unknown_currency', 'currency')
    // The sender also sets the message's time stamp. Live, nothing may be ahead of our own clock either.
    const { alignment, eventAheadMsMax } = this.#options
    const sentMs = alignment === 'live' ? Math.min(timestampMs, nowMs) : timestampMs
    if (eventTimeMs > sentMs + eventAheadMsMax) {
      return reject('event_time_ahead', 'eventTimeMs')
    }
    return {
      entry: {
        kind: 'transaction',
        offset,
        timestampMs,
        transaction,
        record: message.value,
        headers: message.headers,
      },
    }
  }

  #isOurs(card: string): boolean {
    const { partition, partitionCount } = this.#options
    return partitionOfText(card, partitionCount) === partition
  }

  #reject(
    topic: 'transactions' | 'labels',
    message: LogRecord,
    reason: RejectReason,
    field: string | null,
    nowMs: number,
  ): Rejected {
    const { partition, transactionsTopic, labelsTopic, hmacKey } = this.#options
    const raw = {
      topic: topic === 'transactions' ? transactionsTopic : labelsTopic,
      partition,
      offset: message.offset,
      timestampMs: message.timestampMs,
      value: message.value,
    }
    const { headers } = message
    const letter = deadLetterOf(raw, reason, field, hmacKey, nowMs)
    return { topic, reason, letter, headers, redrivenFrom: redrivenFromOf(headers, raw.topic) }
  }
}
