// Checks the decision batches of one run: they must be complete, in order and linked by their hashes. Otherwise the
// figure is invalid.

import { randomUUID } from 'node:crypto'
import type { Kafka, KafkaMessage } from 'kafkajs'
import { batchHashOf } from '../../services/core/audit/batch-hash.ts'
import type { Codecs } from '../../services/core/wire/codecs.ts'
import type { DecisionBatch } from '../../services/core/wire/records.ts'
import type { Closable } from '../../services/platform/lifecycle.ts'

/** Problems beyond this many are only counted: one mistake tends to repeat itself. */
const PROBLEMS_MAX = 20

interface PartitionBooks {
  nextOffset: number
  chainHash: string
}

export interface LedgerSummary {
  readonly batchCount: number
  readonly decisions: number
  readonly scored: number
  readonly deadLetters: number
  readonly watermarks: number
  /** Decisions that a policy in mode `flag` publishes as an alert. */
  readonly alertsDue: number
  /** Backends and model versions named in the batches; one each unless something changed on the way. */
  readonly backends: readonly string[]
  readonly modelVersions: readonly string[]
  /** Time stamps of the records of the first and the last batch, milliseconds; null without batches. */
  readonly firstBatchMs: number | null
  readonly lastBatchMs: number | null
  /** Offsets answered by batches with the first time stamp: they are outside the measured time. */
  readonly offsetsInFirstMs: number
  /** Faults of the batches, as sentences; empty when there are none. */
  readonly problems: readonly string[]
}

/** Takes each partition's batches in order. */
export class BatchLedger {
  readonly #codecs: Pick<Codecs, 'decisionBatch'>
  readonly #partitions = new Map<number, PartitionBooks>()
  readonly #backends = new Set<string>()
  readonly #modelVersions = new Set<string>()
  readonly #problems: string[] = []
  readonly #answeredAt = new Map<number, number>()
  #problemCount = 0
  #batches = 0
  #decisions = 0
  #scored = 0
  #deadLetters = 0
  #watermarks = 0
  #alertsDue = 0

  constructor(codecs: Pick<Codecs, 'decisionBatch'>) {
    this.#codecs = codecs
  }

  /** The first input offset of a partition that no batch has answered yet. */
  nextOffset(partition: number): number {
    return this.#partitions.get(partition)?.nextOffset ?? 0
  }

  /** Returns the batch; null if it cannot be decoded. */
  add(partition: number, value: Buffer | null, timestampMs: number): DecisionBatch | null {
    const decoded = this.#codecs.decisionBatch.decode(value)
    this.#batches += 1
    if (!decoded.ok) {
      this.#report(`Partition ${partition}: a batch cannot be read (${decoded.reason}).`)
      return null
    }
    const batch = decoded.value
    this.#check(partition, batch)
    this.#count(batch)
    const answered = batch.nextOffset - batch.firstOffset
    this.#answeredAt.set(timestampMs, (this.#answeredAt.get(timestampMs) ?? 0) + answered)
    this.#partitions.set(partition, {
      nextOffset: batch.nextOffset,
      chainHash: batchHashOf(batch).toString('base64'),
    })
    return batch
  }

  summary(): LedgerSummary {
    const times = [...this.#answeredAt.keys()]
    const firstBatchMs = times.length === 0 ? null : times.reduce((a, b) => Math.min(a, b))
    const more = this.#problemCount - this.#problems.length
    return {
      batchCount: this.#batches,
      decisions: this.#decisions,
      scored: this.#scored,
      deadLetters: this.#deadLetters,
      watermarks: this.#watermarks,
      alertsDue: this.#alertsDue,
      backends: [...this.#backends],
      modelVersions: [...this.#modelVersions],
      firstBatchMs,
      lastBatchMs: times.length === 0 ? null : times.reduce((a, b) => Math.max(a, b)),
      offsetsInFirstMs: this.#answeredAt.get(firstBatchMs ?? -1) ?? 0,
      problems: more > 0 ? [...this.#problems, `And ${more} more.`] : this.#problems,
    }
  }

  #check(partition: number, batch: DecisionBatch): void {
    const { firstOffset, nextOffset, decisions, deadLetterOffsets, watermarks } = batch
    const where = `Partition ${partition}, batch ${firstOffset} to ${nextOffset}`
    const ledger = this.#partitions.get(partition)
    const due = ledger?.nextOffset ?? 0
    if (firstOffset !== due) this.#report(`${where}: ${due} was to come next.`)
    const previous = Buffer.from(batch.previousHash).toString('base64')
    if (previous !== (ledger?.chainHash ?? '')) {
      this.#report(`${where}: its hash of the previous batch differs.`)
    }
    const answers = decisions.length + deadLetterOffsets.length + watermarks
    if (answers !== nextOffset - firstOffset) {
      this.#report(`${where}: ${answers} answers for ${nextOffset - firstOffset} offsets.`)
    }
    let last = firstOffset - 1
    for (const { offset } of decisions) {
      if (offset <= last || offset >= nextOffset) {
        this.#report(`${where}: decision ${offset} is out of order or of its range.`)
      }
      last = offset
    }
  }

  #count(batch: DecisionBatch): void {
    this.#decisions += batch.decisions.length
    this.#deadLetters += batch.deadLetterOffsets.length
    this.#watermarks += batch.watermarks
    this.#backends.add(batch.backend)
    this.#modelVersions.add(batch.modelVersion)
    for (const { outcome, score, duplicateOfOffset } of batch.decisions) {
      if (score !== null) this.#scored += 1
      if (outcome !== 'approve' && duplicateOfOffset === null) this.#alertsDue += 1
    }
  }

  #report(problem: string): void {
    this.#problemCount += 1
    if (this.#problems.length < PROBLEMS_MAX) this.#problems.push(problem)
  }
}

// Reads one topic from its beginning, all partitions, in a group of its own that is deleted afterwards.

const FETCH_WAIT_MS = 100
const PARTITIONS_CONCURRENT = 4

export interface TopicReader extends Closable {
  /** Never resolves; rejects when the reader has crashed, or `onMessages` has thrown. */
  readonly failed: Promise<never>
}

/**
 * Resolves once the reader has its partitions. Only committed messages are handed over, one call at a time for
 * each partition, with the time at which they arrived here.
 */
export async function openTopicReader(
  kafka: Kafka,
  topic: string,
  onMessages: (partition: number, messages: readonly KafkaMessage[], arrivedMs: number) => void,
): Promise<TopicReader> {
  const groupId = `sluice-bench-reader-${randomUUID()}`
  const consumer = kafka.consumer({
    groupId,
    maxWaitTimeInMs: FETCH_WAIT_MS,
    readUncommitted: false,
    allowAutoTopicCreation: false,
  })
  await consumer.connect()
  await consumer.subscribe({ topics: [topic], fromBeginning: true })
  let reject: (error: Error) => void = () => undefined
  const failed = new Promise<never>((_, onReject) => {
    reject = onReject
  })
  // A caller that awaits it sees the rejection; none has to.
  failed.catch(() => undefined)
  consumer.on(consumer.events.CRASH, ({ payload }) => {
    if (!payload.restart) reject(payload.error)
  })
  const joined = new Promise<void>((resolve) => {
    consumer.on(consumer.events.GROUP_JOIN, () => {
      resolve()
    })
  })
  await consumer.run({
    autoCommit: false,
    partitionsConsumedConcurrently: PARTITIONS_CONCURRENT,
    eachBatch: ({ batch }) => {
      const arrivedMs = performance.timeOrigin + performance.now()
      try {
        onMessages(batch.partition, batch.messages, arrivedMs)
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)))
      }
      return Promise.resolve()
    },
  })
  await Promise.race([joined, failed])
  return {
    failed,
    close: async () => {
      await consumer.disconnect()
      const admin = kafka.admin()
      await admin.connect()
      await admin.deleteGroups([groupId]).catch(() => undefined)
      await admin.disconnect()
    },
  }
}
