// Where Kafka and Redis come from: addresses in the environment, Docker Compose, or local processes.

import { EnvReader } from '../config/env-reader.ts'
import type { VariableValue } from '../config/variables.ts'
import { dockerEngineVersion } from './compose.ts'
import { isAlive } from './process-identity.ts'
import type { StackRecord } from './stack-record.ts'

/** What the environment says about Kafka and Redis. */
export interface GivenAddresses {
  /** Null when SLUICE_KAFKA_BROKERS is not set. */
  readonly brokers: readonly string[] | null
  /** Null when SLUICE_REDIS_URL is not set. */
  readonly redisUrl: string | null
  readonly provider: VariableValue<'SLUICE_STACK_PROVIDER'>
}

/** @throws SluiceError SLUICE_CONFIG_INVALID naming the bad variable. */
export function readGivenAddresses(env: NodeJS.ProcessEnv): GivenAddresses {
  const read = new EnvReader(env)
  // An address that nobody gave is no address here: then servers are started.
  const brokers = read.isSet('SLUICE_KAFKA_BROKERS') ? read.value('SLUICE_KAFKA_BROKERS') : null
  const redisUrl = read.isSet('SLUICE_REDIS_URL') ? read.value('SLUICE_REDIS_URL') : null
  const provider = read.value('SLUICE_STACK_PROVIDER')
  for (const broker of brokers ?? []) {
    read.check(
      /^[^:\s/]+:\d{1,5}$/.test(broker) || /^\[[0-9a-f:]+\]:\d{1,5}$/i.test(broker),
      `SLUICE_KAFKA_BROKERS has "${broker}", which is not host:port; for example 127.0.0.1:9092.`,
    )
  }
  read.check(
    redisUrl === null || /^rediss?:\/\/[^/]+/.test(redisUrl),
    'SLUICE_REDIS_URL is not a Redis URL; for example redis://127.0.0.1:6379.',
  )
  read.throwIfInvalid()
  return { brokers, redisUrl, provider }
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
