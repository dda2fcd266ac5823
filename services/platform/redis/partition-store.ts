// State of partitions in Redis: ownership, and the location of the state. The reads and writes of a micro-batch are in
// partition-session.ts.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { isSluiceError, SluiceError } from '../../core/errors.ts'
import {
  decodeProgress,
  pageRunsOf,
  type PartitionProgress,
} from '../../core/stream/partition-progress.ts'
import type { RedisOperation } from '../metrics/partition-metrics.ts'
import { type PartitionKeys, partitionKeys } from './keys.ts'
import { PartitionOwners } from './partition-owners.ts'
import {
  RedisPartitionSession,
  type SessionCommands,
  type SessionShared,
} from './partition-session.ts'
import type {
  PartitionSession,
  PartitionStatus,
  PartitionStore,
  PartitionStoreOptions,
} from './partition-store-contract.ts'
import { openRedis } from './redis-client.ts'
import { bareCause, explainRedis, redisRefusal } from './redis-failure.ts'
import { parseServerInfo, serverFault, type RedisServerInfo } from './server-info.ts'
import { StateCodec } from './state-codec.ts'
import { ValueCache } from './value-cache.ts'
import { within } from '../within.ts'

/** A connection without any reply for this long is closed and opened again. */
export const SILENCE_MS_MAX = 5_000
/** A new assignment reads the current epoch and claims over it; another owner may do so in between. */
const CLAIM_ATTEMPTS_MAX = 5

/** Replies of a server that may not be written, or cannot reply yet: a replica, or one that is loading its file. */
const NOT_WRITABLE = /^(?:READONLY|MASTERDOWN|LOADING)\b/

const script = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8')
const scripts = {
  fencedWrite: { lua: script('fenced-write.lua') },
  switchGeneration: { lua: script('switch-generation.lua'), numberOfKeys: 4 },
  claimPartition: { lua: script('claim.lua'), numberOfKeys: 1 },
}

/** Opens the client of the store, with the store's scripts. */
export function openPartitionRedis(options: PartitionStoreOptions): PartitionRedis {
  return openRedis(
    options,
    {
      maxRetriesPerRequest: 1,
      commandTimeout: SILENCE_MS_MAX,
      socketTimeout: SILENCE_MS_MAX,
      retryStrategy: (attempt) => Math.min(50 * attempt, 1_000),
      // After a fail-over the old master may continue as a replica, and this connection stays on it. The client then
      // opens another connection, to the current target of the address, and sends the command again (2). That is safe:
      // a server with such a reply has done nothing. Other commands in flight are fenced by their epoch and write whole
      // values, so repeating them has no effect.
      reconnectOnError: ({ message }) => (NOT_WRITABLE.test(message) ? 2 : false),
      scripts,
    },
    options.log,
  ) as PartitionRedis
}

/**
 * Connects to Redis. Commands fail with SLUICE_FEATURE_STORE_UNAVAILABLE while Redis is unavailable.
 * @throws SluiceError SLUICE_CONFIG_INVALID if the server is read-only or a cluster.
 */
export async function openPartitionStore(
  options: PartitionStoreOptions,
  redis = openPartitionRedis(options),
): Promise<PartitionStore> {
  redis.on('ready', () => {
    options.onConnection(true)
  })
  redis.on('close', () => {
    options.onConnection(false)
  })
  // The first failure has the reason; commands later only see that the connection is closed.
  let firstFailure: Error | null = null
  redis.once('error', (error: Error) => {
    firstFailure = error
  })
  try {
    await redis.connect()
    const fault = serverFault(await redis.info())
    if (fault !== null) throw new SluiceError('SLUICE_CONFIG_INVALID', `Redis ${fault}.`)
  } catch (error) {
    if (isSluiceError(error, 'SLUICE_CONFIG_INVALID')) {
      redis.disconnect()
      throw error
    }
    const refusal = await explainRedis(options, firstFailure, error)
    if (refusal !== null || options.mayBeAway !== true) {
      redis.disconnect()
      throw refusal ?? unavailable('connect', error)
    }
  }
  return new RedisPartitionStore(redis, options)
}

export interface PartitionRedis extends Redis {
  fencedWrite(keyCount: number, ...args: (string | number | Buffer)[]): Promise<number>
  switchGeneration(...args: (string | number)[]): Promise<number>
  claimPartition(key: string, ended: number, epoch: number, isAgain: 0 | 1): Promise<number>
}

class RedisPartitionStore implements PartitionStore {
  readonly #redis: PartitionRedis
  readonly #options: PartitionStoreOptions
  readonly #keys: readonly PartitionKeys[]
  readonly #shared: SessionShared
  /** By partition, the last claim that was sent and not answered. */
  readonly #unanswered = new Map<number, { readonly ended: number; readonly epoch: number }>()

  constructor(redis: PartitionRedis, options: PartitionStoreOptions) {
    this.#redis = redis
    this.#options = options
    this.#keys = Array.from({ length: options.partitionCount }, (_, partition) =>
      partitionKeys(options.streamId, partition),
    )
    this.#shared = {
      commands: commandsOf(redis),
      keys: this.#keys,
      openCodec: () => new StateCodec(),
      cache: new ValueCache(options.cacheBytesMax),
      generations: this.#keys.map(() => 0),
      owners: new PartitionOwners(),
      call: (operation, limitMs, command) => this.#call(operation, limitMs, command),
    }
  }

  get isUp(): boolean {
    return this.#redis.status === 'ready'
  }

  async claim(partition: number, heldEpoch: number | null): Promise<number | null> {
    for (let attempt = 1; attempt <= CLAIM_ATTEMPTS_MAX; attempt += 1) {
      const epoch = await this.#claimOver(partition, heldEpoch)
      if (epoch !== null || heldEpoch !== null) return epoch
    }
    throw unavailable('claim', new Error('Other owners claim the partition at the same time.'))
  }

  /** Returns null if the epoch to be ended is no longer the last one. */
  async #claimOver(partition: number, heldEpoch: number | null): Promise<number | null> {
    const { epoch: key } = this.#keysOf(partition)
    const { answerMsMax } = this.#options
    // A claim always names the epoch that it ends, so that one that arrives late, after a later one, changes nothing. A
    // claim without a reply is sent again unchanged: whichever arrives first, the epoch is the same.
    const sent = this.#unanswered.get(partition)
    const isAgain = sent !== undefined && sent.ended >= (heldEpoch ?? 0)
    const ended = isAgain ? sent.ended : (heldEpoch ?? (await this.#readEpoch(key)))
    // At least the wall clock, so that epochs keep rising if Redis has lost them.
    const epoch = isAgain ? sent.epoch : Math.max(Date.now(), ended + 1)
    this.#unanswered.set(partition, { ended, epoch })
    const reply = await this.#call('claim', answerMsMax, () =>
      this.#redis.claimPartition(key, ended, epoch, isAgain ? 1 : 0),
    )
    this.#unanswered.delete(partition)
    return reply === 1 ? epoch : null
  }

  #readEpoch(key: string): Promise<number> {
    return this.#call('claim', this.#options.answerMsMax, async () => {
      const [current] = await this.#redis.mget(key)
      return Number(current ?? 0)
    })
  }

  async readStatus(partition: number): Promise<PartitionStatus> {
    const { progress: progressKey, restore: restoreKey } = this.#keysOf(partition)
    const [progress = null, restore = null] = await this.#call(
      'progress',
      this.#options.answerMsMax,
      () => this.#redis.mget(progressKey, restoreKey),
    )
    return {
      progress: decodeProgress(progress),
      restore: decodeProgress(restore),
      texts: { progress: progress ?? '', restore: restore ?? '' },
    }
  }

  async readProgress(): Promise<readonly (PartitionProgress | null)[]> {
    const values = await this.#call('progress', this.#options.answerMsMax, () =>
      this.#redis.mget(this.#keys.map(({ progress }) => progress)),
    )
    return values.map(decodeProgress)
  }

  open(
    partition: number,
    epoch: number,
    { texts }: PartitionStatus,
    progress: PartitionProgress,
    purpose: 'work' | 'rebuild',
  ): PartitionSession {
    const leftText = purpose === 'work' ? texts.progress : texts.restore
    // A rebuild that has come far enough continues as the state.
    const runs = [texts.progress, texts.restore].flatMap((text) =>
      pageRunsOf(text, progress.generation),
    )
    const { answerMsMax } = this.#options
    const start = { partition, epoch, progress, purpose, leftText, runs, answerMsMax }
    return new RedisPartitionSession(this.#shared, start)
  }

  async readServerInfo(): Promise<RedisServerInfo | null> {
    return parseServerInfo(
      await this.#call('info', this.#options.answerMsMax, () => this.#redis.info()),
    )
  }

  async close(): Promise<void> {
    this.#redis.disconnect()
    return Promise.resolve()
  }

  #keysOf(partition: number): PartitionKeys {
    const keys = this.#keys[partition]
    if (keys === undefined) throw new RangeError(`Partition ${partition} does not exist.`)
    return keys
  }

  async #call<Reply>(
    operation: RedisOperation,
    limitMs: number,
    command: () => Promise<Reply>,
  ): Promise<Reply> {
    const startMs = performance.now()
    try {
      return await within(limitMs, command())
    } catch (error) {
      throw unavailable(operation, error)
    } finally {
      this.#options.onRoundTrip(operation, performance.now() - startMs)
    }
  }
}

function commandsOf(redis: PartitionRedis): SessionCommands {
  return {
    mget: (keys) => redis.mgetBuffer([...keys]),
    set: (key, value) => redis.set(key, value),
    fencedWrite: (keyCount, ...args) => redis.fencedWrite(keyCount, ...args),
    switchGeneration: (...args) => redis.switchGeneration(...args),
  }
}

function unavailable(operation: string, cause: unknown): SluiceError {
  const refusal = redisRefusal(cause)
  if (refusal !== null) return refusal
  return new SluiceError(
    'SLUICE_FEATURE_STORE_UNAVAILABLE',
    `Redis did not answer (${operation}); check SLUICE_REDIS_URL and that Redis runs.`,
    { cause: bareCause(cause) },
  )
}
