// Goal: a late transaction changes the same decisions in the same way after any kill and any loss of Redis. Method: a
// stream in which every seventh transaction is late. It is decided undisturbed, and by scorers that are killed, with
// Redis emptied in between, and with so little memory for late transactions that most batches are split. A control does
// not check for lost state.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { alertsByPlace, decisionsByPlace, differences } from '../support/audit.ts'
import { partsOf } from '../support/event-parts.ts'
import { withLate } from '../support/late-events.ts'
import type { Guard } from '../support/careless-scorer.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import { openDatabase } from '../support/own-database.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { openStream, SHORT_SESSION, simulatedEvents } from '../support/streams.ts'
import { decideInPeace } from '../support/undisturbed.ts'

const REVISIONS_MIN = 15

interface Disturbed {
  readonly outputs: Outputs
  /** The scorer that is left, which was there when Redis was emptied. */
  readonly last: ScorerProcess
}

/** Decides the events by scorers that are killed, and one whose Redis is emptied. */
async function decideDisturbed(
  t: TestContext,
  events: readonly ProducedEvent[],
  without: Guard | null,
): Promise<Disturbed> {
  const stream = await openStream(t, `late-messages-${without ?? 'real'}`)
  const outputs = followOutputs(t, stream)
  const { redis, redisUrl } = await openDatabase(t, stream.redisUrl)
  const start = (more = {}): Promise<ScorerProcess> =>
    startScorer(
      t,
      stream.environment({
        SLUICE_ALIGNMENT: 'aligned',
        SLUICE_BATCH_SIZE_MAX: '32',
        SLUICE_LATE_VALUES_MAX: '2',
        // Every value is read for every batch, so that what Redis has lost is missed at once.
        SLUICE_STATE_CACHE_EVENTS_MAX: '0',
        SLUICE_REDIS_URL: redisUrl,
        ...more,
      }),
      without,
    )
  // Part by part: a scorer that had all of it could be done before it is killed, or before Redis is emptied.
  const [first = [], second = [], third = [], left = []] = partsOf(events, 4)
  const decidedCount = (): number =>
    outputs.blocks.reduce((count, { block }) => count + block.decisions.length, 0)
  const decideSome = async (part: readonly ProducedEvent[], decisions: number): Promise<void> => {
    const target = decidedCount() + decisions
    await stream.send(part)
    await outputs.until('more decisions', () => decidedCount() >= target)
  }
  for (const part of [first, second]) {
    const scorer = await start(SHORT_SESSION)
    await decideSome(part, 500)
    await scorer.end('SIGKILL')
  }
  const last = await start()
  await decideSome(third, 500)
  await redis.flushdb()
  await stream.send(left)
  await outputs.readToEnd()
  return { outputs, last }
}

test('late transactions lead to the same revisions when scorers are killed and Redis is emptied', async (t) => {
  const events = withLate(await simulatedEvents(4_000, { cards: 300 }), 800)
  const { outputs: reference } = await decideInPeace(t, events)
  const { outputs, last } = await decideDisturbed(t, events, null)
  ok((await last.metric('sluice_state_rebuilds_total')) > 0, 'nothing was rebuilt')
  ok((await last.metric('sluice_batches_split_total')) > 0, 'no batch was cut')
  strictEqual(await last.end('SIGTERM'), 0)
  const decided = decisionsByPlace(outputs)
  deepStrictEqual(differences(decisionsByPlace(reference), decided).slice(0, 5), [])
  deepStrictEqual(differences(alertsByPlace(reference), alertsByPlace(outputs)).slice(0, 5), [])
  const revisions = outputs.blocks.flatMap(({ block }) =>
    block.decisions.filter(({ revision }) => revision > 0),
  )
  ok(revisions.length >= REVISIONS_MIN, `${revisions.length} revisions`)
})

test('without the state-loss check, the same late transactions lead to other revisions', async (t) => {
  const events = withLate(await simulatedEvents(4_000, { cards: 300 }), 800)
  const { outputs: reference } = await decideInPeace(t, events)
  const { outputs } = await decideDisturbed(t, events, 'loss-check')
  const revised = (of: Outputs): ReadonlyMap<string, string> =>
    new Map(
      of.blocks.flatMap(({ block, partition }) =>
        block.decisions
          .filter(({ revision }) => revision > 0)
          .map((one) => [`${partition}/${one.offset}/${one.revision}`, JSON.stringify(one)]),
      ),
    )
  ok(differences(revised(reference), revised(outputs)).length > 0, 'the revisions are the same')
})
