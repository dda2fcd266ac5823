// Health of a Kafka or a Redis, as a real client sees it: an open port says little about the server behind it.

import type { Redis } from 'ioredis'
import { isSluiceError, SluiceError } from '../../services/core/errors.ts'
import type { KafkaConnection } from '../../services/platform/kafka/kafka-connection.ts'
import {
  withoutPassword,
  type RedisConnection,
} from '../../services/platform/redis/redis-connection.ts'
import { pollUntil } from './run-program.ts'
import { isListening } from './ports.ts'

const CONNECT_LIMIT_MS = 1_000
const REQUEST_LIMIT_MS = 3_000
// A server given by address may still be starting, as in a CI job.
const GIVEN_LIMIT = { limitMs: 10_000, everyMs: 250 }

/** True when a broker answers and reports itself ready, with a controller. */
export async function kafkaAnswers(brokers: readonly string[]): Promise<boolean> {
  return (await kafkaProblem({ brokers })) === null
}

/** The reason why Kafka cannot be used: its refusal, or that it does not answer; null when it works. */
export async function kafkaProblem(
  connection: KafkaConnection,
): Promise<SluiceError | 'no answer' | null> {
  const asked = await askKafka(connection)
  return typeof asked === 'object' && 'clusterId' in asked ? null : asked
}

async function askKafka(
  connection: KafkaConnection,
): Promise<{ readonly clusterId: string } | SluiceError | 'no answer'> {
  // Loaded here, so that commands without Kafka do not wait for it.
  const [{ openKafka }, { explainKafka }] = await Promise.all([
    import('../../services/platform/kafka/kafka-client.ts'),
    import('../../services/platform/kafka/kafka-failure.ts'),
  ])
  const admin = openKafka(connection, {
    clientId: 'sluice-provision',
    connectionTimeout: CONNECT_LIMIT_MS,
    requestTimeout: REQUEST_LIMIT_MS,
    retry: { retries: 0 },
  }).admin()
  try {
    await admin.connect()
    const { brokers, controller, clusterId } = await admin.describeCluster()
    return brokers.length > 0 && controller !== null ? { clusterId } : 'no answer'
  } catch (error) {
    return (await explainKafka(connection, error)) ?? 'no answer'
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

/** True when a Redis answers PING (one that still loads its data does not). */
export async function redisAnswers(url: string): Promise<boolean> {
  return (await redisProblem({ url })) === null
}

/** The reason why Redis cannot be used: its refusal, or that it does not answer; null when it works. */
export async function redisProblem(
  connection: RedisConnection,
): Promise<SluiceError | 'no answer' | null> {
  const asked = await askRedis(connection, () => Promise.resolve(null))
  return typeof asked === 'object' && 'answer' in asked ? null : asked
}

/** A Redis that still loads its data does not answer. */
async function askRedis<Answer>(
  connection: RedisConnection,
  ask: (client: Redis) => Promise<Answer>,
): Promise<{ readonly answer: Answer } | SluiceError | 'no answer'> {
  const [{ openRedis }, { explainRedis }] = await Promise.all([
    import('../../services/platform/redis/redis-client.ts'),
    import('../../services/platform/redis/redis-failure.ts'),
  ])
  const client = openRedis(connection, {
    connectTimeout: CONNECT_LIMIT_MS,
    commandTimeout: REQUEST_LIMIT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    enableReadyCheck: false,
  })
  let firstFailure: Error | null = null
  client.once('error', (error: Error) => {
    firstFailure = error
  })
  try {
    await client.connect()
    await client.ping()
    return { answer: await ask(client) }
  } catch (error) {
    return (await explainRedis(connection, firstFailure, error)) ?? 'no answer'
  } finally {
    client.disconnect()
  }
}

/** True when the broker on this local port is ready and belongs to this cluster. Cheap while nothing listens. */
export async function localKafkaAnswers(port: number, clusterId: string): Promise<boolean> {
  if (!(await isListening(port))) return false
  const asked = await askKafka({ brokers: [kafkaBroker(port)] })
  return typeof asked === 'object' && 'clusterId' in asked && asked.clusterId === clusterId
}

/** True when the Redis on this local port answers and is this process. Cheap while nothing listens. */
export async function localRedisAnswers(port: number, pid: number): Promise<boolean> {
  if (!(await isListening(port))) return false
  const asked = await askRedis({ url: redisUrl(port) }, (client) => client.info('server'))
  const info = typeof asked === 'object' && 'answer' in asked ? asked.answer : ''
  return /^process_id:(\d+)/m.exec(info)?.[1] === String(pid)
}

/** Address of a Redis on this machine. */
export function redisUrl(port: number): string {
  return `redis://127.0.0.1:${port}`
}

/** Broker address of a Kafka on this machine. */
export function kafkaBroker(port: number): string {
  return `127.0.0.1:${port}`
}

/** @throws SluiceError of a refusal, or SLUICE_PROVISION_FAILED when the given Kafka does not answer. */
export async function requireGivenKafka(
  connection: KafkaConnection,
  signal?: AbortSignal,
): Promise<void> {
  if (await answersInTime(() => kafkaProblem(connection), signal)) return
  throw new SluiceError(
    'SLUICE_PROVISION_FAILED',
    `No Kafka broker answers at SLUICE_KAFKA_BROKERS="${connection.brokers.join(',')}". Start it, correct the addresses, or unset the variable to let Sluice start one.`,
  )
}

/** @throws SluiceError of a refusal, or SLUICE_PROVISION_FAILED when the given Redis does not answer. */
export async function requireGivenRedis(
  connection: RedisConnection,
  signal?: AbortSignal,
): Promise<void> {
  if (await answersInTime(() => redisProblem(connection), signal)) return
  throw new SluiceError(
    'SLUICE_PROVISION_FAILED',
    `No Redis answers at SLUICE_REDIS_URL="${withoutPassword(connection.url)}". Start it, correct the address, or unset the variable to let Sluice start one.`,
  )
}

/** A server that refuses will refuse again. One that does not answer, or breaks off a handshake, may be starting. */
async function answersInTime(
  look: () => Promise<SluiceError | 'no answer' | null>,
  signal: AbortSignal | undefined,
): Promise<boolean> {
  const seen: { problem: SluiceError | 'no answer' | null } = { problem: null }
  await pollUntil(
    async () => {
      seen.problem = await look()
      return seen.problem === null || isSluiceError(seen.problem, 'SLUICE_ACCESS_DENIED')
    },
    { ...GIVEN_LIMIT, signal },
  )
  if (seen.problem instanceof SluiceError) throw seen.problem
  return seen.problem === null
}
