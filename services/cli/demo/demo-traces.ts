// What a demo puts into Kafka and Redis, and how all of it goes away again: topics, consumer group, state keys.

import { Redis } from 'ioredis'
import kafkajs, { type Admin } from 'kafkajs'
import { SluiceError } from '../../core/errors.ts'
import { PARTITION_COUNT_DEFAULT, createTopics, deleteTopics } from '../../platform/kafka/topics.ts'
import { deleteStreamState } from '../../platform/redis/delete-stream-state.ts'
import { demoIdOf, demoName } from './demo-record.ts'

const REDIS_COMMAND_MS_MAX = 5_000
const KAFKA_CONNECTION_MS_MAX = 3_000

/** Connects an admin client. The caller disconnects it. @throws SluiceError SLUICE_BROKER_UNAVAILABLE. */
export async function openDemoAdmin(brokers: readonly string[]): Promise<Admin> {
  const admin = new kafkajs.Kafka({
    clientId: 'sluice-demo',
    brokers: [...brokers],
    logLevel: kafkajs.logLevel.NOTHING,
    connectionTimeout: KAFKA_CONNECTION_MS_MAX,
    retry: { initialRetryTime: 50, maxRetryTime: 1_000, retries: 8 },
  }).admin()
  try {
    await admin.connect()
  } catch (error) {
    throw new SluiceError(
      'SLUICE_BROKER_UNAVAILABLE',
      `Kafka at ${brokers.join(',')} does not answer; check it with "sluice status".`,
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
  redisUrl: string,
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
    admin.deleteGroups([demoName(id)]).catch(() => undefined),
    attempt('Redis keys', () => deleteState(redisUrl, demoName(id))),
  ])
  return failures
}

async function deleteState(url: string, streamId: string): Promise<void> {
  const redis = new Redis(url, {
    lazyConnect: true,
    maxRetriesPerRequest: 1,
    commandTimeout: REDIS_COMMAND_MS_MAX,
    retryStrategy: () => null,
  })
  // The command that fails says so; without a listener ioredis would print it too.
  redis.on('error', () => undefined)
  try {
    await redis.connect()
    await deleteStreamState(redis, streamId)
  } finally {
    redis.disconnect()
  }
}
