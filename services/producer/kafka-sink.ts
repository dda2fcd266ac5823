// Encodes events and sends them to Kafka in order, acknowledged by all replicas.
//
// Messages are buffered while a request is in flight and sent together in the next one. A single request in flight and an
// idempotent producer preserve the order: within a partition across retries, and across partitions because later messages
// are sent only after earlier ones are acknowledged.

import { createHash } from 'node:crypto'
import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Admin, Kafka, Message, Producer, RetryOptions } from 'kafkajs'
import { SluiceError } from '../core/errors.ts'
import { partitionOf } from '../core/murmur2.ts'
import { formatTraceparent, isInRatio } from '../core/trace-context.ts'
import type { Label, Transaction, Watermark } from '../core/transaction.ts'
import { openKafka } from '../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../platform/kafka/kafka-connection.ts'
import { explainKafka, kafkaRefusal } from '../platform/kafka/kafka-failure.ts'
import { rememberingPartitioner, sendWhole } from '../platform/kafka/whole-send.ts'
import type { ProducedEvent } from './watermarks.ts'

/**
 * Least time between the starts of two requests that are not full, as `linger.ms` of Kafka's own producer: each costs
 * the broker the same.
 */
const REQUEST_INTERVAL_MS = 5
/** Limit on the messages of one request, about 400 kB; large enough for throughput. */
const REQUEST_MESSAGES_MAX = 2_000
/** Buffered messages at which callers of `send` must wait; about 20 MB. */
const BUFFERED_MAX = 100_000
const RETRIES_MAX = 8
const RETRIES_AT_START = 3
const REQUEST_TIMEOUT_MS = 30_000
const CONNECTION_TIMEOUT_MS = 3_000
/** Longest wait of `close` for acknowledgements before it fails. */
const FLUSH_MS_MAX = 30_000

export interface KafkaSinkOptions extends KafkaConnection {
  /** Prefix of topic names. */
  readonly topicPrefix: string
}

type SinkTopic = 'transactions' | 'labels'

/** An encoded message. */
export interface SinkMessage {
  readonly topic: SinkTopic
  readonly partition: number
  /** Null for a watermark, which belongs to a partition and not to a card. */
  readonly key: Buffer | null
  readonly value: Buffer
  /** Intended send time, milliseconds UTC: the record's time stamp. */
  readonly timestampMs: number
  /** W3C trace context; absent for messages without a trace. */
  readonly traceparent?: string
}

/** The destination of the producer's messages. */
export interface Sink {
  /** Number of partitions, equal for both topics. */
  readonly partitionCount: number
  /**
   * Buffers the message for the next request. Returns a promise when the caller must wait for space.
   * @throws SluiceError of the first failed request.
   */
  send(message: SinkMessage): Promise<void> | undefined
  /** Messages acknowledged by the brokers. */
  readonly acknowledgedCount: number
  /** Sends the buffered messages and disconnects. */
  close(): Promise<void>
}

/**
 * Connects and checks the topics.
 * @throws SluiceError SLUICE_PREREQUISITE_MISSING when no broker answers, SLUICE_TOPICS_INVALID when a topic
 * is missing or the two have different partition counts.
 */
export async function openKafkaSink(options: KafkaSinkOptions): Promise<Sink> {
  const partitionCount = await readPartitionCount(options)
  const producer = connection(options, RETRIES_MAX).producer({
    idempotent: true,
    allowAutoTopicCreation: false,
    createPartitioner: rememberingPartitioner,
    retry: retryLimits(RETRIES_MAX),
  })
  try {
    await producer.connect()
  } catch (error) {
    throw (await explainKafka(options, error)) ?? unreachable(options, error)
  }
  return new KafkaSink(producer, options, partitionCount)
}

class KafkaSink implements Sink {
  readonly partitionCount: number
  readonly #producer: Producer
  readonly #options: KafkaSinkOptions
  #buffered: SinkMessage[] = []
  #acknowledgedCount = 0
  #sending: Promise<void> | null = null
  #requestDone: Promise<void> = Promise.resolve()
  /** Start of the last request. */
  #requestMs = -Infinity
  #failure: SluiceError | null = null

  constructor(producer: Producer, options: KafkaSinkOptions, partitionCount: number) {
    this.#producer = producer
    this.#options = options
    this.partitionCount = partitionCount
  }

  get acknowledgedCount(): number {
    return this.#acknowledgedCount
  }

  send(message: SinkMessage): Promise<void> | undefined {
    if (this.#failure !== null) throw this.#failure
    this.#buffered.push(message)
    this.#sending ??= this.#sendAll()
    return this.#buffered.length >= BUFFERED_MAX ? this.#untilSpace() : undefined
  }

  async close(): Promise<void> {
    try {
      await this.#flush()
    } finally {
      await this.#producer.disconnect()
    }
    if (this.#failure !== null) throw this.#failure
  }

  async #flush(): Promise<void> {
    if (this.#sending === null) return
    const limit = new AbortController()
    const tooLong = sleepMs(FLUSH_MS_MAX, 'too long' as const, { signal: limit.signal })
    const outcome = await Promise.race([this.#sending, tooLong])
    limit.abort()
    // Aborting the timer rejects its promise.
    await tooLong.catch(() => undefined)
    if (outcome === 'too long') {
      this.#failure ??= sendFailed(
        this.#options,
        `no acknowledgement within ${FLUSH_MS_MAX / 1_000} s while closing`,
      )
    }
  }

  async #untilSpace(): Promise<void> {
    while (this.#sending !== null && this.#buffered.length >= BUFFERED_MAX / 2) {
      await this.#requestDone
    }
    if (this.#failure !== null) throw this.#failure
  }

  async #sendAll(): Promise<void> {
    try {
      // Messages added in the same turn of the event loop are sent together.
      await Promise.resolve()
      while (this.#buffered.length > 0) {
        await this.#untilNextRequest()
        const batch = this.#buffered.splice(0, REQUEST_MESSAGES_MAX)
        this.#requestMs = performance.now()
        this.#requestDone = this.#request(batch)
        await this.#requestDone
        this.#acknowledgedCount += batch.length
      }
    } catch (error) {
      this.#buffered = []
      this.#failure = sendFailed(this.#options, error)
    } finally {
      this.#sending = null
    }
  }

  async #untilNextRequest(): Promise<void> {
    const waitMs = this.#requestMs + REQUEST_INTERVAL_MS - performance.now()
    if (waitMs > 0 && this.#buffered.length < REQUEST_MESSAGES_MAX) await sleepMs(waitMs)
  }

  async #request(batch: readonly SinkMessage[]): Promise<void> {
    const transactions: Message[] = []
    const labels: Message[] = []
    for (const { topic, key, value, partition, timestampMs, traceparent } of batch) {
      const messages = topic === 'transactions' ? transactions : labels
      const message = { key, value, partition, timestamp: String(Math.floor(timestampMs)) }
      messages.push(traceparent === undefined ? message : { ...message, headers: { traceparent } })
    }
    const prefix = this.#options.topicPrefix
    // Labels first: within one request the broker appends in this order.
    const topicMessages = [
      { topic: `${prefix}labels`, messages: labels },
      { topic: `${prefix}transactions`, messages: transactions },
    ].filter(({ messages }) => messages.length > 0)
    await sendWhole(this.#producer, topicMessages)
  }
}

function connection(options: KafkaSinkOptions, retries: number): Kafka {
  return openKafka(options, {
    clientId: 'sluice-producer',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    retry: retryLimits(retries),
  })
}

function retryLimits(retries: number): RetryOptions {
  return { retries, initialRetryTime: 50, maxRetryTime: 2_000 }
}

async function readPartitionCount(options: KafkaSinkOptions): Promise<number> {
  // Fewer retries than for sending: nothing can be lost yet, and a wrong address should be reported soon.
  const admin = connection(options, RETRIES_AT_START).admin()
  try {
    await admin.connect()
    return await checkTopics(admin, options)
  } catch (error) {
    if (error instanceof SluiceError) throw error
    throw (await explainKafka(options, error)) ?? unreachable(options, error)
  } finally {
    await admin.disconnect()
  }
}

async function checkTopics(admin: Admin, options: KafkaSinkOptions): Promise<number> {
  const names = ['transactions', 'labels'].map((name) => options.topicPrefix + name)
  const existing = new Set(await admin.listTopics())
  const missing = names.filter((name) => !existing.has(name))
  if (missing.length > 0) {
    throw new SluiceError(
      'SLUICE_TOPICS_INVALID',
      `Kafka at ${options.brokers.join(',')} has no topic ${missing.join(', ')}; create the topics ` +
        'first, or change --topic-prefix. A cluster with access control hides topics that this user may not access.',
      { details: { missing } },
    )
  }
  const { topics } = await admin.fetchTopicMetadata({ topics: names })
  const counts = names.map(
    (name) => topics.find((topic) => topic.name === name)?.partitions.length ?? 0,
  )
  const [transactionsCount = 0, labelsCount = 0] = counts
  if (transactionsCount === 0 || transactionsCount !== labelsCount) {
    throw new SluiceError(
      'SLUICE_TOPICS_INVALID',
      `${names.join(' and ')} have ${counts.join(' and ')} partitions; both need the same number, ` +
        "since a card's labels must be in the partition of its transactions. Recreate one of them.",
      { details: { names, counts } },
    )
  }
  return transactionsCount
}

function unreachable(options: KafkaSinkOptions, cause: unknown): SluiceError {
  return new SluiceError(
    'SLUICE_PREREQUISITE_MISSING',
    `Kafka at ${options.brokers.join(',')} does not answer; start it with "sluice up", or give its ` +
      'address with --brokers or SLUICE_KAFKA_BROKERS.',
    { cause },
  )
}

function sendFailed(options: KafkaSinkOptions, cause: unknown): SluiceError {
  const refusal = kafkaRefusal(cause)
  if (refusal !== null) return refusal
  const problem = cause instanceof Error ? cause.message : String(cause)
  return new SluiceError(
    'SLUICE_PREREQUISITE_MISSING',
    `Kafka at ${options.brokers.join(',')} stopped accepting messages (${problem}); some of the last ones ` +
      'may have been written. Check the broker, then start the run again.',
    { cause },
  )
}

// Events to messages: encoded, keyed by card, in the partition of the card.

/** The codecs used by the producer. */
export interface ProducerCodecs {
  readonly transaction: { encode(value: Transaction): Buffer }
  readonly label: { encode(value: Label): Buffer }
  readonly watermark: { encode(value: Watermark): Buffer }
}

/**
 * Sends one event; a watermark goes to every partition of its topic. A share of `traceRatio` of the transactions starts
 * a trace. Hot path.
 */
export function writeEvent(
  event: ProducedEvent,
  timestampMs: number,
  codecs: ProducerCodecs,
  sink: Sink,
  traceRatio = 0,
): Promise<void> | undefined {
  switch (event.kind) {
    case 'transaction': {
      const { transaction } = event
      const value = codecs.transaction.encode(transaction)
      const message = keyed('transactions', transaction.card, value, timestampMs, sink)
      const traceparent = traceRatio === 0 ? null : traceparentOf(transaction.id, traceRatio)
      return sink.send(traceparent === null ? message : { ...message, traceparent })
    }
    case 'label': {
      const value = codecs.label.encode(event.label)
      return sink.send(keyed('labels', event.label.card, value, timestampMs, sink))
    }
    case 'watermark':
      return writeWatermark(event.topic, event.timeMs, timestampMs, codecs, sink)
  }
}

function keyed(
  topic: SinkMessage['topic'],
  card: string,
  value: Buffer,
  timestampMs: number,
  sink: Sink,
): SinkMessage {
  const key = Buffer.from(card)
  return { topic, partition: partitionOf(key, sink.partitionCount), key, value, timestampMs }
}

function writeWatermark(
  topic: SinkMessage['topic'],
  timeMs: number,
  timestampMs: number,
  codecs: ProducerCodecs,
  sink: Sink,
): Promise<void> | undefined {
  const value = codecs.watermark.encode({ timeMs })
  let room: Promise<void> | undefined
  for (let partition = 0; partition < sink.partitionCount; partition += 1) {
    room = sink.send({ topic, partition, key: null, value, timestampMs })
  }
  return room
}

// Traces that start at the producer.

/**
 * The traceparent of a transaction; null when it is not sampled. Trace ids derive from the transaction's id, so the same
 * stream sent again has the same traces.
 */
export function traceparentOf(transactionId: string, ratio: number): string | null {
  const digest = createHash('sha256').update(`trace:${transactionId}`).digest('hex')
  const traceId = digest.slice(0, 32)
  if (!isInRatio(traceId, ratio)) return null
  return formatTraceparent({ traceId, spanId: digest.slice(32, 48), isSampled: true })
}
