// State of lanes in Redis: one read and one write per micro-batch, whatever its size.
//
// A read is a single MGET of the progress of all lanes, the batch's cards, and the batch's terminals in every
// lane. MGET is atomic, so each lane's progress says exactly which events its parts hold: that is the cut.
// A write is one script: fence, values, progress.

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Redis } from 'ioredis'
import { SluiceError } from '../../core/errors.ts'
import { ByteWriter } from '../../core/features/bytes.ts'
import { CardHistory } from '../../core/features/card-history.ts'
import { type Cut, EntityPart } from '../../core/features/entity-part.ts'
import type { ReadablePart } from '../../core/features/lane-fold.ts'
import { DAY_MS, LATENESS_MS, REACH_MS, SECOND_MS } from '../../core/features/time.ts'
import {
  decodeProgress,
  encodeProgress,
  type LaneProgress,
} from '../../core/stream/lane-progress.ts'
import type { RedisOperation } from '../metrics/dependency-metrics.ts'
import { type LaneKeys, laneKeys } from './keys.ts'
import { openRedis } from './redis-client.ts'
import type {
  LaneSnapshot,
  LaneStore,
  LaneStoreOptions,
  WriteReply,
} from './lane-store-contract.ts'
import { bareCause, explainRedis, redisRefusal } from './redis-failure.ts'
import { parseServerInfo, type RedisServerInfo } from './server-info.ts'

/** Values live as long as any feature can reach them, plus a tolerated stand-still of the stream. */
const TIME_TO_LIVE_S = Math.ceil((REACH_MS + LATENESS_MS + 7 * DAY_MS) / SECOND_MS)
/** Upward only, so that keys written together do not expire together. */
const TIME_TO_LIVE_JITTER_S = DAY_MS / SECOND_MS
const COMMAND_MS_MAX = 5_000

const scripts = {
  fencedWrite: readFileSync(join(import.meta.dirname, 'fenced-write.lua'), 'utf8'),
  claim: readFileSync(join(import.meta.dirname, 'claim.lua'), 'utf8'),
}

/** Connects. Commands fail with SLUICE_FEATURE_STORE_UNAVAILABLE while Redis is away. */
export async function openLaneStore(options: LaneStoreOptions): Promise<LaneStore> {
  const redis = openRedis(
    options,
    {
      maxRetriesPerRequest: 1,
      commandTimeout: COMMAND_MS_MAX,
      retryStrategy: (attempt) => Math.min(50 * attempt, 1_000),
      scripts: {
        fencedWrite: { lua: scripts.fencedWrite },
        claimLane: { lua: scripts.claim, numberOfKeys: 1 },
      },
    },
    options.log,
  )
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
  } catch (error) {
    redis.disconnect()
    throw (await explainRedis(options, firstFailure, error)) ?? unavailable('connect', error)
  }
  return new RedisLaneStore(redis as ScriptedRedis, options)
}

interface ScriptedRedis extends Redis {
  fencedWrite(keyCount: number, ...args: (string | number | Buffer)[]): Promise<number>
  claimLane(key: string, heldEpoch: string, epochMin: number): Promise<number>
}

class RedisLaneStore implements LaneStore {
  readonly #redis: ScriptedRedis
  readonly #options: LaneStoreOptions
  readonly #keys: readonly LaneKeys[]
  readonly #writer = new ByteWriter()
  /** Generation of each lane as last read. */
  readonly #generations: number[]

  constructor(redis: ScriptedRedis, options: LaneStoreOptions) {
    this.#redis = redis
    this.#options = options
    this.#keys = Array.from({ length: options.partitionCount }, (_, partition) =>
      laneKeys(options.streamId, partition),
    )
    this.#generations = this.#keys.map(() => 0)
  }

  get isUp(): boolean {
    return this.#redis.status === 'ready'
  }

  async claim(partition: number, heldEpoch: number | null): Promise<number | null> {
    const { epoch } = this.#keysOf(partition)
    // Epochs are at least the wall clock, so that they keep rising when Redis has lost them.
    const reply = await this.#call('claim', () =>
      this.#redis.claimLane(epoch, heldEpoch === null ? '' : String(heldEpoch), Date.now()),
    )
    return reply === 0 ? null : reply
  }

  async readProgress(): Promise<readonly (LaneProgress | null)[]> {
    const values = await this.#call('progress', () =>
      this.#redis.mget(this.#keys.map(({ progress }) => progress)),
    )
    return values.map(decodeProgress)
  }

  async read(
    partition: number,
    generation: number,
    cards: readonly string[],
    terminals: readonly string[],
  ): Promise<LaneSnapshot> {
    this.#generations[partition] = generation
    for (;;) {
      const generations = [...this.#generations]
      const keys = [
        ...this.#keys.map(({ progress }) => progress),
        ...cards.map((card) => this.#keysOf(partition).card(generation, card)),
        ...this.#keys.flatMap((lane, index) =>
          terminals.map((terminal) => lane.terminal(generations[index] ?? 0, terminal)),
        ),
      ]
      const values = await this.#call('read', () => this.#redis.mgetBuffer(keys))
      const progress = this.#keys.map((_, index) =>
        decodeProgress(values[index]?.toString('utf8') ?? null),
      )
      let isCurrent = true
      for (const [index, lane] of progress.entries()) {
        if (index === partition || lane === null) continue
        if (lane.generation !== generations[index]) isCurrent = false
        this.#generations[index] = lane.generation
      }
      // A lane that was rebuilt since the last read keeps its state under other keys.
      if (!isCurrent) continue
      return new Snapshot(partition, progress, cards, terminals, values)
    }
  }

  async write(
    partition: number,
    epoch: number,
    snapshot: LaneSnapshot,
    progress: LaneProgress,
    committed: Cut,
  ): Promise<WriteReply> {
    if (!(snapshot instanceof Snapshot)) throw new TypeError('The snapshot is of another store.')
    const lane = this.#keysOf(partition)
    const keys: string[] = [lane.epoch, lane.progress]
    const values: Buffer[] = []
    for (const [card, history] of snapshot.cards) {
      history.compact(committed.nextOffset)
      keys.push(lane.card(progress.generation, card))
      values.push(history.encode(this.#writer))
    }
    for (const [terminal, part] of snapshot.ownTerminals) {
      part.compact(committed)
      keys.push(lane.terminal(progress.generation, terminal))
      values.push(part.encode(this.#writer))
    }
    const timeToLiveS = TIME_TO_LIVE_S + Math.floor(Math.random() * TIME_TO_LIVE_JITTER_S)
    if (this.#options.isFenceDisabled === true) return this.#writeUnfenced(keys, values, progress)
    const reply = await this.#call('write', () =>
      this.#redis.fencedWrite(
        keys.length,
        ...keys,
        epoch,
        timeToLiveS,
        encodeProgress(progress),
        ...values,
      ),
    )
    return reply === 1 ? 'written' : reply === 0 ? 'fenced' : 'lost'
  }

  async readServerInfo(): Promise<RedisServerInfo | null> {
    return parseServerInfo(await this.#call('info', () => this.#redis.info()))
  }

  async close(): Promise<void> {
    this.#redis.disconnect()
    return Promise.resolve()
  }

  /** Whatever the epoch: only for the test that shows what happens without the fence. */
  async #writeUnfenced(
    [, progressKey = '', ...valueKeys]: readonly string[],
    values: readonly Buffer[],
    progress: LaneProgress,
  ): Promise<WriteReply> {
    const write = this.#redis.multi().set(progressKey, encodeProgress(progress))
    for (const [index, key] of valueKeys.entries()) write.set(key, values[index] ?? '')
    await this.#call('write', () => write.exec())
    return 'written'
  }

  #keysOf(partition: number): LaneKeys {
    const keys = this.#keys[partition]
    if (keys === undefined) throw new RangeError(`Partition ${partition} does not exist.`)
    return keys
  }

  async #call<Reply>(operation: RedisOperation, command: () => Promise<Reply>): Promise<Reply> {
    const startMs = performance.now()
    try {
      return await command()
    } catch (error) {
      throw unavailable(operation, error)
    } finally {
      this.#options.onRoundTrip(operation, performance.now() - startMs)
    }
  }
}

/** Decodes values when they are asked for, and remembers which were: those are written back. */
class Snapshot implements LaneSnapshot {
  readonly progress: readonly (LaneProgress | null)[]
  readonly cards = new Map<string, CardHistory>()
  readonly ownTerminals = new Map<string, EntityPart>()
  readonly #partition: number
  /** Cards that were looked at only: they are not written back. */
  readonly #peeked = new Map<string, CardHistory>()
  readonly #cardValues = new Map<string, Buffer | null>()
  readonly #terminalIndexes = new Map<string, number>()
  readonly #terminalValues: readonly (Buffer | null)[]
  readonly #others = new Map<string, readonly ReadablePart[]>()

  constructor(
    partition: number,
    progress: readonly (LaneProgress | null)[],
    cards: readonly string[],
    terminals: readonly string[],
    values: readonly (Buffer | null)[],
  ) {
    this.#partition = partition
    this.progress = progress
    for (const [index, card] of cards.entries()) {
      this.#cardValues.set(card, values[progress.length + index] ?? null)
    }
    for (const [index, terminal] of terminals.entries()) this.#terminalIndexes.set(terminal, index)
    this.#terminalValues = values.slice(progress.length + cards.length)
  }

  card(card: string): CardHistory {
    let history = this.cards.get(card)
    if (history === undefined) {
      const value = this.#cardValues.get(card)
      if (value === undefined) throw new RangeError('The card was not read for this batch.')
      history = this.#peeked.get(card) ?? CardHistory.decode(value)
      this.cards.set(card, history)
    }
    return history
  }

  peekCard(card: string): CardHistory | null {
    const known = this.cards.get(card) ?? this.#peeked.get(card)
    if (known !== undefined) return known
    const value = this.#cardValues.get(card) ?? null
    if (value === null) return null
    const history = CardHistory.decode(value)
    this.#peeked.set(card, history)
    return history
  }

  ownTerminal(terminal: string): EntityPart {
    let part = this.ownTerminals.get(terminal)
    if (part === undefined) {
      part = EntityPart.decode(this.#terminalValue(terminal, this.#partition))
      this.ownTerminals.set(terminal, part)
    }
    return part
  }

  otherTerminals(terminal: string): readonly ReadablePart[] {
    let parts = this.#others.get(terminal)
    if (parts === undefined) {
      parts = this.progress.flatMap((cut, partition) => {
        if (partition === this.#partition || cut === null) return []
        const value = this.#terminalValue(terminal, partition)
        return value === null ? [] : [{ part: EntityPart.decode(value), cut }]
      })
      this.#others.set(terminal, parts)
    }
    return parts
  }

  #terminalValue(terminal: string, partition: number): Buffer | null {
    const index = this.#terminalIndexes.get(terminal)
    if (index === undefined) throw new RangeError('The terminal was not read for this batch.')
    return this.#terminalValues[partition * this.#terminalIndexes.size + index] ?? null
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
