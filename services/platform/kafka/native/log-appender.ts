// Appends records to the partitions of one topic, each acknowledged by all replicas, with the least delay.
//
// A broker has one request in flight; records that arrive meanwhile go together in the next one. Each partition has a
// producer id and counts its batches, so that a batch that is repeated after a lost answer is appended once. A producer
// id that the broker no longer accepts is replaced; then a batch whose answer was lost may be appended a second time,
// and readers must recognise its records by their ids.

import assert from 'node:assert/strict'
import { setTimeout as sleepMs } from 'node:timers/promises'
import { SluiceError } from '../../../core/errors.ts'
import { within } from '../../within.ts'
import { kafkaRefusal } from '../kafka-failure.ts'
import type { Cluster } from './cluster.ts'
import { type ErrorName, KafkaAnswerError } from './kafka-errors.ts'
import {
  encodeRecords,
  type EncodedRecords,
  type OutgoingRecord,
  sealBatch,
} from './record-batch.ts'
import {
  INIT_PRODUCER_ID,
  type PartitionBatch,
  PRODUCE,
  type ProduceResult,
  type ProducerIdentity,
} from './transaction-requests.ts'

/** Least time between the starts of two requests to one broker: each costs it the same, however little it carries. */
const REQUEST_INTERVAL_MS = 2
/** Below the request time-out of the connection, so that the broker can report lagging replicas. */
const PRODUCE_TIMEOUT_MS = 5_000
/** By default a broker accepts 1 MB per batch (`message.max.bytes`). */
const BATCH_BYTES_MAX = 900_000
const RECORD_OVERHEAD_BYTES = 512
/** Records in memory: waiting ones and those of the requests in flight. */
const RECORDS_MAX = 20_000
const BYTES_MAX = 64 * 1024 * 1024
/** A record without an acknowledgement after this time is given up. */
const DELIVERY_MS_MAX = 30_000
const RETRY_MS_FIRST = 10
const RETRY_MS_MAX = 500
const CLOSE_MS_MAX = 5_000
const SEQUENCE_END = 2 ** 31

/** Answers after which the batch is not appended, or may be, and the same batch is sent again. */
const PASSING: ReadonlySet<ErrorName> = new Set([
  'NOT_LEADER_OR_FOLLOWER',
  'LEADER_NOT_AVAILABLE',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'REQUEST_TIMED_OUT',
  'NETWORK_EXCEPTION',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'KAFKA_STORAGE_ERROR',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
])

/** Answers after which the partition needs another producer id. */
const IDENTITY_LOST: ReadonlySet<ErrorName> = new Set([
  'OUT_OF_ORDER_SEQUENCE_NUMBER',
  'UNKNOWN_PRODUCER_ID',
  'INVALID_PRODUCER_EPOCH',
  'INVALID_PRODUCER_ID_MAPPING',
])

interface Waiting {
  readonly record: OutgoingRecord
  readonly bytes: number
  readonly giveUpMs: number
  /** With the record's offset; -1 when the broker no longer knows it. */
  readonly resolve: (offset: number) => void
  readonly reject: (error: SluiceError) => void
}

/** A batch that is in flight, or is sent again. */
interface Piece {
  readonly waiting: readonly Waiting[]
  readonly records: EncodedRecords
}

interface PartitionQueue {
  readonly partition: number
  waiting: Waiting[]
  piece: Piece | null
  /** Null before the first batch, and after the broker refused it. */
  identity: ProducerIdentity | null
  sequence: number
  isBusy: boolean
  /** Not before this time, after a failure. */
  retryAtMs: number
  retryMs: number
}

export interface LogAppenderOptions {
  readonly cluster: Cluster
  readonly topic: string
  /** Called when sending fails and is tried again, so that it can be logged. */
  readonly onRetry: (error: unknown) => void
}

export class LogAppender {
  readonly #options: LogAppenderOptions
  readonly #queues = new Map<number, PartitionQueue>()
  readonly #inFlight = new Set<number>()
  readonly #startedMs = new Map<number, number>()
  #count = 0
  #bytes = 0
  #isPlanned = false
  #isClosed = false
  #onEmpty: (() => void) | null = null

  constructor(options: LogAppenderOptions) {
    this.#options = options
  }

  /** Records that are not acknowledged yet. */
  get waitingCount(): number {
    return this.#count
  }

  /**
   * Appends a record and resolves with its offset. @throws SluiceError SLUICE_BROKER_UNAVAILABLE when it was not
   * acknowledged in time (it may have been appended) or too many records wait, SLUICE_ACCESS_DENIED without the right.
   */
  append(partition: number, record: OutgoingRecord): Promise<number> {
    const bytes = sizeOf(record)
    if (this.#isClosed) return Promise.reject(this.#unavailable('the writer is closed'))
    if (this.#count >= RECORDS_MAX || this.#bytes + bytes > BYTES_MAX)
      return Promise.reject(this.#unavailable(`${this.#count} records wait already`))
    this.#count += 1
    this.#bytes += bytes
    return new Promise((resolve, reject) => {
      const giveUpMs = performance.now() + DELIVERY_MS_MAX
      this.#queueOf(partition).waiting.push({ record, bytes, giveUpMs, resolve, reject })
      this.#plan()
    })
  }

  /** Waits for acknowledgements, for a bounded time; later calls of `append` are refused. */
  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#count > 0) {
      const emptied = new Promise<void>((resolve) => {
        this.#onEmpty = resolve
      })
      await within(CLOSE_MS_MAX, emptied).catch(() => undefined)
    }
    for (const queue of this.#queues.values())
      this.#giveUp(queue, 'the writer was closed', Infinity)
  }

  #queueOf(partition: number): PartitionQueue {
    const known = this.#queues.get(partition)
    if (known !== undefined) return known
    const queue: PartitionQueue = {
      partition,
      waiting: [],
      piece: null,
      identity: null,
      sequence: 0,
      isBusy: false,
      retryAtMs: 0,
      retryMs: RETRY_MS_FIRST,
    }
    this.#queues.set(partition, queue)
    return queue
  }

  /** Records that are appended in the same turn of the event loop go together. */
  #plan(): void {
    if (this.#isPlanned) return
    this.#isPlanned = true
    setImmediate(() => {
      this.#isPlanned = false
      void this.#sendDue()
    })
  }

  async #sendDue(): Promise<void> {
    const nowMs = performance.now()
    const due: PartitionQueue[] = []
    for (const queue of this.#queues.values()) {
      this.#giveUp(queue, 'no broker acknowledged it in time', nowMs)
      const hasContent = queue.piece !== null || queue.waiting.length > 0
      if (hasContent && !queue.isBusy && queue.retryAtMs <= nowMs) due.push(queue)
    }
    const byLeader = new Map<number, PartitionQueue[]>()
    for (const queue of due) {
      queue.isBusy = true
      const leader = await this.#leaderOf(queue)
      const ofLeader = leader === null ? undefined : byLeader.get(leader)
      if (ofLeader !== undefined) ofLeader.push(queue)
      else if (leader !== null) byLeader.set(leader, [queue])
    }
    for (const [leader, queues] of byLeader) {
      if (this.#inFlight.has(leader)) for (const queue of queues) queue.isBusy = false
      else void this.#sendTo(leader, queues)
    }
  }

  async #leaderOf(queue: PartitionQueue): Promise<number | null> {
    const { cluster, topic } = this.#options
    try {
      queue.identity ??= await this.#newIdentity(queue)
      return await cluster.leaderOf(topic, queue.partition)
    } catch (error) {
      this.#fail(queue, error)
      return null
    }
  }

  async #newIdentity(queue: PartitionQueue): Promise<ProducerIdentity> {
    const body = { transactionalId: null, timeoutMs: PRODUCE_TIMEOUT_MS }
    const answer = await this.#options.cluster.sendToAny(INIT_PRODUCER_ID, body)
    if (answer.error !== 'NONE')
      throw new KafkaAnswerError('InitProducerId', answer.error, this.#options.topic)
    queue.sequence = 0
    return { producerId: answer.producerId, epoch: answer.epoch }
  }

  async #sendTo(leader: number, queues: readonly PartitionQueue[]): Promise<void> {
    this.#inFlight.add(leader)
    try {
      const waitMs = (this.#startedMs.get(leader) ?? 0) + REQUEST_INTERVAL_MS - performance.now()
      if (waitMs > 0) await sleepMs(waitMs)
      this.#startedMs.set(leader, performance.now())
      const results = await this.#options.cluster.send(leader, 'append', PRODUCE.v1, {
        transactionalId: null,
        timeoutMs: PRODUCE_TIMEOUT_MS,
        batches: queues.map((queue) => this.#batchOf(queue)),
      })
      const byPartition = new Map(results.map((result) => [result.partition, result]))
      for (const queue of queues) this.#take(queue, byPartition.get(queue.partition))
    } catch (error) {
      for (const queue of queues) this.#fail(queue, error)
    } finally {
      this.#inFlight.delete(leader)
      if (this.#count > 0) this.#plan()
    }
  }

  #batchOf(queue: PartitionQueue): PartitionBatch {
    const { partition, identity, sequence } = queue
    assert(identity !== null, 'a partition has its producer id before it is sent')
    queue.piece ??= takePiece(queue)
    const producer = { ...identity, baseSequence: sequence, isTransactional: false }
    return {
      topic: this.#options.topic,
      partition,
      batch: sealBatch(queue.piece.records, producer),
    }
  }

  #take(queue: PartitionQueue, result: ProduceResult | undefined): void {
    const { topic, cluster } = this.#options
    const about = `${topic}/${queue.partition}`
    const error = result?.error ?? 'UNKNOWN_SERVER_ERROR'
    const { piece } = queue
    assert(piece !== null, 'an answer belongs to a batch')
    if (error === 'NONE' || error === 'DUPLICATE_SEQUENCE_NUMBER') {
      const base = error === 'NONE' ? (result?.baseOffset ?? -1) : -1
      queue.piece = null
      queue.isBusy = false
      queue.retryMs = RETRY_MS_FIRST
      queue.sequence = (queue.sequence + piece.waiting.length) % SEQUENCE_END
      this.#forget(piece.waiting)
      for (const [index, { resolve }] of piece.waiting.entries())
        resolve(base < 0 ? -1 : base + index)
      return
    }
    const failure = new KafkaAnswerError('Produce', error, about)
    if (IDENTITY_LOST.has(error)) queue.identity = null
    else if (PASSING.has(error)) cluster.forgetTopic(topic)
    else {
      queue.piece = null
      queue.isBusy = false
      // The broker refuses this batch for good; the next one has another producer id, so its number fits.
      queue.identity = null
      this.#reject(piece.waiting, kafkaRefusal(failure) ?? this.#unavailable(failure.message))
      return
    }
    this.#fail(queue, failure)
  }

  /** The batch of the partition, if it has one, is sent again later. */
  #fail(queue: PartitionQueue, error: unknown): void {
    queue.isBusy = false
    this.#options.onRetry(error)
    const closed = this.#isClosed ? this.#unavailable('the writer was closed') : null
    const refusal = kafkaRefusal(error) ?? closed
    if (refusal !== null) {
      const refused = [...(queue.piece?.waiting ?? []), ...queue.waiting]
      queue.piece = null
      queue.waiting = []
      queue.identity = null
      this.#reject(refused, refusal)
      return
    }
    this.#options.cluster.forgetTopic(this.#options.topic)
    queue.retryAtMs = performance.now() + queue.retryMs
    setTimeout(() => {
      this.#plan()
    }, queue.retryMs)
    queue.retryMs = Math.min(queue.retryMs * 2, RETRY_MS_MAX)
  }

  /** Gives up records that waited too long, unless their batch is in flight. */
  #giveUp(queue: PartitionQueue, why: string, nowMs: number): void {
    const { piece } = queue
    const isPieceLate = piece?.waiting.some(({ giveUpMs }) => giveUpMs <= nowMs) === true
    if (isPieceLate && !queue.isBusy) {
      queue.piece = null
      // Its number may be used or not.
      queue.identity = null
      this.#reject(piece.waiting, this.#unavailable(why))
    }
    const late = queue.waiting.findIndex(({ giveUpMs }) => giveUpMs > nowMs)
    if (late === 0 || queue.waiting.length === 0) return
    const given = queue.waiting.splice(0, late === -1 ? queue.waiting.length : late)
    this.#reject(given, this.#unavailable(why))
  }

  #reject(waiting: readonly Waiting[], error: SluiceError): void {
    this.#forget(waiting)
    for (const { reject } of waiting) reject(error)
  }

  #forget(waiting: readonly Waiting[]): void {
    this.#count -= waiting.length
    for (const { bytes } of waiting) this.#bytes -= bytes
    if (this.#count === 0) this.#onEmpty?.()
  }

  #unavailable(why: string): SluiceError {
    return new SluiceError(
      'SLUICE_BROKER_UNAVAILABLE',
      `A record of ${this.#options.topic} may not be written: ${why}; check that the brokers run.`,
    )
  }
}

function takePiece(queue: PartitionQueue): Piece {
  let bytes = 0
  let count = 0
  for (const waiting of queue.waiting) {
    bytes += waiting.bytes
    if (count > 0 && bytes > BATCH_BYTES_MAX) break
    count += 1
  }
  const waiting = queue.waiting.splice(0, count)
  const records = waiting.map(({ record }) => record)
  return { waiting, records: encodeRecords(records, Date.now()) }
}

/** Upper bound of the bytes of a record in a batch. */
function sizeOf({ key, value, headers }: OutgoingRecord): number {
  let bytes = RECORD_OVERHEAD_BYTES + (key?.length ?? 0) + (value?.length ?? 0)
  for (const [name, text] of Object.entries(headers ?? {})) bytes += name.length + text.length
  return bytes
}
