// A live stream whose scorer loses its state in the middle: the first of three parts is decided with state, the second
// without, the third after its return. The invariants hold for every fault.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import type { TestContext } from 'node:test'
import type { Redis } from 'ioredis'
import type { DecisionRecord } from '../../services/core/wire/records.ts'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { audit, differences } from './audit.ts'
import type { Guard } from './careless-scorer.ts'
import { DEGRADED, foldWhole, logsOfSent, wrongDecisions } from './live-oracle.ts'
import { normalStateIn, normalStateOf } from './stored-state.ts'
import { followOutputs, type Outputs } from './outputs.ts'
import { openDatabase } from './own-database.ts'
import { eventually } from './poll.ts'
import { openRedisProxy, type RedisProxy } from './redis-proxy.ts'
import { startScorer, type ScorerProcess } from './scorer-process.ts'
import { openStream, PARTITION_COUNT, simulatedEvents, type TestStream } from './streams.ts'

const TRANSACTIONS = 2_400

export interface LiveRun {
  readonly stream: TestStream
  readonly outputs: Outputs
  /** The running scorer. */
  scorer: ScorerProcess
  /** Between the scorer and Redis. */
  readonly proxy: RedisProxy
  /** A database of the test's own. */
  readonly redis: Redis
  readonly redisUrl: string
  /** Everything sent so far, in order. */
  readonly sent: ProducedEvent[]
  /** The three parts of the stream. */
  readonly parts: readonly [ProducedEvent[], ProducedEvent[], ProducedEvent[]]
  /** Sends, and waits until everything is answered. */
  decide(events: readonly ProducedEvent[]): Promise<void>
  /** Ends the scorer and starts another one. */
  restart(signal: 'SIGTERM' | 'SIGKILL', whileStopped: () => void): Promise<void>
  /** Waits until no partition decides without its state. */
  restored(): Promise<void>
}

/** A scorer that has decided the first part with its state; the variables `ofFirst` apply only to it. */
export async function startLive(
  t: TestContext,
  name: string,
  environment: Readonly<Record<string, string>> = {},
  ofFirst: Readonly<Record<string, string>> = {},
  without: Guard | null = null,
): Promise<LiveRun> {
  const events = await simulatedEvents(TRANSACTIONS)
  const third = Math.ceil(events.length / 3)
  const stream = await openStream(t, name)
  const outputs = followOutputs(t, stream)
  const { redis, redisUrl } = await openDatabase(t, stream.redisUrl)
  const proxy = await openRedisProxy(t, redisUrl)
  const start = (more: Readonly<Record<string, string>>): Promise<ScorerProcess> =>
    startScorer(
      t,
      stream.patientEnvironment({
        SLUICE_MODE: 'enforce',
        SLUICE_BATCH_SIZE_MAX: '64',
        SLUICE_REDIS_URL: proxy.url,
        ...environment,
        ...more,
      }),
      without,
    )
  const sent: ProducedEvent[] = []
  const decide = async (more: readonly ProducedEvent[]): Promise<void> => {
    sent.push(...more)
    await stream.send(more)
    await outputs.until('answers', () => outputs.isCaughtUp)
  }
  const run: LiveRun = {
    ...{ stream, outputs, proxy, redis, redisUrl, sent, decide },
    parts: [events.slice(0, third), events.slice(third, 2 * third), events.slice(2 * third)],
    scorer: await start(ofFirst),
    async restart(signal, whileStopped) {
      strictEqual(await run.scorer.end(signal), signal === 'SIGTERM' ? 0 : null)
      whileStopped()
      run.scorer = await start({})
    },
    restored: () =>
      eventually('every partition has its state', async () => {
        // A partition that is starting has not reported yet.
        if ((await run.scorer.metric('sluice_partition_up')) < PARTITION_COUNT) return false
        const { body } = await run.scorer.page('/readyz')
        const { degradedPartitions } = JSON.parse(body) as Readiness
        return degradedPartitions.length === 0
      }),
  }
  await decide(run.parts[0])
  return run
}

interface Readiness {
  readonly degradedPartitions: readonly number[]
}

/** Decisions of the stream, in the order of their decision batches. */
export function decisionsOf({ outputs }: LiveRun): readonly DecisionRecord[] {
  return outputs.decisionBatches.flatMap(({ batch }) => batch.decisions)
}

export function degradedOf(run: LiveRun): readonly DecisionRecord[] {
  return decisionsOf(run).filter(({ annotations }) => annotations.includes(DEGRADED))
}

/**
 * Decides the last part, and checks all decisions and the state against the log: each input has one answer, degraded
 * decisions are annotated and never block, all others are exact, and so is the state.
 */
export async function assertWhole(run: LiveRun): Promise<void> {
  const { stream, outputs, scorer, sent, parts } = run
  const degraded = degradedOf(run)
  await run.decide(parts[2])
  await outputs.readToEnd()
  strictEqual(await scorer.end('SIGTERM'), 0)
  deepStrictEqual((await audit(stream, outputs)).slice(0, 20), [])
  ok(degraded.length > 0, 'nothing was decided without state')
  strictEqual(degradedOf(run).length, degraded.length, 'once it is back, all is decided with it')
  deepStrictEqual(
    degraded.filter(({ outcome }) => outcome === 'block'),
    [],
  )
  ok(outputs.leases.length > 0, 'nothing at all was blocked')
  deepStrictEqual((await wrongDecisions(stream, outputs, sent)).slice(0, 3), [])
  deepStrictEqual((await wrongState(run)).slice(0, 3), [])
}

/** Values that differ from those of the whole log, with both. */
export async function wrongState({ stream, redisUrl, sent }: LiveRun): Promise<readonly string[]> {
  const whole = normalStateOf(foldWhole(logsOfSent(stream, sent)))
  return differences(whole, await normalStateIn(redisUrl, stream.streamId))
}

/** The content of the database, to restore it later. */
export async function saveDatabase(redis: Redis): Promise<ReadonlyMap<string, Buffer>> {
  const saved = new Map<string, Buffer>()
  for (const key of await redis.keys('*')) {
    saved.set(key, (await redis.getBuffer(key)) ?? Buffer.alloc(0))
  }
  return saved
}

/** Restores the saved content of the database. */
export async function takeBack(redis: Redis, saved: ReadonlyMap<string, Buffer>): Promise<void> {
  const transaction = redis.multi().flushdb()
  for (const [key, value] of saved) transaction.set(key, value)
  await transaction.exec()
}

export const PARTITIONS = Array.from({ length: PARTITION_COUNT }, (_, partition) => partition)
