// Goal: a late transaction changes the same decisions in the same way wherever the messages of those stand, whoever was
// killed since, and whatever Redis has forgotten. Method: a stream in which every seventh transaction is late, decided in
// peace with messages kept with their cards; and apart from them, by scorers that are killed, some of the layout before,
// with Redis emptied in between.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test } from 'node:test'
import {
  VALUE_LAYOUT_DEFAULT,
  VALUE_LAYOUT_NEWEST,
} from '../../services/platform/redis/value-layouts.ts'
import { alertsByPlace, decisionsByPlace, differences } from '../support/audit.ts'
import { withLate } from '../support/late-events.ts'
import { followOutputs } from '../support/outputs.ts'
import { openDatabase } from '../support/own-database.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { openStream, simulatedEvents } from '../support/streams.ts'
import { decideInPeace } from '../support/undisturbed.ts'

const REVISIONS_MIN = 15

test('late transactions lead to the same revisions though messages stand apart, scorers are killed and Redis is emptied', async (t) => {
  const events = withLate(await simulatedEvents(4_000, { cards: 300 }), 800)
  const { outputs: reference } = await decideInPeace(t, events)
  const stream = await openStream(t, 'late-messages')
  const outputs = followOutputs(t, stream)
  await stream.send(events)
  const { redis, redisUrl } = await openDatabase(t, stream.redisUrl)
  const start = (layout: number): Promise<ScorerProcess> =>
    startScorer(
      t,
      stream.environment({
        SLUICE_ALIGNMENT: 'aligned',
        SLUICE_BATCH_SIZE_MAX: '32',
        SLUICE_SESSION_TIMEOUT_MS: '1000',
        SLUICE_REDIS_URL: redisUrl,
        SLUICE_STATE_LAYOUT: String(layout),
      }),
    )
  const later = async (blocks: number): Promise<void> => {
    const target = outputs.blocks.length + blocks
    await outputs.until('more blocks', () => outputs.blocks.length >= target)
  }
  for (const layout of [VALUE_LAYOUT_NEWEST, VALUE_LAYOUT_DEFAULT]) {
    const scorer = await start(layout)
    await later(20)
    await scorer.end('SIGKILL')
  }
  const last = await start(VALUE_LAYOUT_NEWEST)
  await later(10)
  await redis.flushdb()
  ok(!outputs.isCaughtUp, 'nothing was left to decide')
  await outputs.readToEnd()
  ok((await last.metric('sluice_state_rebuilds_total')) > 0, 'nothing was rebuilt')
  strictEqual(await last.end('SIGTERM'), 0)
  const decided = decisionsByPlace(outputs)
  deepStrictEqual(differences(decisionsByPlace(reference), decided).slice(0, 5), [])
  deepStrictEqual(differences(alertsByPlace(reference), alertsByPlace(outputs)).slice(0, 5), [])
  const revisions = outputs.blocks.flatMap(({ block }) =>
    block.decisions.filter(({ revision }) => revision > 0),
  )
  ok(revisions.length >= REVISIONS_MIN, `${revisions.length} revisions`)
})
