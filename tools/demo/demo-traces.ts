// What a demo puts into Kafka and Redis, and how all of it goes away again: topics, consumer group, state keys.

import type { Admin } from 'kafkajs'
import { SluiceError } from '../../services/core/errors.ts'
import { openKafka } from '../../services/platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../services/platform/kafka/kafka-connection.ts'
import { explainKafka } from '../../services/platform/kafka/kafka-failure.ts'
import {
  PARTITION_COUNT_DEFAULT,
  createTopics,
  deleteTopics,
} from '../../services/platform/kafka/topics.ts'
import { deleteStreamState } from '../../services/platform/redis/delete-stream-state.ts'
import { openRedis } from '../../services/platform/redis/redis-client.ts'
import type { RedisConnection } from '../../services/platform/redis/redis-connection.ts'
import { DEMO_ENFORCER } from './demo-enforcer.ts'
import { demoIdOf, demoName } from './demo-record.ts'

const REDIS_COMMAND_MS_MAX = 5_000
const KAFKA_CONNECTION_MS_MAX = 3_000

/** Connects an admin client. The caller disconnects it. @throws SluiceError SLUICE_BROKER_UNAVAILABLE. */
export async function openDemoAdmin(connection: KafkaConnection): Promise<Admin> {
  const admin = openKafka(connection, {
    clientId: 'sluice-demo',
    connectionTimeout: KAFKA_CONNECTION_MS_MAX,
    retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 8 },
  }).admin()
  try {
    await admin.connect()
  } catch (error) {
    const refusal = await explainKafka(connection, error)
    if (refusal !== null) throw refusal
    throw new SluiceError(
      'SLUICE_BROKER_UNAVAILABLE',
      `Kafka at ${connection.brokers.join(',')} does not answer; check it with "sluice status".`,
      { cause: error },
    )
  }
  return admin
}

/** Creates the topics of one demo. */
export function createDemoTopics(admin: Admin, id: string): Promise<void> {
  return createTopics(admin, `${demoName(id)}.`, {
    partitionCount: PARTITION_COUNT_DEFAULT,
    replicationFactor: 1,
  })
}

/** Ids of demos that have topics or a group here and do not run any more. */
export async function leftoverDemoIds(
  admin: Admin,
  living: readonly string[],
): Promise<readonly string[]> {
  const { groups } = await admin.listGroups()
  const names = [...(await admin.listTopics()), ...groups.map(({ groupId }) => groupId)]
  const ids = new Set(names.map(demoIdOf))
  return [...ids].filter((id) => id !== null).filter((id) => !living.includes(id))
}

/** Removes everything of one demo. Goes on when a part fails and returns what did. */
export async function removeDemo(
  admin: Admin,
  redis: RedisConnection,
  id: string,
): Promise<readonly string[]> {
  const failures: string[] = []
  const attempt = async (what: string, remove: () => Promise<unknown>): Promise<void> => {
    try {
      await remove()
    } catch (error) {
      failures.push(`${what} (${error instanceof Error ? error.message : String(error)})`)
    }
  }
  await Promise.all([
    attempt('topics', () => deleteTopics(admin, `${demoName(id)}.`)),
    // Absent when the scorer never came as far as to commit.
    admin.deleteGroups(groupsOf(id)).catch(() => undefined),
    attempt('Redis keys', () => deleteState(redis, demoName(id))),
  ])
  return failures
}

function groupsOf(id: string): string[] {
  return [demoName(id), `${demoName(id)}.sluice-enforcer-${DEMO_ENFORCER}`]
}

async function deleteState(connection: RedisConnection, streamId: string): Promise<void> {
  const redis = openRedis(connection, {
    enableReadyCheck: false,
    maxRetriesPerRequest: 1,
    commandTimeout: REDIS_COMMAND_MS_MAX,
    retryStrategy: () => null,
  })
  try {
    await redis.connect()
    await deleteStreamState(redis, streamId)
  } finally {
    redis.disconnect()
  }
}
