// Where Kafka and Redis come from: addresses in the environment, Docker Compose, or local processes.

import { EnvReader } from '../../services/platform/config/env-reader.ts'
import type { VariableValue } from '../../services/platform/config/variables.ts'
import {
  loadKafkaConnection,
  type KafkaSecurity,
} from '../../services/platform/kafka/kafka-connection.ts'
import {
  loadRedisConnection,
  type RedisSecurity,
} from '../../services/platform/redis/redis-connection.ts'
import { dockerEngineVersion } from './compose.ts'
import { isAlive } from '../../services/platform/process-identity.ts'
import type { StackRecord } from './stack-record.ts'

/** What the environment says about Kafka and Redis. */
export interface GivenAddresses {
  /** Null when SLUICE_KAFKA_BROKERS is not set. */
  readonly brokers: readonly string[] | null
  readonly kafkaSecurity: KafkaSecurity | undefined
  /** Without user and password; null when SLUICE_REDIS_URL is not set. */
  readonly redisUrl: string | null
  readonly redisSecurity: RedisSecurity | undefined
  readonly provider: VariableValue<'SLUICE_STACK_PROVIDER'>
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming the bad variable. */
export function readGivenAddresses(env: NodeJS.ProcessEnv): GivenAddresses {
  const read = new EnvReader(env)
  const kafka = loadKafkaConnection(read)
  const redis = loadRedisConnection(read)
  // An address that nobody gave is no address here: then servers are started.
  const brokers = read.isSet('SLUICE_KAFKA_BROKERS') ? kafka.brokers : null
  const redisUrl = read.isSet('SLUICE_REDIS_URL') ? redis.url : null
  const provider = read.value('SLUICE_STACK_PROVIDER')
  for (const broker of brokers ?? []) {
    read.check(
      /^[^:\s/]+:\d{1,5}$/.test(broker) || /^\[[0-9a-f:]+\]:\d{1,5}$/i.test(broker),
      `SLUICE_KAFKA_BROKERS has "${broker}", which is not host:port; for example 127.0.0.1:9092.`,
    )
  }
  // A server that Sluice starts itself asks for neither.
  read.check(
    kafka.security === undefined || brokers !== null,
    'SLUICE_KAFKA_TLS or SLUICE_KAFKA_SASL_MECHANISM is set without SLUICE_KAFKA_BROKERS; say where that Kafka is.',
  )
  read.check(
    redis.security === undefined || redisUrl !== null,
    'SLUICE_REDIS_USERNAME or SLUICE_REDIS_PASSWORD is set without SLUICE_REDIS_URL; say where that Redis is.',
  )
  read.throwIfInvalid()
  return {
    brokers,
    kafkaSecurity: kafka.security,
    redisUrl,
    redisSecurity: redis.security,
    provider,
  }
}

/** Compose or local, for the servers that no address was given for. What runs already decides first. */
export async function chooseProvider(
  record: StackRecord,
  given: GivenAddresses,
): Promise<'compose' | 'local'> {
  if (given.provider !== 'auto') return given.provider
  const needed = [
    ...(given.brokers === null ? [record.kafka] : []),
    ...(given.redisUrl === null ? [record.redis] : []),
  ]
  const run = needed.map((server) => server?.process ?? null)
  if (run.every((identity) => identity !== null && isAlive(identity))) return 'local'
  return (await dockerEngineVersion(process.env['PATH'])) === null ? 'local' : 'compose'
}
