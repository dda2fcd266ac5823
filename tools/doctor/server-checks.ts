// Checks of the running servers: whether they answer, their versions, and whether they are configured as Sluice needs.

import {
  sendsLoginInClear,
  type KafkaSecurity,
} from '../../services/platform/kafka/kafka-connection.ts'
import {
  withoutPassword,
  type RedisConnection,
} from '../../services/platform/redis/redis-connection.ts'
import { serverFault } from '../../services/platform/redis/server-info.ts'
import type { ServerStatus } from '../servers/stack-choice.ts'
import { readBrokerVersions, releaseOf } from './broker-versions.ts'
import { fail, ok, warn, type Check, type Finding } from './finding.ts'

const CONNECT_LIMIT_MS = 2_000
const START_REMEDY = 'Run: sluice up'
// Later brokers drop old protocol versions, but none that Sluice's client uses.
const METADATA_LEVEL_MIN = 20

export interface ServerChecksOptions {
  readonly kafka: ServerStatus
  readonly redis: ServerStatus
  readonly kafkaSecurity: KafkaSecurity | undefined
  /** Connection to Redis; null when unknown. */
  readonly redisConnection: RedisConnection | null
}

/** Checks of Kafka and Redis in their current state. */
export function serverChecks(options: ServerChecksOptions): readonly Check[] {
  return [
    { name: 'Kafka', look: () => checkKafka(options.kafka, options.kafkaSecurity) },
    { name: 'Redis', look: () => checkRedis(options.redis, options.redisConnection) },
  ]
}

async function checkKafka(
  status: ServerStatus,
  security: KafkaSecurity | undefined,
): Promise<Omit<Finding, 'name'>> {
  const stopped = notUp(status)
  if (stopped !== null) return stopped
  const address = status.address?.split(',')[0] ?? ''
  const colon = address.lastIndexOf(':')
  const { produce, fetch, features } = await readBrokerVersions(
    address.slice(0, colon).replace(/^\[|\]$/g, ''),
    Number(address.slice(colon + 1)),
    security?.tls ?? null,
  )
  const level = features.get('metadata.version')
  const release = level === undefined ? 'of unknown release' : releaseOf(level)
  const seen =
    `${release} at ${status.address ?? ''} (metadata.version ${level ?? 'unknown'}, ` +
    `Produce ${range(produce)}, Fetch ${range(fetch)})`
  if (level !== undefined && level < METADATA_LEVEL_MIN) {
    return warn(seen, 'Sluice is tested with Kafka 4.3; use 3.9 or newer.')
  }
  return sendsLoginInClear({ brokers: [], security })
    ? warn(seen, 'The login goes over the network without encryption; set SLUICE_KAFKA_TLS=true.')
    : ok(seen)
}

async function checkRedis(
  status: ServerStatus,
  connection: RedisConnection | null,
): Promise<Omit<Finding, 'name'>> {
  const stopped = notUp(status)
  if (stopped !== null || connection === null) return stopped ?? fail('no address', START_REMEDY)
  const { openRedis } = await import('../../services/platform/redis/redis-client.ts')
  const client = openRedis(connection, {
    connectTimeout: CONNECT_LIMIT_MS,
    commandTimeout: CONNECT_LIMIT_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  })
  try {
    await client.connect()
    return judgeRedis(withoutPassword(connection.url), await client.info())
  } finally {
    client.disconnect()
  }
}

/** Judges the text of Redis's INFO, which managed Redis also answers, although it refuses CONFIG. */
export function judgeRedis(address: string, info: string): Omit<Finding, 'name'> {
  const field = (name: string): string =>
    new RegExp(`^${name}:(.*)$`, 'm').exec(info)?.[1]?.trim() ?? 'unknown'
  const policy = field('maxmemory_policy')
  const hasLog = field('aof_enabled') === '1'
  const persistence = hasLog ? 'append-only file on' : 'append-only file off'
  const seen = `${field('redis_version')} at ${address} (${policy}, ${persistence})`
  const fault = serverFault(info)
  if (fault !== null) return fail(seen, `It ${fault}.`)
  if (policy !== 'noeviction') {
    return fail(
      seen,
      'Redis would drop card state when it is full. Run: redis-cli config set maxmemory-policy noeviction',
    )
  }
  if (!hasLog) {
    return warn(
      seen,
      'A restart of Redis would lose all state, and a rebuild takes long. Run: redis-cli config set appendonly yes',
    )
  }
  const broken = ['aof_last_write_status', 'aof_last_bgrewrite_status'].filter(
    (name) => field(name) === 'err',
  )
  if (broken.length > 0) {
    return warn(
      `${seen}, ${broken.join(' and ')}: err`,
      'Its file is not written: look at its log, and whether its disk is full.',
    )
  }
  return ok(seen)
}

function notUp(status: ServerStatus): Omit<Finding, 'name'> | null {
  switch (status.state) {
    case 'up':
      return null
    case 'sick':
      return fail(`runs at ${status.address ?? ''} without answering`, START_REMEDY)
    case 'down':
      return status.provider === 'environment'
        ? fail(
            `${status.problem === undefined ? 'does not answer' : 'refuses us'} at ${status.address ?? ''}`,
            status.problem ?? 'Start it, or correct SLUICE_KAFKA_BROKERS and SLUICE_REDIS_URL.',
          )
        : warn('does not run', START_REMEDY)
  }
}

function range(versions: readonly [number, number] | null): string {
  return versions === null ? 'not offered' : `${versions[0]} to ${versions[1]}`
}
