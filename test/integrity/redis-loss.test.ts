// Goal: state lost by Redis is rebuilt from the log, and an unavailable Redis stops no answer. Live it costs exactness
// for a while; in an aligned replay, whose decisions must not depend on it, it costs only time. Method: FLUSHDB on a
// database of the test's own, and later a broken connection, both in the middle of the batches of a stream. Live
// decisions are compared with an oracle that applies the log in memory, those of an aligned replay with an undisturbed
// one. Controls do not check for lost state.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { Alignment } from '../../services/core/wire/records.ts'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { alertsByPlace, audit, decisionsByPlace, differences } from '../support/audit.ts'
import { partsOf } from '../support/event-parts.ts'
import { DEGRADED, wrongAnswers } from '../support/live-oracle.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import type { Guard } from '../support/careless-scorer.ts'
import { openDatabase } from '../support/own-database.ts'
import { eventually } from '../support/poll.ts'
import { openRedisProxy } from '../support/redis-proxy.ts'
import { startScorer } from '../support/scorer-process.ts'
import {
  openStream,
  PARTITION_COUNT,
  simulatedEvents,
  type TestStream,
} from '../support/streams.ts'

const TRANSACTIONS = 6_000
const BATCH_SIZE_MAX = 32

interface Disturbed {
  readonly events: readonly ProducedEvent[]
  readonly stream: TestStream
  readonly outputs: Outputs
}

/** A scorer has decided the stream although its Redis was emptied, and later unavailable, while it decided batches. */
async function decideDisturbed(
  t: TestContext,
  alignment: Alignment,
  without: Guard | null,
): Promise<Disturbed> {
  const events = await simulatedEvents(TRANSACTIONS)
  const [first = [], second = [], third = [], fourth = [], last = []] = partsOf(events, 5)
  const stream = await openStream(t, `redis-loss-${alignment}-${without ?? 'real'}`)
  const outputs = followOutputs(t, stream)
  const { redis, redisUrl } = await openDatabase(t, stream.redisUrl)
  const proxy = await openRedisProxy(t, redisUrl)
  await stream.send(first)
  const scorer = await startScorer(
    t,
    stream.patientEnvironment({
      SLUICE_ALIGNMENT: alignment,
      SLUICE_BATCH_SIZE_MAX: String(BATCH_SIZE_MAX),
      // Every batch reads all of its values, so that a loss in Redis is noticed at once.
      SLUICE_STATE_CACHE_MIB: '0',
      SLUICE_REDIS_URL: proxy.url,
    }),
    without,
  )
  const moreBatches = async (count: number): Promise<void> => {
    const target = outputs.decisionBatches.length + count
    await outputs.until('some of the work', () => outputs.decisionBatches.length >= target)
  }
  const allAnswered = (): Promise<void> => outputs.until('all answers', () => outputs.isCaughtUp)
  const stateBack = (): Promise<void> =>
    eventually('every partition has its state', async () => {
      if ((await scorer.metric('sluice_partition_up')) < PARTITION_COUNT) return false
      return (await scorer.page('/readyz')).body.includes('"degradedPartitions":[]')
    })
  const batchesOfHalf = first.length / BATCH_SIZE_MAX / 2

  await moreBatches(batchesOfHalf)
  await redis.flushdb()
  // Sent only now, so that input is left however fast the scorer is.
  await stream.send(second)
  await allAnswered()
  await stateBack()
  if (without === null) {
    ok((await scorer.metric('sluice_state_rebuilds_total')) > 0, 'nothing was rebuilt')
  }

  await stream.send(third)
  await moreBatches(batchesOfHalf)
  proxy.sever()
  await stream.send(fourth)
  if (alignment === 'live') await allAnswered()
  else {
    await eventually('partitions start over', async () => {
      return (await scorer.metric('sluice_partition_restarts_total')) >= PARTITION_COUNT
    })
  }
  const { body, status } = await scorer.page('/readyz')
  strictEqual(status, 200)
  ok(body.includes('"redis":"down"'), body)
  proxy.mend()
  await allAnswered()
  await stateBack()

  const batchesBefore = outputs.decisionBatches.length
  await stream.send(last)
  await outputs.readToEnd()
  strictEqual(degradedIn(outputs.decisionBatches.slice(batchesBefore)), 0, 'the state is not back')
  strictEqual(await scorer.end('SIGTERM'), 0)
  return { events, stream, outputs }
}

function degradedIn(batches: Outputs['decisionBatches']): number {
  const decisions = batches.flatMap(({ batch }) => batch.decisions)
  return decisions.filter(({ annotations }) => annotations.includes(DEGRADED)).length
}

test('live, a Redis that is emptied or unavailable amid batches makes no decision wrong', async (t) => {
  const { events, stream, outputs } = await decideDisturbed(t, 'live', null)
  deepStrictEqual((await audit(stream, outputs)).slice(0, 20), [])
  const wrong = await wrongAnswers(stream, outputs, events)
  deepStrictEqual(wrong.decisions.slice(0, 5), [])
  deepStrictEqual(wrong.alerts.slice(0, 5), [])
  ok(degradedIn(outputs.decisionBatches) > 0, 'nothing was decided without state')
})

test('live, without the state-loss check the same scorer decides from the remaining state', async (t) => {
  const { events, stream, outputs } = await decideDisturbed(t, 'live', 'loss-check')
  ok((await wrongAnswers(stream, outputs, events)).decisions.length > 0, 'nothing is wrong')
})

let reference: Promise<Outputs> | null = null

/** The same replay without a fault, decided once, in batches of any size. */
function referenceFor(t: TestContext): Promise<Outputs> {
  const decide = async (): Promise<Outputs> => {
    const stream = await openStream(t, 'reference')
    const outputs = followOutputs(t, stream)
    await stream.send(await simulatedEvents(TRANSACTIONS))
    const scorer = await startScorer(t, stream.environment({ SLUICE_ALIGNMENT: 'aligned' }))
    await outputs.readToEnd()
    strictEqual(await scorer.end('SIGTERM'), 0)
    deepStrictEqual(await audit(stream, outputs), [])
    return outputs
  }
  reference ??= decide()
  return reference
}

/** Decisions that differ from those of the undisturbed replay. */
async function otherDecisions(t: TestContext, outputs: Outputs): Promise<readonly string[]> {
  return differences(decisionsByPlace(await referenceFor(t)), decisionsByPlace(outputs))
}

// Only here must decisions equal those of an undisturbed run, with none made without state: hence aligned.
test('an aligned replay waits for a Redis that is emptied or unavailable, and decides the same', async (t) => {
  const { stream, outputs } = await decideDisturbed(t, 'aligned', null)
  deepStrictEqual((await audit(stream, outputs)).slice(0, 20), [])
  deepStrictEqual((await otherDecisions(t, outputs)).slice(0, 5), [])
  const alerts = alertsByPlace(await referenceFor(t))
  deepStrictEqual(differences(alerts, alertsByPlace(outputs)).slice(0, 5), [])
  strictEqual(degradedIn(outputs.decisionBatches), 0)
})

test('without the state-loss check the same aligned replay decides from the remaining state', async (t) => {
  const { outputs } = await decideDisturbed(t, 'aligned', 'loss-check')
  ok((await otherDecisions(t, outputs)).length > 0, 'nothing differs')
})
