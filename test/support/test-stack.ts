// Provides the tests' Kafka and Redis. In this order: addresses in the environment, local processes, containers by
// Testcontainers; otherwise the run fails and names what is missing. SLUICE_STACK_PROVIDER names one.

import { isSluiceError, SluiceError } from '../../services/core/errors.ts'
import { provisionStack } from '../../tools/servers/stack.ts'
import { stackPaths, readRecord } from '../../tools/servers/stack-record.ts'

/** Running servers, and a sentence on their origin. */
export interface TestStack {
  readonly brokers: readonly string[]
  readonly redisUrl: string
  /** True for a given address: the variable may contain a password, which the URL here does not. */
  readonly isRedisGiven: boolean
  /** Their provider, for the screen. */
  readonly origin: string
  readonly isContainers: boolean
  stop(): Promise<void>
}

export interface TestStackOptions {
  readonly root: string
  readonly env: NodeJS.ProcessEnv
  readonly onProgress: (line: string) => void
  readonly signal: AbortSignal
}

/** @throws SluiceError as `provisionStack` does, or SLUICE_PREREQUISITE_MISSING when no provider can be used. */
export async function provisionTestStack(options: TestStackOptions): Promise<TestStack> {
  const { env, onProgress } = options
  const named = env['SLUICE_STACK_PROVIDER'] ?? ''
  if (named === 'testcontainers') {
    // Requested by name: an address in the environment must not silently take its place.
    if ((env['SLUICE_KAFKA_BROKERS'] ?? '') !== '' || (env['SLUICE_REDIS_URL'] ?? '') !== '') {
      throw new SluiceError(
        'SLUICE_CONFIG_INVALID',
        'SLUICE_STACK_PROVIDER="testcontainers" and addresses are set; unset SLUICE_KAFKA_BROKERS and SLUICE_REDIS_URL.',
      )
    }
    return fromContainers(onProgress, null)
  }
  if (named !== '' && named !== 'auto') return fromServices(options, named)
  try {
    return await fromServices(options, hasCompose(options.root) ? 'auto' : 'local')
  } catch (error) {
    if (!isSluiceError(error, 'SLUICE_PREREQUISITE_MISSING')) throw error
    onProgress('local servers cannot be started; trying Testcontainers')
    return fromContainers(onProgress, error)
  }
}

/** True when `sluice up` runs servers with Compose: then those are used. */
function hasCompose(root: string): boolean {
  const { kafka, redis } = readRecord(stackPaths(root).recordFile)
  return kafka?.provider === 'compose' || redis?.provider === 'compose'
}

async function fromServices(
  { root, env, onProgress, signal }: TestStackOptions,
  provider: string,
): Promise<TestStack> {
  const stack = await provisionStack({
    root,
    env: { ...env, SLUICE_STACK_PROVIDER: provider },
    onProgress,
    signal,
  })
  return {
    brokers: stack.kafka.brokers,
    redisUrl: stack.redis.url,
    isRedisGiven: stack.redis.provider === 'environment',
    origin: `Kafka by ${stack.kafka.provider}, Redis by ${stack.redis.provider}`,
    isContainers: false,
    stop: () => stack.stop(),
  }
}

async function fromContainers(
  onProgress: (line: string) => void,
  localProblem: Error | null,
): Promise<TestStack> {
  // Loaded on demand: a Docker client is a lot to load for a run that has its servers.
  const { containerEngine, startContainerStack } = await import('./containers-stack.ts')
  if ((await containerEngine()) === null) {
    const local = localProblem === null ? '' : `${localProblem.message}\n`
    throw new SluiceError(
      'SLUICE_PREREQUISITE_MISSING',
      `${local}No Docker engine answers, so that Testcontainers cannot be used. Start one, correct DOCKER_HOST, or ` +
        'give addresses in SLUICE_KAFKA_BROKERS and SLUICE_REDIS_URL.',
    )
  }
  const stack = await startContainerStack(onProgress)
  return {
    ...stack,
    isRedisGiven: false,
    origin: 'Kafka and Redis by testcontainers',
    isContainers: true,
    stop: () => stack.stop(),
  }
}
