// What runs, as far as can be seen now.

import type { SluiceError } from '../../services/core/errors.ts'
import { withoutPassword } from '../../services/platform/redis/redis-connection.ts'
import {
  kafkaAnswers,
  kafkaBroker,
  kafkaProblem,
  redisAnswers,
  redisProblem,
  redisUrl,
} from './health.ts'
import { isAlive } from '../../services/platform/process-identity.ts'
import type { Provider } from './stack.ts'
import { readGivenAddresses } from './stack-choice.ts'
import { stackPaths } from './stack-paths.ts'
import { readRecord, type ServerRecord } from './stack-record.ts'

/** `up` answers; `sick` runs without answering; `down` does not run. */
type ServerState = 'up' | 'sick' | 'down'

export interface ServerStatus {
  readonly state: ServerState
  /** Null when nothing is recorded and no address is given. */
  readonly provider: Provider | null
  /** Broker addresses or Redis URL (without password), comma-separated; null when unknown. */
  readonly address: string | null
  readonly pid: number | null
  /** Why it refuses us; only of a server given by address. */
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

/** Looks at the record, the processes and the servers. Changes nothing. */
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
