// The provider of Kafka and Redis: addresses in the environment, Docker Compose, or local processes.

import type { SluiceError } from '../../services/core/errors.ts'
import { EnvReader } from '../../services/platform/config/env-reader.ts'
import type { VariableValue } from '../../services/platform/config/variables.ts'
import {
  type KafkaSecurity,
  loadKafkaConnection,
} from '../../services/platform/kafka/kafka-connection.ts'
import { isAlive } from '../../services/platform/process-identity.ts'
import {
  loadRedisConnection,
  type RedisSecurity,
  withoutPassword,
} from '../../services/platform/redis/redis-connection.ts'
import { dockerEngineVersion } from './compose.ts'
import {
  kafkaAnswers,
  kafkaBroker,
  kafkaProblem,
  redisAnswers,
  redisProblem,
  redisUrl,
} from './health.ts'
import { readRecord, type ServerRecord, stackPaths, type StackRecord } from './stack-record.ts'

export type Provider = 'environment' | 'compose' | 'local'

/** The settings of Kafka and Redis in the environment. */
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
  // A default address does not count here: without a given one, servers are started.
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

/**
 * Chooses Compose or local processes for the servers without a given address. A server that already runs takes
 * precedence.
 */
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

// The state of the servers, as observed now.

/** `up` answers; `sick` runs without answering; `down` does not run. */
type ServerState = 'up' | 'sick' | 'down'

export interface ServerStatus {
  readonly state: ServerState
  /** Null when nothing is recorded and no address is given. */
  readonly provider: Provider | null
  /** Broker addresses or Redis URL (without password), comma-separated; null when unknown. */
  readonly address: string | null
  readonly pid: number | null
  /** The reason why it cannot be used; only for a server given by address. */
  readonly problem?: string
}

export interface StackStatus {
  readonly kafka: ServerStatus
  readonly redis: ServerStatus
  /** True when `sluice up` asked to keep the servers running. */
  readonly kept: boolean
  /** Pids of living processes that use the servers. */
  readonly userPids: readonly number[]
}

/** Examines the record, the processes and the servers. Changes nothing. */
export async function stackStatus(
  root: string,
  env: NodeJS.ProcessEnv = process.env,
  stateFolder?: string,
): Promise<StackStatus> {
  const given = readGivenAddresses(env)
  const record = readRecord(stackPaths(root, stateFolder).recordFile)
  const [kafka, redis] = await Promise.all([
    given.brokers === null
      ? statusOf(record.kafka, kafkaBroker, (address) => kafkaAnswers([address]))
      : statusOfGiven(
          given.brokers.join(','),
          await kafkaProblem({ brokers: given.brokers, security: given.kafkaSecurity }),
        ),
    given.redisUrl === null
      ? statusOf(record.redis, redisUrl, redisAnswers)
      : statusOfGiven(
          withoutPassword(given.redisUrl),
          await redisProblem({ url: given.redisUrl, security: given.redisSecurity }),
        ),
  ])
  return {
    kafka,
    redis,
    kept: record.kept,
    userPids: record.users.filter(isAlive).map((user) => user.pid),
  }
}

async function statusOf(
  server: ServerRecord | null,
  addressOf: (port: number) => string,
  answers: (address: string) => Promise<boolean>,
): Promise<ServerStatus> {
  const port = server?.ports[0]
  if (server === null || port === undefined) {
    return { state: 'down', provider: null, address: null, pid: null }
  }
  const { provider, process: identity } = server
  const address = addressOf(port)
  if (identity !== null && !isAlive(identity)) {
    return { state: 'down', provider, address, pid: null }
  }
  const state = (await answers(address)) ? 'up' : identity === null ? 'down' : 'sick'
  return { state, provider, address, pid: identity?.pid ?? null }
}

function statusOfGiven(address: string, problem: SluiceError | 'no answer' | null): ServerStatus {
  const state = problem === null ? 'up' : 'down'
  const status: ServerStatus = { state, provider: 'environment', address, pid: null }
  return problem === null || problem === 'no answer'
    ? status
    : { ...status, problem: problem.message }
}
