// State of partitions in Redis: who owns a partition, and where its state stands. What a micro-batch reads and writes is in
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

/** A connection on which nothing comes back for this long is given up and opened anew. */
export const SILENCE_MS_MAX = 5_000
/** A new assignment reads which epoch stands and claims over it; somebody else may do so in between. */
const CLAIM_ATTEMPTS_MAX = 5

/** Redis answers so when it may not write, or not yet answer: a replica, or one that is loading its file. */
const NOT_THE_MASTER = /^(?:READONLY|MASTERDOWN|LOADING)\b/

const script = (name: string): string => readFileSync(join(import.meta.dirname, name), 'utf8')
const scripts = {
  fencedWrite: { lua: script('fenced-write.lua') },
  switchGeneration: { lua: script('switch-generation.lua'), numberOfKeys: 4 },
  claimPartition: { lua: script('claim.lua'), numberOfKeys: 1 },
}

/** The client of the store, with the store's scripts. */
export function openPartitionRedis(options: PartitionStoreOptions): PartitionRedis {
  return openRedis(
    options,
    {
      maxRetriesPerRequest: 1,
      commandTimeout: SILENCE_MS_MAX,
      socketTimeout: SILENCE_MS_MAX,
      retryStrategy: (attempt) => Math.min(50 * attempt, 1_000),
      // After a fail-over the old master may live on as a replica, and this connection stays on it: open another one,
      // which goes to where the address points now, and send the command again (2). Sending again is safe: a server that
      // answers so has done nothing, and whatever was in flight beside it is fenced by its epoch and writes whole
      // values, so that doing it twice is doing it once.
      reconnectOnError: ({ message }) => (NOT_THE_MASTER.test(message) ? 2 : false),
      scripts,
    },
    options.log,
  ) as PartitionRedis
}

/**
 * Connects, to a Redis that may be written and is no cluster, else SLUICE_CONFIG_INVALID. Commands fail with SLUICE_FEATURE_STORE_UNAVAILABLE while Redis is away.
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
  // The first failure tells why; what the commands see later is only that the connection is closed.
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
  /** By partition, the claim that was last sent and not answered. */
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
    throw unavailable('claim', new Error('Others claim the partition at the same time.'))
  }

  /** Null when the epoch that was to be ended is no longer the last one. */
  async #claimOver(partition: number, heldEpoch: number | null): Promise<number | null> {
    const { epoch: key } = this.#keysOf(partition)
    const { answerMsMax } = this.#options
    // A claim always names what it ends, so that one that arrives late, after a later one, changes nothing. And one that
    // was not answered is sent again as it was: whichever arrives first, it is the same epoch.
    const sent = this.#unanswered.get(partition)
    const isAgain = sent !== undefined && sent.ended >= (heldEpoch ?? 0)
    const ended = isAgain ? sent.ended : (heldEpoch ?? (await this.#readEpoch(key)))
    // At least the wall clock, so that epochs keep rising when Redis has lost them.
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
      const [standing] = await this.#redis.mget(key)
      return Number(standing ?? 0)
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
    // A rebuild that has come far enough is gone on with as the state.
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
