// The record of running demos in .sluice/run/demos/. `sluice alerts tail` finds the running demo by it, and the traces
// of a killed demo are distinguished from those of a running one.

import { mkdirSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { Admin } from 'kafkajs'
import { z } from 'zod'
import { SluiceError } from '../../services/core/errors.ts'
import { parseJson } from '../../services/core/parse-json.ts'
import {
  readFileIfPresent,
  writeFileAtomically,
} from '../../services/platform/files/atomic-file.ts'
import { openKafka } from '../../services/platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../services/platform/kafka/kafka-connection.ts'
import { explainKafka } from '../../services/platform/kafka/kafka-failure.ts'
import {
  createTopics,
  deleteTopics,
  PARTITION_COUNT_DEFAULT,
} from '../../services/platform/kafka/topics.ts'
import { identify, isAlive } from '../../services/platform/process-identity.ts'
import { deleteStreamState } from '../../services/platform/redis/delete-stream-state.ts'
import { openRedis } from '../../services/platform/redis/redis-client.ts'
import type { RedisConnection } from '../../services/platform/redis/redis-connection.ts'
import { IDENTITY } from '../servers/stack-record.ts'
import { DEMO_ENFORCER } from './demo-enforcer.ts'

const RECORD = z
  .object({
    id: z.string().regex(/^[0-9a-z]{4,32}$/),
    process: IDENTITY,
    brokers: z.array(z.string()).readonly(),
    topicPrefix: z.string(),
    startedAtMs: z.number(),
  })
  .readonly()

/** One demo. All its names begin with its id: `demo-<id>`. */
export type DemoRecord = z.infer<typeof RECORD>

/** The names of the demo's topics, consumer group and stream all begin with this; no other name does. */
export function demoName(id: string): string {
  return `demo-${id}`
}

/** The id in the name of a demo's topic or group, or null. */
export function demoIdOf(name: string): string | null {
  return /^demo-([0-9a-z]{4,32})(?:\.|$)/.exec(name)?.[1] ?? null
}

/** Writes the record of this process's demo; the returned function removes it. */
export function writeDemoRecord(
  stateFolder: string,
  record: Omit<DemoRecord, 'process'>,
): () => void {
  const me = identify(process.pid)
  const folder = recordFolder(stateFolder)
  mkdirSync(folder, { recursive: true })
  const file = join(folder, `${record.id}.json`)
  if (me !== null) writeFileAtomically(file, `${JSON.stringify({ ...record, process: me })}\n`)
  return () => {
    rmSync(file, { force: true })
  }
}

/** Running demos, newest first. Records of dead ones are removed. */
export function readLivingDemos(stateFolder: string): readonly DemoRecord[] {
  const folder = recordFolder(stateFolder)
  const living: DemoRecord[] = []
  for (const name of listFiles(folder)) {
    const record = parseDemoRecord(readFileIfPresent(join(folder, name)) ?? '')
    if (record !== null && isAlive(record.process)) living.push(record)
    else rmSync(join(folder, name), { force: true })
  }
  return living.sort((a, b) => b.startedAtMs - a.startedAtMs)
}

/** Parses a record, or returns null when the text is not one. */
export function parseDemoRecord(text: string): DemoRecord | null {
  return parseJson(RECORD, text)
}

function recordFolder(stateFolder: string): string {
  return join(stateFolder, 'run', 'demos')
}

function listFiles(folder: string): readonly string[] {
  try {
    return readdirSync(folder).filter((name) => name.endsWith('.json'))
  } catch {
    return [] // no demo has ever run
  }
}

// The traces of a demo in Kafka and Redis, and their removal: topics, consumer groups, state keys.

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

/** Ids of demos that have topics or a group here and no longer run. */
export async function leftoverDemoIds(
  admin: Admin,
  living: readonly string[],
): Promise<readonly string[]> {
  const { groups } = await admin.listGroups()
  const names = [...(await admin.listTopics()), ...groups.map(({ groupId }) => groupId)]
  const ids = new Set(names.map(demoIdOf))
  return [...ids].filter((id) => id !== null).filter((id) => !living.includes(id))
}

/** Removes everything of one demo. Continues when a part fails, and returns the failures. */
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
    // Absent when the scorer never committed.
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
