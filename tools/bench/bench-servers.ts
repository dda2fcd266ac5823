// Servers that a benchmark runs against, and streams on them that are removed completely afterwards.

import assert from 'node:assert/strict'
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { extname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleepMs } from 'node:timers/promises'
import type { Redis } from 'ioredis'
import type { Admin, Kafka } from 'kafkajs'
import { repositoryRoot } from '../../services/cli/command.ts'
import { type Codecs, createCodecs } from '../../services/core/wire/codecs.ts'
import { registerCompressionCodecs } from '../../services/platform/kafka/compression.ts'
import { openKafka } from '../../services/platform/kafka/kafka-client.ts'
import type { KafkaConnection } from '../../services/platform/kafka/kafka-connection.ts'
import { createTopics, deleteTopics, topicName } from '../../services/platform/kafka/topics.ts'
import { type Closable, closeAll } from '../../services/platform/lifecycle.ts'
import { deleteStreamState } from '../../services/platform/redis/delete-stream-state.ts'
import { openRedis } from '../../services/platform/redis/redis-client.ts'
import type { RedisConnection } from '../../services/platform/redis/redis-connection.ts'
import { FileRegistry } from '../../services/platform/registry/file-registry.ts'
import { stackStatus } from '../servers/stack-choice.ts'
import { readServerVersions, type ServerVersions } from './machine.ts'
import type { Processes } from './process-meter.ts'

export const PARTITION_COUNT = 4
const COMMIT_POLL_MS = 50

export interface BenchServers extends Closable {
  readonly brokers: readonly string[]
  readonly redisUrl: string
  readonly kafka: Kafka
  readonly admin: Admin
  readonly redis: Redis
  readonly codecs: Codecs
  readonly versions: ServerVersions
  /** Servers whose process we can observe; the others are null. */
  readonly processes: Processes
}

/** One stream: topics, group and state of its own. Closing deletes all of it. */
export interface BenchStream extends Closable {
  readonly prefix: string
  readonly groupId: string
  readonly streamId: string
  topic(name: 'transactions' | 'labels' | 'decisions' | 'alerts'): string
  /** End offset of each partition of the transactions. */
  ends(): Promise<readonly number[]>
  /** Offset committed by the scorer for each partition of the transactions; 0 before the first commit. */
  committed(): Promise<readonly number[]>
}

/** Connects to servers that run. */
export async function openBenchServers(
  connection: KafkaConnection,
  redisConnection: RedisConnection,
): Promise<BenchServers> {
  const { brokers } = connection
  const redisUrl = redisConnection.url
  registerCompressionCodecs()
  const kafka = openKafka(connection, {
    clientId: 'sluice-bench',
    retry: { initialRetryTime: 50, maxRetryTime: 2_000, retries: 10 },
  })
  const opened: Closable[] = []
  try {
    const admin = kafka.admin()
    await admin.connect()
    opened.push({ close: () => admin.disconnect() })
    const redis = openRedis(redisConnection, { maxRetriesPerRequest: 1 })
    await redis.connect()
    opened.push({
      close: () => {
        redis.disconnect()
        return Promise.resolve()
      },
    })
    return {
      brokers,
      redisUrl,
      kafka,
      admin,
      redis,
      codecs: createCodecs(await new FileRegistry().load()),
      versions: await readServerVersions(brokers[0] ?? '', redis),
      processes: await findProcesses(brokers, redisUrl),
      close: () => closeAll(opened),
    }
  } catch (error) {
    await closeAll(opened).catch(() => undefined)
    throw error
  }
}

/** Creates the topics of a new stream. */
export async function openBenchStream(servers: BenchServers): Promise<BenchStream> {
  const { admin, redis } = servers
  const streamId = `bench-${randomUUID().slice(0, 8)}`
  const prefix = `${streamId}.`
  const groupId = `${streamId}-scorer`
  const transactions = topicName(prefix, 'transactions')
  await createTopics(admin, prefix, { partitionCount: PARTITION_COUNT, replicationFactor: 1 })
  return {
    prefix,
    groupId,
    streamId,
    topic: (name) => topicName(prefix, name),
    ends: async () =>
      byPartition(
        (await admin.fetchTopicOffsets(transactions)).map(({ partition, high }) => ({
          partition,
          offset: high,
        })),
      ),
    committed: async () => {
      const [topic] = await admin.fetchOffsets({ groupId, topics: [transactions] })
      return byPartition(topic?.partitions ?? [])
    },
    close: async () => {
      await deleteTopics(admin, prefix)
      await admin.deleteGroups([groupId]).catch(() => undefined)
      await deleteStreamState(redis, streamId)
    },
  }
}

/** Resolves once every offset below `ends` is committed. */
export async function untilCommitted(
  stream: BenchStream,
  ends: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const committed = await stream.committed()
    if (ends.every((end, partition) => (committed[partition] ?? 0) >= end)) return
    await sleepMs(COMMIT_POLL_MS, undefined, { signal })
  }
}

function byPartition(
  entries: readonly { readonly partition: number; readonly offset: string }[],
): readonly number[] {
  const offsets = new Array<number>(PARTITION_COUNT).fill(0)
  for (const { partition, offset } of entries) offsets[partition] = Math.max(0, Number(offset))
  return offsets
}

/** Pids of this project's local servers, also if the environment gives their addresses. */
async function findProcesses(brokers: readonly string[], redisUrl: string): Promise<Processes> {
  const { kafka, redis } = await stackStatus(repositoryRoot(), {})
  return {
    kafka: brokers.length === 1 && kafka.address === brokers[0] ? kafka.pid : null,
    redis: redis.address === redisUrl ? redis.pid : null,
  }
}

// Runs the scorer and the producer as separate processes, so that their costs are measured separately.

const STOP_MS_MAX = 15_000
const START_MS_MAX = 60_000
const TAIL_CHARACTERS = 4_000

export interface ScorerOptions {
  readonly batchSizeMax: number
  /** Folder for processor profiles, one per thread; null for none. */
  readonly profileFolder: string | null
  /** More variables of the scorer. */
  readonly environment?: Readonly<Record<string, string>>
}

export interface RunningChild {
  readonly pid: number
  /** Rejects if the process ends without being asked to. */
  readonly failed: Promise<never>
  stop(): Promise<void>
  /** Kills the process, as a crash would. */
  kill(): Promise<void>
}

/** The fields of `sluice produce --json` that are used here. */
export interface ProducerSummary {
  readonly transactions: number
  readonly labels: number
  readonly elapsedMs: number
  readonly behindMs: number
}

export interface RunningProducer {
  readonly pid: number
  /** Resolves when everything is sent and acknowledged. */
  readonly done: Promise<ProducerSummary>
  kill(): void
}

/** Starts a scorer on the stream; resolves once it has joined the group. */
export async function startScorer(
  servers: BenchServers,
  stream: BenchStream,
  { batchSizeMax, profileFolder, environment }: ScorerOptions,
): Promise<RunningChild> {
  const profile = profileFolder === null ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileFolder}`]
  const child = fork(entry('scorer'), [], {
    execArgv: [...profile],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    env: {
      ...childEnv(servers),
      SLUICE_TOPIC_PREFIX: stream.prefix,
      SLUICE_GROUP_ID: stream.groupId,
      SLUICE_STREAM_ID: stream.streamId,
      SLUICE_ALIGNMENT: 'live',
      SLUICE_MODE: 'flag',
      SLUICE_BATCH_SIZE_MAX: String(batchSizeMax),
      SLUICE_METRICS_PORT: '0',
      SLUICE_LOG_LEVEL: 'warn',
      ...environment,
    },
  })
  const { failed, exited } = watch(child, 'scorer')
  const ready = new Promise<void>((resolve) => {
    child.on('message', (message) => {
      if ((message as { readonly kind?: string }).kind === 'ready') resolve()
    })
  })
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
    await exited
    clearTimeout(late)
  }
  const tooLong = setTimeout(() => child.kill('SIGKILL'), START_MS_MAX)
  try {
    await Promise.race([ready, failed])
  } finally {
    clearTimeout(tooLong)
  }
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  assert(child.pid !== undefined, 'A scorer that is ready has a process.')
  return { pid: child.pid, failed, stop, kill }
}

export interface RunningGateway extends RunningChild {
  readonly url: string
  readonly token: string
}

/** Starts `sluice gateway` on the stream; resolves once it answers. */
export async function startGateway(
  servers: BenchServers,
  stream: BenchStream,
  deadlineMs: number,
): Promise<RunningGateway> {
  const token = randomUUID()
  const child = spawn(process.execPath, [entry('cli'), 'gateway'], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...childEnv(servers),
      SLUICE_TOPIC_PREFIX: stream.prefix,
      SLUICE_METRICS_PORT: '0',
      SLUICE_GATEWAY_PORT: '0',
      SLUICE_GATEWAY_TOKENS: `bench:${token}`,
      SLUICE_GATEWAY_DEADLINE_MS: String(deadlineMs),
      SLUICE_GATEWAY_REQUESTS_PER_SECOND_MAX: '1000000',
      SLUICE_GATEWAY_DRAIN_MS: '0',
      SLUICE_LOG_LEVEL: 'warn',
    },
  })
  const { failed, exited } = watch(child, 'gateway')
  const ready = new Promise<string>((resolve) => {
    let log = ''
    child.stderr.on('data', (chunk: string) => {
      log = (log + chunk).slice(-TAIL_CHARACTERS)
      const [, url] = /gateway: (http:\/\/\S+)\n/.exec(log) ?? []
      if (url !== undefined) resolve(url)
    })
  })
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM')
    const late = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
    await exited
    clearTimeout(late)
  }
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exited
  }
  const url = await Promise.race([ready, failed])
  assert(child.pid !== undefined, 'A gateway that is ready has a process.')
  return { pid: child.pid, failed, stop, kill, url, token }
}

/** Starts `sluice produce simulate` on the stream. */
export function startProducer(
  servers: BenchServers,
  stream: BenchStream,
  args: readonly string[],
): RunningProducer {
  const all = ['produce', 'simulate', '--json', '--topic-prefix', stream.prefix, ...args]
  const child = spawn(process.execPath, [entry('cli'), ...all], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: childEnv(servers),
  })
  const { failed, exited } = watch(child, 'producer')
  const output = text(child.stdout)
  const done = Promise.race([exited, failed]).then(
    async () => JSON.parse(await output) as ProducerSummary,
  )
  done.catch(() => undefined)
  assert(child.pid !== undefined, 'The producer could be started.')
  return {
    pid: child.pid,
    done,
    kill: () => {
      child.kill('SIGTERM')
    },
  }
}

function watch(
  child: ChildProcess,
  name: string,
): { readonly failed: Promise<never>; readonly exited: Promise<void> } {
  let tail = ''
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    tail = (tail + chunk).slice(-TAIL_CHARACTERS)
  })
  const exited = new Promise<void>((resolve) => {
    child.once('close', () => {
      resolve()
    })
  })
  const failed = new Promise<never>((_, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      const how = signal ?? `code ${code ?? 'unknown'}`
      if (code !== 0) reject(new Error(`The ${name} ended with ${how}.\n${tail}`))
    })
  })
  failed.catch(() => undefined)
  return { failed, exited }
}

/** Entry of a service, in the form in which this file runs: TypeScript or compiled. */
function entry(service: 'scorer' | 'cli'): string {
  return join(import.meta.dirname, `../../services/${service}/main${extname(import.meta.filename)}`)
}

function childEnv({ brokers, redisUrl, redis }: BenchServers): NodeJS.ProcessEnv {
  return {
    ...process.env,
    // Under a test runner, children would otherwise report to it.
    NODE_TEST_CONTEXT: undefined,
    SLUICE_KAFKA_BROKERS: brokers.join(','),
    // With a password, the child inherits the URL, or the variables, that carry it; `redisUrl` has no password.
    ...((redis.options.password ?? '') === '' ? { SLUICE_REDIS_URL: redisUrl } : {}),
  }
}
