// Reads partitions by Fetch, with one loop per broker. A partition is fetched only when none of its records wait to be
// passed on, so that memory is bounded by one fetch per partition. Its records are passed on in pieces.

import { setImmediate as nextTurn, setTimeout as sleepMs } from 'node:timers/promises'
import { SluiceError } from '../../../core/errors.ts'
import type { Logger } from '../../log.ts'
import type { FetchedRecords, LogFault, LogReader } from '../log-client.ts'
import { offsetOutOfRange } from '../log-ends.ts'
import type { Cluster } from './cluster.ts'
import { FETCH, type FetchedPartition } from './fetch-requests.ts'
import { type ErrorName, KafkaAnswerError } from './kafka-errors.ts'
import { RecordCursor } from './record-cursor.ts'

/** Longest wait of a broker for records. A partition that joins during a fetch waits this long before it is fetched. */
const WAIT_MS_MAX = 50
/** Least time between the starts of two fetches: each costs the broker the same, however little it returns. */
const FETCH_INTERVAL_MS = 4
const FETCH_BYTES_MAX = 16 * 1024 * 1024
export const PARTITION_BYTES = 1024 * 1024
/** A batch that does not fit is fetched again with a larger limit, up to this. */
const PARTITION_BYTES_MAX = 32 * 1024 * 1024
/** Most records per call of `onRecords`. */
const RECORDS_MAX = 2_048
const RETRY_MS_FIRST = 10
const RETRY_MS_MAX = 500

/** Answers after which the leader is looked up again. */
const MOVED: ReadonlySet<ErrorName> = new Set([
  'NOT_LEADER_OR_FOLLOWER',
  'LEADER_NOT_AVAILABLE',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'REPLICA_NOT_AVAILABLE',
  'OFFSET_NOT_AVAILABLE',
  'KAFKA_STORAGE_ERROR',
  'UNKNOWN_TOPIC_OR_PARTITION',
])

export interface NativeLogReaderOptions {
  readonly cluster: Cluster
  readonly log: Logger
  /** Called with records as they arrive; never waits. */
  readonly onRecords: (fetched: FetchedRecords) => void
  /** Called once for a partition that cannot be read, which is then abandoned. */
  readonly onFault: (topic: string, partition: number, fault: LogFault, error: SluiceError) => void
}

/** A partition that is read. A seek replaces the object, so that fetches for the earlier position are recognised. */
interface ReadPartition {
  readonly topic: string
  readonly partition: number
  /** The topic's id when the partition was first read. Another id means that the topic was recreated. */
  topicId: string | null
  offset: number
  /** Bytes to fetch at a time. */
  bytesMax: number
  isPaused: boolean
  /** True while it is being fetched, or its records are being passed on. */
  isBusy: boolean
  /** Fetched records that are not passed on yet. */
  cursor: RecordCursor | null
  ends: Pick<FetchedRecords, 'highWatermark' | 'lastStableOffset'>
}

export class NativeLogReader implements LogReader {
  readonly #options: NativeLogReaderOptions
  readonly #partitions = new Map<string, ReadPartition>()
  readonly #loops = new Map<number, Promise<void>>()
  readonly #topicIds = new Map<string, string>()
  #finding: Promise<void> | null = null
  /** True when a partition may have no loop: leaders are looked up again after the running look-up. */
  #isWoken = false
  #isClosed = false

  constructor(options: NativeLogReaderOptions) {
    this.#options = options
  }

  seek(topic: string, partition: number, offset: number): void {
    const key = keyOf(topic, partition)
    const isPaused = this.#partitions.get(key)?.isPaused ?? false
    this.#partitions.set(key, {
      topic,
      partition,
      topicId: this.#partitions.get(key)?.topicId ?? this.#topicIds.get(topic) ?? null,
      offset,
      bytesMax: PARTITION_BYTES,
      isPaused,
      isBusy: false,
      cursor: null,
      ends: { highWatermark: -1, lastStableOffset: -1 },
    })
    this.#wake()
  }

  pause(topic: string, partition: number): void {
    const read = this.#partitions.get(keyOf(topic, partition))
    if (read !== undefined) read.isPaused = true
  }

  resume(topic: string, partition: number): void {
    const read = this.#partitions.get(keyOf(topic, partition))
    if (read === undefined) return
    if (!read.isPaused) return
    read.isPaused = false
    if (read.cursor !== null) void this.#handOver(read)
    this.#wake()
  }

  release(topic: string, partition: number): void {
    this.#partitions.delete(keyOf(topic, partition))
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#partitions.clear()
    await Promise.all([...this.#loops.values(), this.#finding])
  }

  #wake(): void {
    this.#isWoken = true
    this.#finding ??= this.#startLoops().finally(() => {
      this.#finding = null
      if (this.#isWoken && !this.#isClosed) this.#wake()
    })
  }

  async #startLoops(): Promise<void> {
    let retryMs = RETRY_MS_FIRST
    while (this.#isWoken && !this.#isClosed) {
      this.#isWoken = false
      try {
        this.#startMissing(await this.#byLeader())
      } catch (error) {
        this.#isWoken = true
        this.#options.log.warn({ error }, 'Leaders of partitions cannot be found; trying again.')
        await sleepMs(retryMs)
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)
      }
    }
  }

  /** Starts the loop of every broker that leads a partition and has no loop. */
  #startMissing(byLeader: ReadonlyMap<number, unknown>): void {
    for (const node of byLeader.keys()) {
      if (!this.#loops.has(node)) this.#loops.set(node, this.#loop(node))
    }
  }

  /** Partitions by the node that leads them. */
  async #byLeader(): Promise<ReadonlyMap<number, readonly ReadPartition[]>> {
    const { cluster } = this.#options
    const byLeader = new Map<number, ReadPartition[]>()
    for (const read of this.#partitions.values()) {
      const { topicId } = await cluster.topic(read.topic)
      this.#topicIds.set(read.topic, topicId)
      if (read.topicId !== null && read.topicId !== topicId) {
        this.#fail(read, 'topic_recreated', recreated(read))
        continue
      }
      read.topicId = topicId
      const leader = await cluster.leaderOf(read.topic, read.partition)
      const of = byLeader.get(leader)
      if (of === undefined) byLeader.set(leader, [read])
      else of.push(read)
    }
    return byLeader
  }

  async #loop(node: number): Promise<void> {
    let retryMs = RETRY_MS_FIRST
    while (!this.#isClosed) {
      const startMs = performance.now()
      try {
        const byLeader = await this.#byLeader()
        // A partition may have moved to a broker without a loop, while this one still leads others.
        this.#startMissing(byLeader)
        const led = byLeader.get(node)
        if (led === undefined) break
        const wanted = led.filter(({ isPaused, isBusy }) => !isPaused && !isBusy)
        if (wanted.length === 0) await sleepMs(FETCH_INTERVAL_MS)
        else await this.#fetch(node, wanted)
        retryMs = RETRY_MS_FIRST
      } catch (error) {
        if (this.#hasEnded()) return
        this.#options.log.warn({ node, error }, 'A fetch from a broker has failed; trying again.')
        for (const { topic } of this.#partitions.values()) this.#options.cluster.forgetTopic(topic)
        await sleepMs(retryMs)
        retryMs = Math.min(retryMs * 2, RETRY_MS_MAX)
      }
      const leftMs = startMs + FETCH_INTERVAL_MS - performance.now()
      if (leftMs > 0) await sleepMs(leftMs)
    }
    this.#loops.delete(node)
    if (!this.#isClosed && this.#partitions.size > 0) this.#wake()
  }

  async #fetch(node: number, wanted: readonly ReadPartition[]): Promise<void> {
    const byTopic = new Map<string, ReadPartition[]>()
    for (const read of wanted) {
      read.isBusy = true
      const topicId = read.topicId ?? ''
      const of = byTopic.get(topicId)
      if (of === undefined) byTopic.set(topicId, [read])
      else of.push(read)
    }
    try {
      const { error, partitions } = await this.#options.cluster.send(node, 'fetch', FETCH, {
        waitMsMax: WAIT_MS_MAX,
        bytesMax: FETCH_BYTES_MAX,
        topics: [...byTopic].map(([topicId, reads]) => ({ topicId, partitions: reads })),
      })
      if (error !== 'NONE') throw new KafkaAnswerError('Fetch', error, `node ${node}`)
      for (const fetched of partitions) {
        const read = byTopic
          .get(fetched.topicId)
          ?.find(({ partition }) => partition === fetched.partition)
        if (read !== undefined) this.#accept(read, fetched)
      }
    } finally {
      for (const read of wanted) if (read.cursor === null) read.isBusy = false
    }
  }

  /** Handles one partition of an answer: passes on its records, or reports its error. */
  #accept(read: ReadPartition, fetched: FetchedPartition): void {
    if (!this.#isCurrent(read)) return
    const { error, bytes, aborted, highWatermark, lastStableOffset } = fetched
    read.ends = { highWatermark, lastStableOffset }
    if (error === 'NONE') {
      if (bytes === null) this.#tell(read, [])
      else {
        read.cursor = new RecordCursor({ bytes, fromOffset: read.offset, aborted })
        void this.#handOver(read)
      }
      return
    }
    if (error === 'OFFSET_OUT_OF_RANGE') {
      const { topic, partition, offset } = read
      const ends = { low: fetched.logStartOffset, high: highWatermark }
      this.#fail(read, 'offset_out_of_range', offsetOutOfRange(topic, partition, offset, ends))
      return
    }
    if (error === 'UNKNOWN_TOPIC_ID' || error === 'INCONSISTENT_TOPIC_ID' || MOVED.has(error)) {
      // The next round looks up the leader, and compares the topic's id.
      this.#options.cluster.forgetTopic(read.topic)
      return
    }
    throw new KafkaAnswerError('Fetch', error, keyOf(read.topic, read.partition))
  }

  /** Passes on fetched records of a partition in pieces, until it is paused. */
  async #handOver(read: ReadPartition): Promise<void> {
    const { cursor, offset: from } = read
    try {
      while (cursor !== null && !read.isPaused) {
        const records = await cursor.take(RECORDS_MAX)
        if (!this.#isCurrent(read)) return
        read.offset = cursor.nextOffset
        this.#tell(read, records)
        if (cursor.isDone) {
          if (read.offset === from) askForMore(read)
          read.cursor = null
          read.isBusy = false
          return
        }
        // A large batch: give others a turn first.
        await nextTurn()
      }
    } catch (error) {
      this.#fail(read, 'corrupt', corrupt(read, error))
    }
  }

  #tell(read: ReadPartition, records: FetchedRecords['records']): void {
    const { topic, partition, offset: nextOffset, ends } = read
    this.#options.onRecords({ topic, partition, records, nextOffset, ...ends })
  }

  #hasEnded(): boolean {
    return this.#isClosed
  }

  #isCurrent(read: ReadPartition): boolean {
    return this.#partitions.get(keyOf(read.topic, read.partition)) === read
  }

  #fail(read: ReadPartition, fault: LogFault, error: SluiceError): void {
    if (!this.#isCurrent(read)) return
    const { topic, partition } = read
    this.#partitions.delete(keyOf(topic, partition))
    this.#options.onFault(topic, partition, fault, error)
  }
}

type ReadPlace = Pick<ReadPartition, 'topic' | 'partition' | 'offset'>

/** The checksum is wrong, or the bytes are no batch. */
export function corrupt({ topic, partition, offset }: ReadPlace, cause: unknown): SluiceError {
  const problem = cause instanceof Error ? cause.message : String(cause)
  return new SluiceError(
    'SLUICE_LOG_CORRUPT',
    `${topic}-${partition} cannot be read on from offset ${offset}: ${problem}`,
  )
}

export function recreated({ topic, partition, offset }: ReadPlace): SluiceError {
  return new SluiceError(
    'SLUICE_PARTITION_OFFSET_OUT_OF_RANGE',
    `${topic} was deleted and created again, but offset ${offset} of ${topic}-${partition} is next to be decided. ` +
      'Messages would be skipped: reset the group on purpose.',
  )
}

/** Raises the limit for a batch that was cut off. @throws Error when it already is the highest */
export function askForMore(read: { bytesMax: number }): void {
  if (read.bytesMax >= PARTITION_BYTES_MAX) throw new Error('no whole batch stands there.')
  read.bytesMax = Math.min(read.bytesMax * 2, PARTITION_BYTES_MAX)
}

function keyOf(topic: string, partition: number): string {
  return `${topic}/${partition}`
}
