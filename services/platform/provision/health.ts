// Does a Kafka or a Redis answer? Real clients ask, since an open port says little about what is behind it.

import { SluiceError } from '../../core/errors.ts'
import { pollUntil } from './poll.ts'
import { isListening } from './ports.ts'

const CONNECT_LIMIT_MS = 1_000
const REQUEST_LIMIT_MS = 3_000
// A server given by address may just be starting, as in a CI job.
const GIVEN_LIMIT = { limitMs: 10_000, everyMs: 250 }

/** True when a broker answers and knows itself as ready, with a controller. */
export async function kafkaAnswers(brokers: readonly string[]): Promise<boolean> {
  const { Kafka, logLevel } = await import('kafkajs')
  const admin = new Kafka({
    clientId: 'sluice-provision',
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: CONNECT_LIMIT_MS,
    requestTimeout: REQUEST_LIMIT_MS,
    retry: { retries: 0 },
  }).admin()
  try {
    await admin.connect()
    const cluster = await admin.describeCluster()
    return cluster.brokers.length > 0 && cluster.controller !== null
  } catch {
    return false
  } finally {
    await admin.disconnect().catch(() => undefined)
  }
}

/** True when a Redis answers PING (one that still loads its data does not). */
export async function redisAnswers(url: string): Promise<boolean> {
  const { Redis } = await import('ioredis')
  const client = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_LIMIT_MS,
    commandTimeout: REQUEST_LIMIT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
    enableReadyCheck: false,
  })
  client.on('error', () => undefined)
  try {
    await client.connect()
    await client.ping()
    return true
  } catch {
    return false
  } finally {
    client.disconnect()
  }
}

/** As `kafkaAnswers` for one local port, but cheap while nothing listens yet. */
export async function localKafkaAnswers(port: number): Promise<boolean> {
  return (await isListening(port)) && (await kafkaAnswers([`127.0.0.1:${port}`]))
}

/** As `redisAnswers` for one local port, but cheap while nothing listens yet. */
export async function localRedisAnswers(port: number): Promise<boolean> {
  return (await isListening(port)) && (await redisAnswers(redisUrl(port)))
}

/** Address of a Redis on this machine. */
export function redisUrl(port: number): string {
  return `redis://127.0.0.1:${port}`
}

/** Broker address of a Kafka on this machine. */
export function kafkaBroker(port: number): string {
  return `127.0.0.1:${port}`
}

/** @throws SluiceError SLUICE_PROVISION_FAILED naming the variable when the given Kafka does not answer. */
export async function requireGivenKafka(
  brokers: readonly string[],
  signal?: AbortSignal,
): Promise<void> {
  if (await pollUntil(() => kafkaAnswers(brokers), { ...GIVEN_LIMIT, signal })) return
  throw new SluiceError(
    'SLUICE_PROVISION_FAILED',
    `No Kafka broker answers at SLUICE_KAFKA_BROKERS="${brokers.join(',')}". Start it, correct the addresses, or unset the variable to let Sluice start one.`,
  )
}

/** @throws SluiceError SLUICE_PROVISION_FAILED naming the variable when the given Redis does not answer. */
export async function requireGivenRedis(url: string, signal?: AbortSignal): Promise<void> {
  if (await pollUntil(() => redisAnswers(url), { ...GIVEN_LIMIT, signal })) return
  throw new SluiceError(
    'SLUICE_PROVISION_FAILED',
    `No Redis answers at SLUICE_REDIS_URL="${withoutPassword(url)}". Start it, correct the address, or unset the variable to let Sluice start one.`,
  )
}

/** The URL as it may be shown: without user and password. */
export function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//')
}
