// The offsets at which ingestion of each partition resumes, after the last one in the lake, and the ends of the topics.

import type { Admin } from 'kafkajs'
import { SluiceError } from '../core/errors.ts'
import { type CheckResult, gapResult } from '../core/lake/lake-checks.ts'
import { type LakeState, partitionKey } from '../core/lake/lake-log.ts'
import { TOPIC_TABLES, type TopicTable } from '../core/lake/lake-tables.ts'
import { placeKey } from '../platform/kafka/committed-reader.ts'
import { openKafka } from '../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../platform/kafka/kafka-connection.ts'
import { kafkaUnreadable } from '../platform/kafka/kafka-failure.ts'
import { readLogEnds, type LogEnds } from '../platform/kafka/log-ends.ts'
import { type Topic, topicName } from '../platform/kafka/topics.ts'
import type { Closable } from '../platform/lifecycle.ts'

const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { retries: 5, initialRetryTime: 50, maxRetryTime: 1_000 }

/** The topic of each table. */
export const TOPIC_OF: Readonly<Record<TopicTable, Topic>> = {
  transactions: 'transactions',
  decisions: 'decisions',
  labels: 'labels',
  dead_letters: 'dead-letters',
}

export interface TopicRanges {
  /** Start offsets by topic and partition, for the reader. */
  readonly startAt: ReadonlyMap<string, number>
  /** The same offsets by table and partition, for the lake. */
  readonly positions: ReadonlyMap<string, number>
  /** Ends of the topics at the start, by table and partition. */
  readonly ends: ReadonlyMap<string, number>
  /** Accepted gaps. */
  readonly gaps: readonly CheckResult[]
}

/**
 * @throws SluiceError SLUICE_LAKE_GAP when the topic no longer has the next offset, SLUICE_BROKER_UNAVAILABLE or
 * SLUICE_TOPICS_INVALID.
 */
export async function readTopicRanges(
  connection: KafkaConnection,
  topicPrefix: string,
  state: LakeState,
  acceptGap: boolean,
): Promise<TopicRanges> {
  const kafka = openKafka(connection, {
    clientId: 'sluice-lake',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  })
  const admin = kafka.admin()
  const startAt = new Map<string, number>()
  const positions = new Map<string, number>()
  const ends = new Map<string, number>()
  const gaps: CheckResult[] = []
  try {
    await admin.connect()
    await requireTopics(admin, topicPrefix)
    for (const table of TOPIC_TABLES) {
      const topic = topicName(topicPrefix, TOPIC_OF[table])
      for (const [partition, logEnds] of await readLogEnds(admin, topic)) {
        const key = partitionKey(table, partition)
        const known = state.next.get(key) ?? null
        const first = firstOffset(topic, partition, known, logEnds, acceptGap)
        if (known !== null && first > known) gaps.push(gapResult(table, partition, known, first))
        startAt.set(placeKey(topic, partition), first)
        positions.set(key, first)
        ends.set(key, logEnds.high)
      }
    }
    return { startAt, positions, ends, gaps }
  } catch (error) {
    if (error instanceof SluiceError) throw error
    throw await kafkaUnreadable(connection, error)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

function firstOffset(
  topic: string,
  partition: number,
  known: number | null,
  { low, high }: LogEnds,
  acceptGap: boolean,
): number {
  if (known === null) return low
  if (known > high) {
    throw new SluiceError(
      'SLUICE_LAKE_GAP',
      `Partition ${partition} of ${topic} ends at offset ${high}, but the lake has ingested up to ${known}: the topic was ` +
        'recreated. Give the new stream its own lake.',
    )
  }
  if (known >= low) return known
  if (acceptGap) return low
  throw new SluiceError(
    'SLUICE_LAKE_GAP',
    `Partition ${partition} of ${topic} begins at offset ${low}, but the lake has ingested only up to ${known}: ` +
      `${low - known} offsets are gone. To continue without them, run again with --accept-gap.`,
  )
}

async function requireTopics(admin: Admin, topicPrefix: string): Promise<void> {
  const existing = new Set(await admin.listTopics())
  const missing = TOPIC_TABLES.map((table) => topicName(topicPrefix, TOPIC_OF[table])).filter(
    (topic) => !existing.has(topic),
  )
  if (missing.length === 0) return
  throw new SluiceError(
    'SLUICE_TOPICS_INVALID',
    `Kafka has no topic ${missing.join(', ')}; create the topics with "sluice topics create", or correct the topic prefix.`,
    { details: { missing } },
  )
}

/** Few short retries, since the ends are polled. */
const ENDS_RETRY = { retries: 2, initialRetryTime: 50, maxRetryTime: 500 }

export interface TopicEnds extends Closable {
  /** Ends by table and partition; while the broker does not answer, the last known ones. */
  read(): Promise<ReadonlyMap<string, number>>
}

/** Polls the ends of the topics. Connects on first use. */
export function openTopicEnds(connection: KafkaConnection, topicPrefix: string): TopicEnds {
  const admin = openKafka(connection, {
    clientId: 'sluice-lake',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: ENDS_RETRY,
  }).admin()
  const ends = new Map<string, number>()
  let isConnected = false
  return {
    async read() {
      try {
        if (!isConnected) await admin.connect()
        isConnected = true
        for (const table of TOPIC_TABLES) {
          const found = await readLogEnds(admin, topicName(topicPrefix, TOPIC_OF[table]))
          for (const [partition, { high }] of found) ends.set(partitionKey(table, partition), high)
        }
      } catch {
        // The consumer uses the same brokers and reports the failure.
      }
      return ends
    },
    close: () => admin.disconnect(),
  }
}
