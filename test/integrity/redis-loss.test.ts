// Goal: state lost by Redis is rebuilt from the log, and an unavailable Redis costs time only. Method: FLUSHDB on a
// database of the test's own, and a connection that is broken, in the middle of a stream; comparison with an
// undisturbed run. A control does not check for lost state.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Redis } from 'ioredis'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { alertsByPlace, audit, decisionsByPlace, differences } from '../support/audit.ts'
import { partsOf } from '../support/event-parts.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import type { Guard } from '../support/careless-scorer.ts'
import { openDatabase } from '../support/own-database.ts'
import { eventually } from '../support/poll.ts'
import { openRedisProxy } from '../support/redis-proxy.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { openStream, simulatedEvents, type TestStream } from '../support/streams.ts'
import { decideUndisturbed, type Decided } from '../support/undisturbed.ts'

interface Disturbed {
  readonly stream: TestStream
  readonly outputs: Outputs
  readonly scorer: ScorerProcess
  /** The half of the stream that is still to be sent, so that something is left to decide. */
  readonly left: readonly ProducedEvent[]
}

/** A scorer in the middle of the first half of the stream. */
async function startMidway(
  t: TestContext,
  events: readonly ProducedEvent[],
  name: string,
  redisUrlOf: (stream: TestStream) => Promise<string>,
  without: Guard | null = null,
): Promise<Disturbed> {
  const stream = await openStream(t, name)
  const outputs = followOutputs(t, stream)
  const [begun = [], left = []] = partsOf(events, 2)
  await stream.send(begun)
  const environment = stream.environment({
    SLUICE_ALIGNMENT: 'aligned',
    SLUICE_BATCH_SIZE_MAX: '32',
    // Every value is read for every batch, so that what Redis has lost is missed at once.
    SLUICE_STATE_CACHE_EVENTS_MAX: '0',
    SLUICE_REDIS_URL: await redisUrlOf(stream),
  })
  const scorer = await startScorer(t, environment, without)
  const enough = begun.length / 32 / 2
  await outputs.until('half of that work', () => outputs.blocks.length >= enough)
  return { stream, outputs, scorer, left }
}

async function assertUndisturbed(
  { stream, outputs, scorer }: Disturbed,
  reference: Decided,
): Promise<void> {
  await outputs.readToEnd()
  strictEqual(await scorer.end('SIGTERM'), 0)
  deepStrictEqual((await audit(stream, outputs)).slice(0, 20), [])
  deepStrictEqual(differences(reference.decisions, decisionsByPlace(outputs)).slice(0, 5), [])
  deepStrictEqual(differences(reference.alerts, alertsByPlace(outputs)).slice(0, 5), [])
}

/** A scorer whose Redis is emptied in the middle of the stream has decided all of it. */
async function decideEmptied(
  t: TestContext,
  events: readonly ProducedEvent[],
  without: Guard | null,
): Promise<Disturbed> {
  let redis: Redis | null = null
  const open = async ({ redisUrl }: TestStream): Promise<string> => {
    const database = await openDatabase(t, redisUrl)
    redis = database.redis
    return database.redisUrl
  }
  const disturbed = await startMidway(t, events, `flush-${without ?? 'real'}`, open, without)
  await (redis as Redis | null)?.flushdb()
  await disturbed.stream.send(disturbed.left)
  await disturbed.outputs.until('all answers', () => disturbed.outputs.isCaughtUp)
  return disturbed
}

test('a scorer whose Redis is emptied rebuilds the state and makes the same decisions', async (t) => {
  const events = await simulatedEvents(8_000)
  const reference = await decideUndisturbed(t, events)
  const disturbed = await decideEmptied(t, events, null)
  ok((await disturbed.scorer.metric('sluice_state_rebuilds_total')) > 0, 'nothing was rebuilt')
  await assertUndisturbed(disturbed, reference)
})

test('without the state-loss check, the same scorer decides from the remaining state', async (t) => {
  const events = await simulatedEvents(8_000)
  const reference = await decideUndisturbed(t, events)
  const { outputs } = await decideEmptied(t, events, 'loss-check')
  ok(differences(reference.decisions, decisionsByPlace(outputs)).length > 0, 'nothing differs')
})

test('a scorer continues when its Redis is back', async (t) => {
  const events = await simulatedEvents(8_000)
  const reference = await decideUndisturbed(t, events)
  let restore = (): void => undefined
  let sever = (): void => undefined
  const disturbed = await startMidway(t, events, 'away', async ({ redisUrl }) => {
    const proxy = await openRedisProxy(t, redisUrl)
    sever = () => {
      proxy.sever()
    }
    restore = () => {
      proxy.mend()
    }
    return proxy.url
  })
  sever()
  await disturbed.stream.send(disturbed.left)
  await eventually('partitions start over', async () => {
    return (await disturbed.scorer.metric('sluice_partition_restarts_total')) >= 4
  })
  const { body, status } = await disturbed.scorer.page('/readyz')
  strictEqual(status, 200)
  ok(body.includes('"redis":"down"'), body)
  restore()
  await assertUndisturbed(disturbed, reference)
})
