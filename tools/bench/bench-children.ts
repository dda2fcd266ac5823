// The scorer and the producer as processes of their own, so that what each of them costs can be told apart.

import { fork, spawn, type ChildProcess } from 'node:child_process'
import { extname, join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { BenchServers, BenchStream } from './bench-servers.ts'

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
  /** Rejects when the process ends without having been asked to. */
  readonly failed: Promise<never>
  stop(): Promise<void>
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>
}

/** What `sluice produce --json` prints, as far as it is used here. */
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
  return { pid: child.pid ?? 0, failed, stop, kill }
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
  return {
    pid: child.pid ?? 0,
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

/** The entry of a service, in the form in which this very file runs: TypeScript or compiled. */
function entry(service: 'scorer' | 'cli'): string {
  return join(import.meta.dirname, `../../services/${service}/main${extname(import.meta.filename)}`)
}

function childEnv({ brokers, redisUrl, redis }: BenchServers): NodeJS.ProcessEnv {
  return {
    ...process.env,
    // Under a test runner, children would otherwise report to it.
    NODE_TEST_CONTEXT: undefined,
    SLUICE_KAFKA_BROKERS: brokers.join(','),
    // With a password the URL in our environment carries it, or other variables do; this one does not.
    ...((redis.options.password ?? '') === '' ? { SLUICE_REDIS_URL: redisUrl } : {}),
  }
}
