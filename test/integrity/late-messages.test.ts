// Goal: a late transaction changes the same decisions in the same way whoever was killed since, and whatever Redis has
// forgotten. Method: a stream in which every seventh transaction is late, decided in peace; and by scorers that are killed,
// with Redis emptied in between, and with so little room for what late ones look at that most batches are cut.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { alertsByPlace, decisionsByPlace, differences } from '../support/audit.ts'
import { partsOf } from '../support/event-parts.ts'
import { withLate } from '../support/late-events.ts'
import { followOutputs } from '../support/outputs.ts'
import { openDatabase } from '../support/own-database.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { openStream, SHORT_SESSION, simulatedEvents } from '../support/streams.ts'
import { decideInPeace } from '../support/undisturbed.ts'

const REVISIONS_MIN = 15

test('late transactions lead to the same revisions though scorers are killed and Redis is emptied', async (t) => {
  const events = withLate(await simulatedEvents(4_000, { cards: 300 }), 800)
  const { outputs: reference } = await decideInPeace(t, events)
  const stream = await openStream(t, 'late-messages')
  const outputs = followOutputs(t, stream)
  const { redis, redisUrl } = await openDatabase(t, stream.redisUrl)
  const start = (more = {}): Promise<ScorerProcess> =>
    startScorer(
      t,
      stream.environment({
        SLUICE_ALIGNMENT: 'aligned',
        SLUICE_BATCH_SIZE_MAX: '32',
        SLUICE_LATE_VALUES_MAX: '2',
        SLUICE_REDIS_URL: redisUrl,
        ...more,
      }),
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
  ok((await last.metric('sluice_state_rebuilds_total')) > 0, 'nothing was rebuilt')
  ok((await last.metric('sluice_batches_cut_total')) > 0, 'no batch was cut')
  strictEqual(await last.end('SIGTERM'), 0)
  const decided = decisionsByPlace(outputs)
  deepStrictEqual(differences(decisionsByPlace(reference), decided).slice(0, 5), [])
  deepStrictEqual(differences(alertsByPlace(reference), alertsByPlace(outputs)).slice(0, 5), [])
  const revisions = outputs.blocks.flatMap(({ block }) =>
    block.decisions.filter(({ revision }) => revision > 0),
  )
  ok(revisions.length >= REVISIONS_MIN, `${revisions.length} revisions`)
})
