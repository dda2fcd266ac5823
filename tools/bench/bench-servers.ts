// The servers that a benchmark runs against, and streams of its own on them that leave nothing behind.

import { randomUUID } from 'node:crypto'
import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { Admin, Kafka } from 'kafkajs'
import { registerCompressionCodecs } from '../../services/platform/kafka/compression.ts'
import { openKafka } from '../../services/platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../services/platform/kafka/kafka-connection.ts'
import { createTopics, deleteTopics, topicName } from '../../services/platform/kafka/topics.ts'
import { deleteStreamState } from '../../services/platform/redis/delete-stream-state.ts'
import { openRedis } from '../../services/platform/redis/redis-client.ts'
import type { RedisConnection } from '../../services/platform/redis/redis-connection.ts'
import { closeAll, type Closable } from '../../services/platform/lifecycle.ts'
import { stackStatus } from '../servers/index.ts'
import { createCodecs, type Codecs } from '../../services/core/wire/codecs.ts'
import { FileRegistry } from '../../services/platform/registry/file-registry.ts'
import { repositoryRoot } from '../../services/cli/command.ts'
import { readServerVersions, type ServerVersions } from './machine.ts'
import type { Processes } from './process-meter.ts'

export const PARTITION_COUNT = 4
const COMMIT_POLL_MS = 50

export interface BenchServers extends Closable {
  readonly brokers: readonly string[]
  readonly redisUrl: string
  readonly kafka: Kafka
  readonly admin: Admin
  readonly redis: Redis
  readonly codecs: Codecs
  readonly versions: ServerVersions
  /** Servers whose process runs here and is ours to see; the others are null. */
  readonly processes: Processes
}

/** One stream: topics, group and state of its own. Closing deletes all of it. */
export interface BenchStream extends Closable {
  readonly prefix: string
  readonly groupId: string
  readonly streamId: string
  topic(name: 'transactions' | 'labels' | 'decisions' | 'alerts'): string
  /** End offset of each partition of the transactions. */
  ends(): Promise<readonly number[]>
  /** Offset committed by the scorer for each partition of the transactions; 0 before the first commit. */
  committed(): Promise<readonly number[]>
}

/** Connects to servers that run. */
export async function openBenchServers(
  connection: KafkaConnection,
  redisConnection: RedisConnection,
): Promise<BenchServers> {
  const { brokers } = connection
  const redisUrl = redisConnection.url
  registerCompressionCodecs()
  const kafka = openKafka(connection, {
    clientId: 'sluice-bench',
    retry: { initialRetryTime: 50, maxRetryTime: 2_000, retries: 10 },
  })
  const opened: Closable[] = []
  try {
    const admin = kafka.admin()
    await admin.connect()
    opened.push({ close: () => admin.disconnect() })
    const redis = openRedis(redisConnection, { maxRetriesPerRequest: 1 })
    await redis.connect()
    opened.push({
      close: () => {
        redis.disconnect()
        return Promise.resolve()
      },
    })
    return {
      brokers,
      redisUrl,
      kafka,
      admin,
      redis,
      codecs: createCodecs(await new FileRegistry().load()),
      versions: await readServerVersions(brokers[0] ?? '', redis),
      processes: await findProcesses(brokers, redisUrl),
      close: () => closeAll(opened),
    }
  } catch (error) {
    await closeAll(opened).catch(() => undefined)
    throw error
  }
}

/** Creates the topics of a new stream. */
export async function openBenchStream(servers: BenchServers): Promise<BenchStream> {
  const { admin, redis } = servers
  const streamId = `bench-${randomUUID().slice(0, 8)}`
  const prefix = `${streamId}.`
  const groupId = `${streamId}-scorer`
  const transactions = topicName(prefix, 'transactions')
  await createTopics(admin, prefix, { partitionCount: PARTITION_COUNT, replicationFactor: 1 })
  return {
    prefix,
    groupId,
    streamId,
    topic: (name) => topicName(prefix, name),
    ends: async () =>
      byPartition(
        (await admin.fetchTopicOffsets(transactions)).map(({ partition, high }) => ({
          partition,
          offset: high,
        })),
      ),
    committed: async () => {
      const [topic] = await admin.fetchOffsets({ groupId, topics: [transactions] })
      return byPartition(topic?.partitions ?? [])
    },
    close: async () => {
      await deleteTopics(admin, prefix)
      await admin.deleteGroups([groupId]).catch(() => undefined)
      await deleteStreamState(redis, streamId)
    },
  }
}

/** Resolves once every offset below `ends` is committed. */
export async function untilCommitted(
  stream: BenchStream,
  ends: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const committed = await stream.committed()
    if (ends.every((end, partition) => (committed[partition] ?? 0) >= end)) return
    await sleepMs(COMMIT_POLL_MS, undefined, { signal })
  }
}

function byPartition(
  entries: readonly { readonly partition: number; readonly offset: string }[],
): readonly number[] {
  const offsets = new Array<number>(PARTITION_COUNT).fill(0)
  for (const { partition, offset } of entries) offsets[partition] = Math.max(0, Number(offset))
  return offsets
}

/** Pids of our own local servers, also when their addresses came by the environment. */
async function findProcesses(brokers: readonly string[], redisUrl: string): Promise<Processes> {
  const { kafka, redis } = await stackStatus(repositoryRoot(), {})
  return {
    kafka: brokers.length === 1 && kafka.address === brokers[0] ? kafka.pid : null,
    redis: redis.address === redisUrl ? redis.pid : null,
  }
}
