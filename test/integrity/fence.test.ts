// Goal: an owner paused past its session timeout, before its write, changes nothing when it resumes. Method: the proxy
// to Redis holds the write of a live scorer, SIGSTOP, another scorer takes over, the proxy releases the write, SIGCONT;
// an oracle applies the log in memory. The control has the fence switched off.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { audit } from '../support/audit.ts'
import { partsOf } from '../support/event-parts.ts'
import { wrongAnswers } from '../support/live-oracle.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import type { Guard } from '../support/careless-scorer.ts'
import { eventually } from '../support/poll.ts'
import { openRedisProxy, type RedisProxy } from '../support/redis-proxy.ts'
import { readState, readStateOffsets } from '../support/redis-state.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { openStream, SHORT_SESSION, simulatedEvents, type TestStream } from '../support/streams.ts'

/** Start of every fenced write; otherwise only the claim of a starting partition begins like this. */
const FENCED_WRITE = 'eval'
/** The script's reply to a replaced owner. */
const REFUSED = ':0\r\n'
const TRANSACTIONS = 5_000

interface TakenOver {
  readonly stream: TestStream
  readonly outputs: Outputs
  readonly proxy: RedisProxy
  /** Stopped in the middle of a write that Redis has not received. */
  readonly stopped: ScorerProcess
  /** Has taken over and decided everything sent so far. */
  readonly successor: ScorerProcess
}

async function takeOver(
  t: TestContext,
  events: readonly ProducedEvent[],
  without: Guard | null,
): Promise<TakenOver> {
  const stream = await openStream(t, `fence-${without ?? 'real'}`)
  const outputs = followOutputs(t, stream)
  const proxy = await openRedisProxy(t, stream.redisUrl)
  const [begun = [], left = []] = partsOf(events, 2)
  await stream.send(begun)
  const environment = stream.environment({ SLUICE_BATCH_SIZE_MAX: '32' })
  const behindProxy = { SLUICE_REDIS_URL: proxy.url, ...SHORT_SESSION }
  const stopped = await startScorer(t, { ...environment, ...behindProxy }, without)
  await outputs.until('work under way', () => outputs.decisionBatches.length >= 12)
  const isHeld = proxy.holdAt(FENCED_WRITE)
  // Sent only now: a scorer with all messages could finish before its write is held.
  await stream.send(left)
  await isHeld
  stopped.signal('SIGSTOP')
  ok(!outputs.isCaughtUp, 'nothing was left to take over')
  const successor = await startScorer(t, environment, without)
  await outputs.until('the successor', () => outputs.isCaughtUp)
  // From then on it writes nothing more.
  await eventually('the successor has the state', async () => {
    const { body } = await successor.page('/readyz')
    return body.includes('"degradedPartitions":[]')
  })
  return { stream, outputs, proxy, stopped, successor }
}

test('an owner paused before its write changes nothing when it resumes', async (t) => {
  const events = await simulatedEvents(TRANSACTIONS)
  const [first = [], second = []] = partsOf(events, 2)
  const { stream, outputs, proxy, stopped, successor } = await takeOver(t, first, null)
  const before = await readState(stream)
  proxy.release()
  await eventually('the write is refused', () =>
    Promise.resolve(proxy.repliesSinceRelease.includes(REFUSED)),
  )
  deepStrictEqual(await readState(stream), before)

  stopped.signal('SIGCONT')
  await stream.send(second)
  await outputs.readToEnd()
  strictEqual(await stopped.end('SIGTERM'), 0)
  strictEqual(await successor.end('SIGTERM'), 0)
  deepStrictEqual((await audit(stream, outputs)).slice(0, 20), [])
  const wrong = await wrongAnswers(stream, outputs, events)
  deepStrictEqual(wrong.decisions.slice(0, 5), [])
  deepStrictEqual(wrong.alerts.slice(0, 5), [])
})

test('without the fence the same owner reverts the state to its own position', async (t) => {
  const [first = []] = partsOf(await simulatedEvents(TRANSACTIONS), 2)
  const { stream, proxy } = await takeOver(t, first, 'fence')
  const before = await readStateOffsets(stream)
  proxy.release()
  await eventually('state goes back', async () => {
    const now = await readStateOffsets(stream)
    return now.some((offset, partition) => offset < (before[partition] ?? 0))
  })
})
