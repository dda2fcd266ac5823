// Where a replay begins to read each partition, and where the partitions end now.

import type { Admin } from 'kafkajs'
import { SluiceError } from '../core/errors.ts'
import type { LaneBegin } from '../core/features/provenance/replay-lane.ts'
import { placeKey } from '../platform/kafka/committed-reader.ts'
import { openKafka } from '../platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../platform/kafka/kafka-connection.ts'
import { kafkaUnreadable } from '../platform/kafka/kafka-failure.ts'
import { readLogEnds, readLogSince, type LogEnds } from '../platform/kafka/log-ends.ts'
import { readPartitionCount, topicName } from '../platform/kafka/topics.ts'

/** The topics that a replay reads. */
export const FED_TOPICS = ['transactions', 'labels', 'decisions'] as const
export type FedTopic = (typeof FED_TOPICS)[number]

const CONNECTION_TIMEOUT_MS = 3_000
const RETRY = { retries: 5, initialRetryTime: 50, maxRetryTime: 1_000 }

interface PartitionRange {
  readonly kind: FedTopic
  readonly start: number
  readonly end: number
}

export interface FeedRanges {
  readonly startAt: ReadonlyMap<string, number>
  readonly partitions: ReadonlyMap<string, PartitionRange>
  /** By lane. */
  readonly begins: readonly LaneBegin[]
}

/** @throws SluiceError SLUICE_BROKER_UNAVAILABLE or SLUICE_TOPICS_INVALID. */
export async function readFeedRanges(
  connection: KafkaConnection,
  topicPrefix: string,
  from: 'beginning' | number,
): Promise<FeedRanges> {
  const kafka = openKafka(connection, {
    clientId: 'sluice-replay',
    connectionTimeout: CONNECTION_TIMEOUT_MS,
    retry: RETRY,
  })
  const admin = kafka.admin()
  try {
    await admin.connect()
    const laneCount = await readPartitionCount(admin, topicPrefix, FED_TOPICS)
    const partitions = new Map<string, PartitionRange>()
    for (const kind of FED_TOPICS) {
      const topic = topicName(topicPrefix, kind)
      for (const [partition, { low: start, high: end }] of await readRange(admin, topic, from)) {
        partitions.set(placeKey(topic, partition), { kind, start, end })
      }
    }
    const at = (kind: FedTopic, partition: number): PartitionRange =>
      partitions.get(placeKey(topicName(topicPrefix, kind), partition)) ?? {
        kind,
        start: 0,
        end: 0,
      }
    const begins = Array.from({ length: laneCount }, (_, partition): LaneBegin => {
      const { start, end } = at('transactions', partition)
      const labelStart = at('labels', partition).start
      return {
        nextOffset: start,
        labelNextOffset: labelStart,
        isWhole: start === 0 && labelStart === 0,
        endOffset: end,
      }
    })
    const startAt = new Map([...partitions].map(([key, { start }]) => [key, start]))
    return { startAt, partitions, begins }
  } catch (error) {
    if (error instanceof SluiceError) throw error
    throw await kafkaUnreadable(connection, error)
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

/** What a topic holds from `from` on. */
async function readRange(
  admin: Admin,
  topic: string,
  from: 'beginning' | number,
): Promise<ReadonlyMap<number, LogEnds>> {
  if (from === 'beginning') return readLogEnds(admin, topic)
  const logs = await readLogSince(admin, topic, from)
  return new Map(
    [...logs].map(([partition, { low, high, since }]) => [
      partition,
      { low: Math.max(low, since ?? low), high },
    ]),
  )
}
