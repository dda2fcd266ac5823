// Sizing: memory in Redis and disk space of the broker that a stream uses, measured after one replay.

import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { TOPICS, topicName } from '../../services/platform/kafka/topics.ts'
import { closeAll, type Closable } from '../../services/platform/lifecycle.ts'
import { stackPaths } from '../servers/stack-record.ts'
import { streamKeyPattern } from '../../services/platform/redis/keys.ts'
import { repositoryRoot } from '../../services/cli/command.ts'
import { openBenchStream, type BenchServers, type BenchStream } from './bench-servers.ts'
import { fillStream, score, type BenchDeps, type ReplayOptions } from './replay-bench.ts'

const SCAN_COUNT = 1_000

export type SizingOptions = Pick<ReplayOptions, 'transactions' | 'cards' | 'batchSizeMax'>

/** Bytes of the values of one kind as Redis accounts them, including keys and overhead. */
export interface StateSize {
  readonly keys: number
  readonly bytes: number
  readonly bytesMean: number
  readonly bytesMax: number
}

export interface SizingResult {
  readonly options: SizingOptions
  readonly transactions: number
  readonly labels: number
  readonly cards: StateSize
  readonly entities: StateSize
  /** Growth of used_memory from before the stream to after it. */
  readonly redisUsedMemoryBytes: number
  /** Bytes on the broker's disk per transaction, by topic; null where the broker's folder cannot be read. */
  readonly diskBytesPerTransaction: Readonly<Record<string, number>> | null
}

/** Replays a stream of its own, measures what remains, and deletes it. */
export async function runSizingBench(
  options: SizingOptions,
  deps: BenchDeps,
): Promise<SizingResult> {
  const { servers, signal, onProgress } = deps
  const redisBytesBefore = await usedMemoryBytes(servers.redis)
  const stream = await openBenchStream(servers)
  const opened: Closable[] = [stream]
  const replay = { ...options, runs: 1, profileFile: null }
  try {
    onProgress('sizing: filling the topics')
    const { fill } = await fillStream(replay, servers, stream, opened, signal)
    onProgress('sizing: scoring')
    await score(replay, servers, { stream, ends: await stream.ends() }, opened, signal)
    onProgress('sizing: measuring')
    return {
      options,
      transactions: fill.transactions,
      labels: fill.labels,
      cards: await sizeOf(servers.redis, stream.streamId, ':c:', signal),
      entities: await sizeOf(servers.redis, stream.streamId, ':e:', signal),
      redisUsedMemoryBytes: (await usedMemoryBytes(servers.redis)) - redisBytesBefore,
      diskBytesPerTransaction: diskBytes(servers, stream, fill.transactions),
    }
  } finally {
    await closeAll(opened)
  }
}

async function usedMemoryBytes(redis: Redis): Promise<number> {
  return Number(/^used_memory:(\d+)/m.exec(await redis.info('memory'))?.[1] ?? NaN)
}

async function sizeOf(
  redis: Redis,
  streamId: string,
  mark: string,
  signal: AbortSignal,
): Promise<StateSize> {
  let size = { keys: 0, bytes: 0, bytesMax: 0 }
  let cursor = '0'
  do {
    signal.throwIfAborted()
    const [next, found] = await redis.scan(
      cursor,
      'MATCH',
      `${streamKeyPattern(streamId)}${mark}*`,
      'COUNT',
      SCAN_COUNT,
    )
    const sizes = await Promise.all(found.map((key) => redis.memory('USAGE', key, 'SAMPLES', 0)))
    for (const bytes of sizes.map(Number)) {
      size = {
        keys: size.keys + 1,
        bytes: size.bytes + bytes,
        bytesMax: Math.max(size.bytesMax, bytes),
      }
    }
    cursor = next
  } while (cursor !== '0')
  return { ...size, bytesMean: size.bytes / Math.max(1, size.keys) }
}

/** Sizes of the log segments. Only indexes are preallocated, so the sizes of .log files are exact. */
function diskBytes(
  servers: BenchServers,
  stream: BenchStream,
  transactions: number,
): Record<string, number> | null {
  if (servers.processes['kafka'] === null) return null
  const dataFolder = join(stackPaths(repositoryRoot()).kafkaFolder, 'data')
  const folders = readdirSync(dataFolder)
  return Object.fromEntries(
    TOPICS.map((name) => {
      const topic = topicName(stream.prefix, name)
      const bytes = folders
        .filter((folder) => folder.slice(0, folder.lastIndexOf('-')) === topic)
        .flatMap((folder) => logFiles(join(dataFolder, folder)))
        .reduce((sum, file) => sum + statSync(file).size, 0)
      return [name, bytes / transactions]
    }),
  )
}

function logFiles(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.log'))
    .map((name) => join(folder, name))
}
