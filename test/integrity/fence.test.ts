// Goal: an owner that was stopped past its session time-out, before its write, changes nothing when it goes on.
// Method: its write is held on the wire to Redis, SIGSTOP, another scorer takes over, the write goes on its way,
// SIGCONT; the control has the fence switched off.

import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { ProducedEvent } from '../../services/producer/index.ts'
import { alertsByPlace, audit, decisionsByPlace, differences } from '../support/audit.ts'
import { followOutputs, type Outputs } from '../support/outputs.ts'
import { eventually } from '../support/poll.ts'
import { openRedisProxy, type RedisProxy } from '../support/redis-proxy.ts'
import { readState, readStateOffsets } from '../support/redis-state.ts'
import { startScorer, type ScorerProcess } from '../support/scorer-process.ts'
import { openStream, simulatedEvents, type TestStream } from '../support/streams.ts'
import { decideUndisturbed } from '../support/undisturbed.ts'

/** How every fenced write begins, and otherwise only the claim of a lane that starts. */
const FENCED_WRITE = 'eval'
/** What a write begins with when the fence is off. */
const UNFENCED_WRITE = 'multi'
/** The script's reply to an owner that is one no longer. */
const REFUSED = ':0\r\n'

interface TakenOver {
  readonly stream: TestStream
  readonly outputs: Outputs
  readonly proxy: RedisProxy
  /** Stopped in the middle of a write that Redis has not seen. */
  readonly stopped: ScorerProcess
  /** Has taken over and decided everything sent so far. */
  readonly successor: ScorerProcess
}

async function takeOver(
  t: TestContext,
  events: readonly ProducedEvent[],
  unsafe: string,
): Promise<TakenOver> {
  const stream = await openStream(t, `fence-${unsafe}`)
  const outputs = followOutputs(t, stream)
  const proxy = await openRedisProxy(t, stream.redisUrl)
  await stream.send(events)
  const environment = stream.environment({
    SLUICE_ALIGNMENT: 'aligned',
    SLUICE_BATCH_SIZE_MAX: '32',
    SLUICE_SESSION_TIMEOUT_MS: '1000',
    SLUICE_UNSAFE: unsafe,
  })
  const stopped = await startScorer(t, { ...environment, SLUICE_REDIS_URL: proxy.url })
  await outputs.until('work under way', () => outputs.blocks.length >= 12)
  await proxy.holdAt(unsafe === 'no-fence' ? UNFENCED_WRITE : FENCED_WRITE)
  stopped.signal('SIGSTOP')
  ok(!outputs.isCaughtUp, 'nothing was left to take over')
  const successor = await startScorer(t, environment)
  await outputs.until('the successor', () => outputs.isCaughtUp)
  return { stream, outputs, proxy, stopped, successor }
}

/** Cut behind a watermark, so that both halves can be decided to their ends. */
function halves(events: readonly ProducedEvent[]): readonly [ProducedEvent[], ProducedEvent[]] {
  const isEnd = (event: ProducedEvent): boolean =>
    event.kind === 'watermark' && event.topic === 'transactions'
  const middle = events.findIndex((event, index) => index > events.length / 2 && isEnd(event)) + 1
  return [events.slice(0, middle), events.slice(middle)]
}

test('an owner that was stopped before its write changes nothing when it goes on', async (t) => {
  const events = await simulatedEvents(8_000)
  const reference = await decideUndisturbed(t, events)
  const [first, second] = halves(events)
  const { stream, outputs, proxy, stopped, successor } = await takeOver(t, first, 'none')
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
  deepStrictEqual(audit(stream, outputs).slice(0, 20), [])
  deepStrictEqual(differences(reference.decisions, decisionsByPlace(outputs)).slice(0, 5), [])
  deepStrictEqual(differences(reference.alerts, alertsByPlace(outputs)).slice(0, 5), [])
})

test('without the fence the same owner takes the state back to where it stopped', async (t) => {
  const [first] = halves(await simulatedEvents(8_000))
  const { stream, proxy } = await takeOver(t, first, 'no-fence')
  const before = await readStateOffsets(stream)
  proxy.release()
  await eventually('state goes back', async () => {
    const now = await readStateOffsets(stream)
    return now.some((offset, partition) => offset < (before[partition] ?? 0))
  })
})
