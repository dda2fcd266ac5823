// The log client on kafkajs. kafkajs sends no generation with offsets, so each partition has a transactional id of its
// own: a later owner fences an earlier one by initialising it. Known limits are listed in docs/kafka.md.

import { randomUUID } from 'node:crypto'
import type { Admin, Consumer, EachBatchPayload, Kafka, KafkaMessage } from 'kafkajs'
import { registerCompressionCodecs, REFUSED_KEY } from './compression.ts'
import { coordinatorRefusal } from './coordinator-refusal.ts'
import { openKafka } from './kafka-client.ts'
import { kafkaAway, kafkaRefusal } from './kafka-failure.ts'
import type {
  CommittedOffset,
  Group,
  GroupHandlers,
  LogClient,
  LogClientOptions,
  LogRange,
  LogReader,
  LogRecord,
  LogWriter,
} from './log-client.ts'
import { type LogEnds, offsetOutOfRange, readPartitionEnds } from './log-ends.ts'
import { splitOwner } from './offset-owner.ts'
import { partitionAssigner } from './partition-assigner.ts'
import { readPartitionLog } from './partition-log.ts'
import { searchBackwards } from './search-backwards.ts'
import { openPartitionTransactions } from './partition-transactions.ts'

const RETRY = { initialRetryTime: 50, maxRetryTime: 2_000, retries: 10 } as const
/** Fetches return at once when there is data. This only bounds the delay before a resumed partition is fetched. */
const FETCH_WAIT_MS = 50
const PARTITIONS_CONCURRENT = 16
/** kafkajs commits this offset ("earliest") for a partition whose offset was out of range during a fetch. */
const RESET_BY_KAFKAJS = -2

/** Opens the client, which connects when the group is joined. */
export async function openKafkajsLogClient(options: LogClientOptions): Promise<LogClient> {
  registerCompressionCodecs()
  const kafka = openKafka(
    options.connection,
    { clientId: options.clientId, retry: RETRY },
    options.log,
  )
  const admin = kafka.admin()
  await admin.connect()
  return new KafkajsLogClient(options, kafka, admin)
}

/** Converts a message of kafkajs to a record. */
function logRecordOf({ key, value, offset, timestamp, headers }: KafkaMessage): LogRecord {
  const isRefused = value === null && key?.toString('latin1') === REFUSED_KEY
  return {
    offset: Number(offset),
    timestampMs: Number(timestamp),
    key,
    value,
    headers,
    refused: isRefused ? 'codec_refused' : null,
  }
}

class KafkajsLogClient implements LogClient {
  readonly #options: LogClientOptions
  readonly #kafka: Kafka
  readonly #admin: Admin
  readonly #consumer: Consumer
  /** The next offset of each partition that is read. */
  readonly #next = new Map<string, number>()
  readonly #writers = new Set<LogWriter>()
  readonly reader: LogReader
  readonly group: Group

  constructor(options: LogClientOptions, kafka: Kafka, admin: Admin) {
    this.#options = options
    this.#kafka = kafka
    this.#admin = admin
    const { groupId, topics, sessionTimeoutMs } = options
    this.#consumer = kafka.consumer({
      groupId,
      partitionAssigners: [partitionAssigner(topics)],
      sessionTimeout: sessionTimeoutMs,
      heartbeatInterval: Math.floor(sessionTimeoutMs / 5),
      rebalanceTimeout: Math.max(sessionTimeoutMs, 10_000),
      maxWaitTimeInMs: FETCH_WAIT_MS,
      allowAutoTopicCreation: false,
      // Committed data only, because the bank's producer may be transactional.
      readUncommitted: false,
    })
    this.reader = {
      seek: (topic, partition, offset) => {
        this.#next.set(`${topic}/${partition}`, offset)
        this.#consumer.seek({ topic, partition, offset: String(offset) })
      },
      pause: (topic, partition) => {
        this.#consumer.pause([{ topic, partitions: [partition] }])
      },
      resume: (topic, partition) => {
        this.#consumer.resume([{ topic, partitions: [partition] }])
      },
      release: (topic, partition) => {
        this.#next.delete(`${topic}/${partition}`)
        this.#consumer.pause([{ topic, partitions: [partition] }])
      },
    }
    this.group = {
      failed: this.#failed(),
      join: (handlers) => this.#join(handlers),
      readCommitted: (topic, partition) => this.#readCommitted(topic, partition),
      leave: () => this.#consumer.stop(),
    }
  }

  async openWriter(partition: number): Promise<LogWriter> {
    const { groupId, transactionalIdPrefix } = this.#options
    const transactions = await openPartitionTransactions({
      kafka: this.#kafka,
      groupId,
      transactionalId: `${transactionalIdPrefix}${partition}`,
    })
    const writer: LogWriter = {
      commit: (messages, offsets) => {
        const byTopic = Map.groupBy(messages, ({ topic }) => topic)
        const topicMessages = [...byTopic].map(([topic, of]) => ({ topic, messages: of }))
        return transactions.commit(topicMessages, offsets)
      },
      close: () => {
        this.#writers.delete(writer)
        return transactions.close()
      },
    }
    this.#writers.add(writer)
    return writer
  }

  readEnds(topic: string, partition: number): Promise<LogEnds> {
    return readPartitionEnds(this.#admin, topic, partition)
  }

  async readLast(topic: string, partition: number): Promise<LogRecord | null> {
    const ends = await readPartitionEnds(this.#admin, topic, partition)
    return searchBackwards(ends, (from, to) => this.#lastIn({ topic, partition, from, to }))
  }

  async readRange(
    range: LogRange,
    onRecords: (records: readonly LogRecord[]) => Promise<void>,
    signal: AbortSignal | null,
  ): Promise<void> {
    const { topic, partition, from, to } = range
    if (from >= to) return
    // For an offset that is out of range, kafkajs would silently continue from the earliest one.
    const checkHeld = async (offset: number): Promise<void> => {
      const ends = await readPartitionEnds(this.#admin, topic, partition)
      const isHeld = offset >= ends.low && offset <= ends.high
      if (!isHeld) throw offsetOutOfRange(topic, partition, offset, ends)
    }
    await checkHeld(from)
    let next = from
    await this.#readLog(
      range,
      async (messages) => {
        const [first] = messages
        const last = messages.at(-1)
        if (first === undefined || last === undefined) return
        // A gap is normal where control records or compaction took offsets, and a loss where retention did.
        if (Number(first.offset) > next) await checkHeld(next)
        await onRecords(messages.map(logRecordOf))
        next = Number(last.offset) + 1
      },
      signal,
    ).catch((error: unknown) => {
      signal?.throwIfAborted()
      throw kafkaRefusal(error) ?? kafkaAway(this.#options.connection, error) ?? error
    })
  }

  async close(): Promise<void> {
    await Promise.all([...this.#writers].map((writer) => writer.close()))
    await this.#consumer.disconnect()
    await this.#admin.disconnect()
  }

  async #lastIn(range: LogRange): Promise<LogRecord | null> {
    let last: LogRecord | null = null
    await this.#readLog(
      range,
      (messages) => {
        const message = messages.at(-1)
        if (message !== undefined) last = logRecordOf(message)
        return Promise.resolve()
      },
      null,
    )
    return last
  }

  /** kafkajs reads only as a member of a group, so each reading has its own group. */
  #readLog(
    { topic, partition, from, to }: LogRange,
    onMessages: (messages: readonly KafkaMessage[]) => Promise<void>,
    signal: AbortSignal | null,
  ): Promise<void> {
    const groupId = `${this.#options.groupId}-refold-${partition}-${randomUUID()}`
    const source = { groupId, partition, stretches: [{ topic, from, to }] }
    return readPartitionLog(this.#kafka, source, (_topic, messages) => onMessages(messages), signal)
  }

  #failed(): Promise<Error> {
    const { connection } = this.#options
    return new Promise((resolve) => {
      this.#consumer.on(this.#consumer.events.CRASH, ({ payload }) => {
        if (payload.restart) return
        const { error } = payload
        const refusal = coordinatorRefusal(this.#kafka, error) ?? kafkaRefusal(error)
        resolve(refusal ?? kafkaAway(connection, error) ?? error)
      })
    })
  }

  async #join({ onAssigned, onRevoked }: GroupHandlers): Promise<void> {
    const consumer = this.#consumer
    const topics = [...this.#options.topics]
    await consumer.connect()
    await consumer.subscribe({ topics, fromBeginning: true })
    const joined = new Promise<void>((resolve, reject) => {
      let assigning: Promise<void> = Promise.resolve()
      consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
        const partitions = payload.memberAssignment[topics[0] ?? ''] ?? []
        // Nothing is fetched before a partition has read and checked its committed offsets. For an offset out of range,
        // kafkajs would move the group's offset by itself, and messages would be skipped silently.
        consumer.pause(topics.map((topic) => ({ topic, partitions })))
        this.#next.clear()
        assigning = assigning
          .then(onRevoked)
          .then(() => {
            onAssigned(partitions)
          })
          .then(resolve, reject)
      })
    })
    await consumer.run({
      autoCommit: false,
      partitionsConsumedConcurrently: PARTITIONS_CONCURRENT,
      eachBatch: (payload) => this.#accept(payload),
    })
    // Also emitted for batches that hold only control records, which never reach eachBatch.
    consumer.on(consumer.events.END_BATCH_PROCESS, ({ payload }) => {
      const { topic, partition, lastOffset, highWatermark } = payload
      this.#tell(topic, partition, [], Number(lastOffset) + 1, Number(highWatermark))
    })
    await Promise.race([joined, this.group.failed.then((error) => Promise.reject(error))])
  }

  async #accept(payload: EachBatchPayload): Promise<void> {
    const { topic, partition, messages, highWatermark } = payload.batch
    const next = this.#next.get(`${topic}/${partition}`)
    if (!payload.isStale() && next !== undefined) {
      const records = messages.map(logRecordOf).filter(({ offset }) => offset >= next)
      const [first] = records
      // A gap is normal where control records or compaction took offsets, and a loss where retention did.
      const isHeld =
        first === undefined || first.offset === next || (await this.#holds(topic, partition, next))
      const last = records.at(-1)
      if (isHeld && last !== undefined) {
        this.#tell(topic, partition, records, last.offset + 1, Number(highWatermark))
      }
    }
    await payload.heartbeat()
  }

  #tell(
    topic: string,
    partition: number,
    records: readonly LogRecord[],
    nextOffset: number,
    highWatermark: number,
  ): void {
    const key = `${topic}/${partition}`
    const next = this.#next.get(key)
    if (next === undefined) return
    this.#next.set(key, Math.max(next, nextOffset))
    this.#options.onRecords({
      topic,
      partition,
      records,
      nextOffset,
      highWatermark,
      // kafkajs does not expose it.
      lastStableOffset: null,
    })
  }

  /** False when retention has removed the offset: kafkajs would silently continue from the earliest one. */
  async #holds(topic: string, partition: number, offset: number): Promise<boolean> {
    const ends = await readPartitionEnds(this.#admin, topic, partition)
    if (offset >= ends.low) return true
    if (this.#next.delete(`${topic}/${partition}`)) {
      this.#options.onFault(
        topic,
        partition,
        'offset_out_of_range',
        offsetOutOfRange(topic, partition, offset, ends),
      )
    }
    return false
  }

  async #readCommitted(topic: string, partition: number): Promise<CommittedOffset | null> {
    const { groupId } = this.#options
    const [found] = await this.#admin.fetchOffsets({ groupId, topics: [topic] })
    const committed = found?.partitions.find((each) => each.partition === partition)
    const offset = Number(committed?.offset ?? -1)
    if (offset === RESET_BY_KAFKAJS) {
      const ends = await readPartitionEnds(this.#admin, topic, partition)
      throw offsetOutOfRange(topic, partition, RESET_BY_KAFKAJS, ends)
    }
    if (offset < 0) return null
    return { offset, metadata: splitOwner(committed?.metadata ?? null).metadata }
  }
}
