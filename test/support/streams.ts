// A separate stream for one test: topics, consumer group and Redis keys that no other test uses and that are deleted
// afterwards, and the sender that fills it. Sent messages are recorded for the audit.

import { closeWith } from './cleanup.ts'
import { randomUUID } from 'node:crypto'
import type { TestContext } from 'node:test'
import { Redis } from 'ioredis'
import kafkajs, { type Admin, type Kafka, type Message, type Producer } from 'kafkajs'
import { partitionOf } from '../../services/core/murmur2.ts'
import { type Codecs, createCodecs } from '../../services/core/wire/codecs.ts'
import { createTopics, deleteTopics, topicName } from '../../services/platform/kafka/topics.ts'
import { rememberingPartitioner, sendWhole } from '../../services/platform/kafka/whole-send.ts'
import { FileRegistry } from '../../services/platform/registry/file-registry.ts'
import { withWatermarks, type ProducedEvent } from '../../services/producer/index.ts'
import { simulate } from '../../tools/simulator/simulate.ts'
import type { SimulatorOptions } from '../../tools/simulator/options.ts'

export const PARTITION_COUNT = 4
const REQUEST_MESSAGES_MAX = 2_000
const TOPICS_ATTEMPTS_MAX = 5
/** Replicas in a test's own cluster; the tests' shared broker is alone. */
const REPLICAS_MAX = 3
/** One time stamp for all streams of a test file, so that equal input gives equal alerts. */
const SENT_AT_MS = Date.now()
/**
 * A busy machine delays heartbeats for a while; a scorer that loses its membership because of that would look like a
 * fault.
 */
const SESSION = { SLUICE_SESSION_TIMEOUT_MS: '6000' } as const
/** Instead of the 250 ms of production. */
const PATIENCE = { SLUICE_STATE_TIMEOUT_MS: '5000' } as const
/**
 * For scorers that a test kills or stops, so that their partitions are soon reassigned. Not for those that must stay.
 */
export const SHORT_SESSION = { SLUICE_SESSION_TIMEOUT_MS: '1500' } as const
/** For scorers that must keep their partitions through a pause of their own, or of the broker. */
export const LONG_SESSION = { SLUICE_SESSION_TIMEOUT_MS: '30000' } as const

type InputTopic = 'transactions' | 'labels'

/**
 * Content of one offset of transactions: a watermark gets no answer, nor does a control record, which no reader sees;
 * everything else gets one.
 */
export type Sent = 'watermark' | 'control' | 'other'

export interface TestStream {
  readonly prefix: string
  readonly streamId: string
  readonly groupId: string
  readonly brokers: readonly string[]
  readonly redisUrl: string
  readonly kafka: Kafka
  readonly admin: Admin
  readonly codecs: Codecs
  /** Time of every message without its own. */
  readonly sentAtMs: number
  /** By partition, the messages sent to transactions, in offset order. */
  readonly sent: readonly Sent[][]
  /** By partition, the number of messages sent to labels, watermarks included. */
  readonly sentLabels: readonly number[]
  send(events: readonly ProducedEvent[]): Promise<void>
  /** Sends bytes unchanged. */
  sendRaw(topic: InputTopic, partition: number, messages: readonly Message[]): Promise<void>
  /** Environment of a scorer of this stream. */
  environment(more?: Readonly<Record<string, string>>): Record<string, string>
  /** The same for tests that count decisions with state: a busy machine causes no unintended degraded decision. */
  patientEnvironment(more?: Readonly<Record<string, string>>): Record<string, string>
}

/** Address of a server that the runner has started. @throws Error when the runner did not start the test. */
function addressOf(name: 'SLUICE_KAFKA_BROKERS' | 'SLUICE_REDIS_URL'): string {
  const value = process.env[name] ?? ''
  if (value === '') throw new Error(`${name} is not set; run this file with npm test.`)
  return value
}

/** Creates the topics; deletes them, the group and all keys of the stream when the test ends. */
export async function openStream(
  t: TestContext,
  name: string,
  redisUrl = addressOf('SLUICE_REDIS_URL'),
): Promise<TestStream> {
  const brokers = addressOf('SLUICE_KAFKA_BROKERS').split(',')
  const streamId = `${name}-${randomUUID().slice(0, 8)}`
  const prefix = `test-${streamId}.`
  const groupId = `test-${streamId}`
  const kafka = new kafkajs.Kafka({
    clientId: 'sluice-test',
    brokers,
    logLevel: kafkajs.logLevel.NOTHING,
    retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 10 },
  })
  const admin = kafka.admin()
  const producer = kafka.producer({
    idempotent: true,
    allowAutoTopicCreation: false,
    createPartitioner: rememberingPartitioner,
  })
  await admin.connect()
  await producer.connect()
  closeWith(t, async () => {
    await producer.disconnect()
    await deleteTopics(admin, prefix)
    await admin.deleteGroups([groupId]).catch(() => undefined)
    await admin.disconnect()
    await deleteKeys(redisUrl, streamId)
  })
  await makeTopics(admin, prefix, Math.min(brokers.length, REPLICAS_MAX))
  const codecs = createCodecs(await new FileRegistry().load())
  const sent: Sent[][] = Array.from({ length: PARTITION_COUNT }, () => [])
  const sentLabels = new Array<number>(PARTITION_COUNT).fill(0)
  const stream: TestStream = {
    prefix,
    streamId,
    groupId,
    brokers,
    redisUrl,
    kafka,
    admin,
    codecs,
    sentAtMs: SENT_AT_MS,
    sent,
    sentLabels,
    async send(events) {
      for (let index = 0; index < events.length; index += REQUEST_MESSAGES_MAX) {
        const request = events.slice(index, index + REQUEST_MESSAGES_MAX)
        await sendEvents(producer, prefix, codecs, request, { sent, sentLabels })
      }
    },
    async sendRaw(topic, partition, messages) {
      await producer.send({
        topic: topicName(prefix, topic),
        messages: messages.map((message) => ({
          timestamp: String(SENT_AT_MS),
          ...message,
          partition,
        })),
      })
      if (topic === 'transactions') sent[partition]?.push(...messages.map(() => 'other' as const))
      else noteLabels(sentLabels, partition, messages.length)
    },
    environment: (more = {}) => ({
      SLUICE_KAFKA_BROKERS: brokers.join(','),
      SLUICE_REDIS_URL: redisUrl,
      SLUICE_TOPIC_PREFIX: prefix,
      SLUICE_GROUP_ID: groupId,
      SLUICE_STREAM_ID: streamId,
      SLUICE_METRICS_PORT: '0',
      ...SESSION,
      SLUICE_BACKEND: 'compiled',
      ...more,
    }),
    patientEnvironment: (more = {}) => stream.environment({ ...PATIENCE, ...more }),
  }
  return stream
}

/**
 * A simulated stream with watermarks. Few cards, so that a small stream spans weeks: entity windows end seven days
 * back, and labels take as long.
 */
export async function simulatedEvents(
  transactionsMax: number,
  options: Partial<SimulatorOptions> = {},
): Promise<readonly ProducedEvent[]> {
  const crowd = { cards: 300, terminals: 60, merchants: 40, fraudShare: 0.03 }
  const events: ProducedEvent[] = []
  const source = simulate({ seed: 7, ...crowd, transactionsMax, ...options })
  for await (const event of withWatermarks(source)) events.push(event)
  return events
}

async function sendEvents(
  producer: Producer,
  prefix: string,
  codecs: Codecs,
  events: readonly ProducedEvent[],
  { sent, sentLabels }: { readonly sent: readonly Sent[][]; readonly sentLabels: number[] },
): Promise<void> {
  const messages: Record<InputTopic, Message[]> = { labels: [], transactions: [] }
  const timestamp = String(SENT_AT_MS)
  for (const event of events) {
    if (event.kind === 'watermark') {
      const value = codecs.watermark.encode({ timeMs: event.timeMs })
      for (let partition = 0; partition < PARTITION_COUNT; partition += 1) {
        messages[event.topic].push({ key: null, value, partition, timestamp })
        if (event.topic === 'transactions') sent[partition]?.push('watermark')
        else noteLabels(sentLabels, partition, 1)
      }
      continue
    }
    const { card } = event.kind === 'transaction' ? event.transaction : event.label
    const partition = partitionOf(Buffer.from(card), PARTITION_COUNT)
    if (event.kind === 'label') {
      const value = codecs.label.encode(event.label)
      messages.labels.push({ key: card, value, partition, timestamp })
      noteLabels(sentLabels, partition, 1)
    } else {
      const value = codecs.transaction.encode(event.transaction)
      messages.transactions.push({ key: card, value, partition, timestamp })
      sent[partition]?.push('other')
    }
  }
  for (const topic of ['labels', 'transactions'] as const) {
    if (messages[topic].length === 0) continue
    await sendWhole(producer, [{ topic: topicName(prefix, topic), messages: messages[topic] }])
  }
}

function noteLabels(sentLabels: number[], partition: number, count: number): void {
  sentLabels[partition] = (sentLabels[partition] ?? 0) + count
}

/** Creates the topics. A broker may not know a topic yet that it has just created; then they are requested again. */
async function makeTopics(admin: Admin, prefix: string, replicationFactor: number): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await createTopics(admin, prefix, { partitionCount: PARTITION_COUNT, replicationFactor })
      return
    } catch (error) {
      const isNotYetKnown = (error as { type?: string }).type === 'UNKNOWN_TOPIC_OR_PARTITION'
      if (!isNotYetKnown || attempt === TOPICS_ATTEMPTS_MAX) throw error
    }
  }
}

/** Keys in Redis that only one test uses. */
export interface TestKeys {
  readonly redisUrl: string
  readonly streamId: string
}

/** Names a separate stream without topics; its keys are deleted when the test ends. */
export function openKeys(t: TestContext, name: string): TestKeys {
  const keys = {
    redisUrl: addressOf('SLUICE_REDIS_URL'),
    streamId: `${name}-${randomUUID().slice(0, 8)}`,
  }
  closeWith(t, () => deleteKeys(keys.redisUrl, keys.streamId))
  return keys
}

/** Deletes every key of the stream. */
async function deleteKeys(redisUrl: string, streamId: string): Promise<void> {
  const redis = new Redis(redisUrl)
  for (const key of await keysOf(redis, streamId)) await redis.del(key)
  redis.disconnect()
}

/** Every key of the stream, sorted. */
export async function keysOf(redis: Redis, streamId: string): Promise<string[]> {
  const keys = new Set<string>()
  let cursor = '0'
  do {
    const [next, found] = await redis.scan(cursor, 'MATCH', `sluice:{${streamId}:*`, 'COUNT', 1_000)
    for (const key of found) keys.add(key)
    cursor = next
  } while (cursor !== '0')
  return [...keys].sort()
}
