// Goal: a late transaction changes the same decisions in the same way after any kill and any loss of Redis. Method: a
// live stream in which every seventh transaction is late. It is decided by scorers that are killed, with Redis emptied
// in between, and with so little memory for late transactions that most batches are split; an oracle applies the log in
// memory. A control does not check for lost state.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { audit } from '../support/audit.ts'
import { partsOf } from '../support/event-parts.ts'
import { withLate } from '../support/late-events.ts'
import { wrongAnswers } from '../support/live-oracle.ts'
import type { Guard } from '../support/careless-scorer.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import { openDatabase } from '../support/own-database.ts'
import { eventually } from '../support/poll.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { openStream, SHORT_SESSION, simulatedEvents, type TestStream } from '../support/streams.ts'

/** In the last part, which is decided from the restored state. */
const REVISIONS_MIN = 15

interface Disturbed {
  readonly events: readonly ProducedEvent[]
  readonly stream: TestStream
  readonly outputs: Outputs
  /** The last scorer, which was running when Redis was emptied. */
  readonly last: ScorerProcess
  /** Number of decision batches before the last part was sent. */
  readonly batchesBefore: number
}

/** Decides a stream by scorers that are killed, and one whose Redis is emptied. */
async function decideDisturbed(t: TestContext, without: Guard | null): Promise<Disturbed> {
  const events = withLate(await simulatedEvents(4_000, { fraudShare: 0.15 }), 800)
  const stream = await openStream(t, `late-messages-${without ?? 'real'}`)
  const outputs = followOutputs(t, stream)
  const { redis, redisUrl } = await openDatabase(t, stream.redisUrl)
  const start = (more = {}): Promise<ScorerProcess> =>
    startScorer(
      t,
      stream.patientEnvironment({
        SLUICE_BATCH_SIZE_MAX: '32',
        SLUICE_LATE_VALUES_MAX: '2',
        // Every batch reads all of its values, so that a loss in Redis is noticed at once.
        SLUICE_STATE_CACHE_MIB: '0',
        SLUICE_REDIS_URL: redisUrl,
        // The next scorer takes the place of the killed one at once.
        SLUICE_GROUP_INSTANCE_ID: 'killed',
        ...more,
      }),
      without,
    )
  // Sent in parts: a scorer with all messages could finish before it is killed, or before Redis is emptied.
  const [first = [], second = [], third = [], fourth = [], ...left] = partsOf(events, 6)
  const decidedCount = (): number =>
    outputs.decisionBatches.reduce((count, { batch }) => count + batch.decisions.length, 0)
  const decideSome = async (part: readonly ProducedEvent[], decisions: number): Promise<void> => {
    const target = decidedCount() + decisions
    await stream.send(part)
    await outputs.until('more decisions', () => decidedCount() >= target)
  }
  for (const part of [first, second]) {
    const scorer = await start(SHORT_SESSION)
    await decideSome(part, 350)
    await scorer.end('SIGKILL')
  }
  const last = await start()
  await decideSome(third, 350)
  await redis.flushdb()
  await stream.send(fourth)
  await outputs.until('all answers', () => outputs.isCaughtUp)
  await eventually('every partition has its state', async () => {
    const { body } = await last.page('/readyz')
    return body.includes('"degradedPartitions":[]')
  })
  const batchesBefore = outputs.decisionBatches.length
  await stream.send(left.flat())
  await outputs.readToEnd()
  return { events, stream, outputs, last, batchesBefore }
}

test('late transactions lead to the same revisions when scorers are killed and Redis is emptied', async (t) => {
  const { events, stream, outputs, last, batchesBefore } = await decideDisturbed(t, null)
  ok((await last.metric('sluice_state_rebuilds_total')) > 0, 'nothing was rebuilt')
  ok((await last.metric('sluice_batches_split_total')) > 0, 'no batch was cut')
  strictEqual(await last.end('SIGTERM'), 0)
  // An alert that begins with the revision of a decision is new to the auditor; the oracle knows it.
  const faults = (await audit(stream, outputs)).filter(({ promise }) => promise !== 'alerts')
  deepStrictEqual(faults.slice(0, 20), [])
  const wrong = await wrongAnswers(stream, outputs, events)
  deepStrictEqual(wrong.decisions.slice(0, 5), [])
  deepStrictEqual(wrong.alerts.slice(0, 5), [])
  const revisions = outputs.decisionBatches
    .slice(batchesBefore)
    .flatMap(({ batch }) => batch.decisions.filter(({ revision }) => revision > 0))
  console.error(
    revisions.length,
    outputs.decisionBatches.flatMap(({ batch }) =>
      batch.decisions.filter(({ revision }) => revision > 0),
    ).length,
    outputs.decisionBatches.flatMap(({ batch }) =>
      batch.decisions.filter((d) => d.annotations.includes('degraded')),
    ).length,
  )
  ok(revisions.length >= REVISIONS_MIN, `${revisions.length} revisions`)
})

test('without the state-loss check, the same late transactions lead to other revisions', async (t) => {
  const { events, stream, outputs } = await decideDisturbed(t, 'loss-check')
  const { decisions } = await wrongAnswers(stream, outputs, events)
  const isRevised = (text: string): boolean => /"revision":[1-9]/.test(text)
  ok(decisions.some(isRevised), 'the revisions are the same')
})
